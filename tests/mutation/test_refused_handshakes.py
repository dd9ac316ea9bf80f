"""What a WebSocket changes before its handshake is refused without a response: nothing there can carry a cookie."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException, WebSocket
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import SessionKit, clear_session, regenerate_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import ADA, COOKIE, AppSession, RecordingStore, app_kit, application

Change = Callable[[WebSocket, AppSession], Any]

CHANGES: dict[str, tuple[Change, dict[str, Any]]] = {
    "a right that is given": (lambda socket, _: update_session(socket, role="admin"), {"role": "admin"}),
    "a right that is taken away": (lambda socket, _: update_session(socket, role=None), {"role": None}),
    "roles": (lambda socket, _: update_session(socket, roles=("a",)), {"roles": ("a",)}),
    "permissions, by a function": (
        lambda socket, _: update_session(socket, lambda _: {"permissions": ("read",)}),
        {"permissions": ("read",)},
    ),
    "the user": (lambda socket, _: update_session(socket, user_id="bob"), {"user_id": "bob"}),
    "in place": (lambda _, session: session.cart.append("tea"), {"cart": ["tea"]}),
    "beside a new id": (
        lambda socket, _: (regenerate_session(socket), update_session(socket, note="x")),
        {"note": "x"},
    ),
    "only a new id": (lambda socket, _: regenerate_session(socket), {}),
}
REFUSALS: dict[str, Callable[[WebSocket], Any]] = {
    "closed": lambda socket: socket.close(),
    "an HTTPException": lambda _: refused_by_an_exception(),
}


async def refused_by_an_exception() -> None:
    raise HTTPException(403)


async def refused(kit: SessionKit[AppSession], change: Change, refuse: Callable[[WebSocket], Any]) -> Any:
    """A client after a handshake that was refused by closing, on a server that can send no response."""
    app, client = application(kit)
    signed_in(client, kit, ADA)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        change(websocket, await kit.require_session(websocket))
        await refuse(websocket)

    cookie = f"{kit.cookie_name}={client.cookies[kit.cookie_name]}".encode()
    scope = {"type": "websocket", "path": "/ws", "scheme": "wss", "query_string": b"", "headers": [(b"cookie", cookie)]}
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app(scope, receive, send)
    assert sent == ["websocket.close"]
    return client


@pytest.mark.anyio
@pytest.mark.parametrize("refuse", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize(("change", "fields"), CHANGES.values(), ids=CHANGES)
async def test_a_change_before_a_refused_handshake_is_saved_under_the_old_id(
    stored: SessionKit[AppSession], change: Change, fields: dict[str, Any], refuse: Callable[[WebSocket], Any]
) -> None:
    client = await refused(stored, change, refuse)

    assert session_of(client, stored) == ADA.model_copy(update=fields)


@pytest.mark.anyio
async def test_a_sign_out_before_a_refused_handshake_ends_the_session(stored: SessionKit[AppSession]) -> None:
    client = await refused(stored, lambda socket, _: clear_session(socket), REFUSALS["an HTTPException"])

    assert session_of(client, stored) is None


@pytest.mark.anyio
async def test_a_signed_cookie_can_not_be_changed_there_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    kit = app_kit()
    with caplog.at_level(logging.WARNING):
        client = await refused(kit, lambda socket, _: update_session(socket, role="admin"), REFUSALS["closed"])

    assert session_of(client, kit) == ADA
    assert "by closing can carry no cookie: the client keeps its old one" in caplog.text


@pytest.mark.anyio
async def test_a_change_there_that_can_not_be_saved_is_no_silent_loss(
    stored: SessionKit[AppSession], store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.broken = {"replace"}
    client = await refused(stored, lambda socket, _: update_session(socket, role="admin"), REFUSALS["closed"])
    store.broken = set()

    assert session_of(client, stored) == ADA
    assert "Session store failed" in caplog.text


@pytest.mark.parametrize("role", ["admin", None])
def test_where_the_server_can_send_a_response_the_session_moves(
    stored: SessionKit[AppSession], role: str | None
) -> None:
    app, client = application(stored)
    signed_in(client, stored, ADA)
    held = client.cookies[COOKIE]

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        update_session(websocket, role=role)
        raise HTTPException(403)

    with pytest.raises(WebSocketDisconnect) as refusal, client.websocket_connect("wss://testserver/ws"):
        pass

    cookie = refusal.value.headers["set-cookie"]  # type: ignore[attr-defined]
    assert COOKIE in cookie
    assert held not in cookie


@pytest.mark.anyio
async def test_a_refusal_by_closing_says_no_more_than_that(stored: SessionKit[AppSession]) -> None:
    """A closing message has no headers; a server may choke on them."""
    app, client = application(stored)
    signed_in(client, stored, ADA)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await stored.require_session(websocket)
        await websocket.close(4000)

    cookie = f"{COOKIE}={client.cookies[COOKIE]}".encode()
    scope = {"type": "websocket", "path": "/ws", "scheme": "wss", "query_string": b"", "headers": [(b"cookie", cookie)]}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)

    assert sent == [{"type": "websocket.close", "code": 4000, "reason": ""}]
