"""A refused handshake says why to who writes a test with Starlette's ``TestClient``."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule, SessionKit
from fastapi_sessionkit.testing import signed_in
from tests.support import ADA, AppSession, app_kit, client_of

WAYS = ["gate", "dependency"]


def socket_app(way: str, **options: Any) -> tuple[SessionKit[AppSession], Callable[[], TestClient]]:
    kit, app = app_kit(**options), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/ws", role="admin")]) if way == "gate" else None)
    needed = [Depends(kit.require_role("admin"))] if way == "dependency" else []

    @app.websocket("/ws", dependencies=needed)
    async def socket(websocket: WebSocket, session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        await websocket.accept()
        await websocket.close()

    return kit, lambda: client_of(app)


def refusal_of(client: TestClient, url: str) -> tuple[int, Any]:
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(url):
        pass
    return refused.value.status_code, json.loads(refused.value.content)


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_handshake_is_answered_with_the_reason(way: str) -> None:
    kit, new_client = socket_app(way)
    url = "wss://testserver/ws"

    assert refusal_of(new_client(), url) == (401, {"detail": "Not authenticated"})
    assert refusal_of(signed_in(new_client(), kit, ADA), url) == (403, {"detail": "Requires role:admin"})
    with signed_in(new_client(), kit, AppSession(user_id="eve", role="admin")).websocket_connect(url):
        pass


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if "wss://testserver" in record.message]


@pytest.mark.parametrize("way", WAYS)
def test_without_tls_the_log_says_once_that_no_cookie_comes(way: str, caplog: pytest.LogCaptureFixture) -> None:
    kit, new_client = socket_app(way)
    client = signed_in(new_client(), kit, AppSession(user_id="eve", role="admin"))
    for url in ("/ws", "ws://testserver/ws"):
        assert refusal_of(client, url)[0] == 401

    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize("way", WAYS)
def test_the_log_is_silent_where_the_cookie_comes_or_could_come(way: str, caplog: pytest.LogCaptureFixture) -> None:
    kit, new_client = socket_app(way, cookie=CookieSettings(https_only=False))
    assert refusal_of(new_client(), "/ws")[0] == 401
    with signed_in(new_client(), kit, AppSession(user_id="eve", role="admin")).websocket_connect("/ws"):
        pass
    _, new_secure_client = socket_app(way)
    assert refusal_of(new_secure_client(), "wss://testserver/ws")[0] == 401
    assert new_secure_client().get("http://testserver/ws").status_code in {401, 404}

    assert warnings_of(caplog) == []
