"""A visitor's session over a WebSocket: begun with the acceptance, and not where nothing can carry a cookie."""

from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import SessionKit, StoreBackend
from tests.support import RecordingStore, client_of
from tests.visitors.support import Basket, basket_kit


def socket_of(kit: SessionKit[Basket], *, accept: bool) -> TestClient:
    app = FastAPI()
    kit.install(app)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        current = await kit.require_session(websocket)
        current.items.append("tea")
        if accept:
            await websocket.accept()
            await websocket.send_json(current.items)
        await websocket.close()

    return client_of(app)


def test_a_change_before_the_acceptance_begins_one() -> None:
    with socket_of(basket_kit(), accept=True).websocket_connect("wss://testserver/socket") as socket:
        headers: Any = socket.extra_headers

        assert any(name == b"set-cookie" for name, _ in headers)


def test_a_handshake_that_is_refused_by_closing_begins_none(caplog: pytest.LogCaptureFixture) -> None:
    store = RecordingStore()
    client = socket_of(basket_kit(backend=StoreBackend(store)), accept=False)

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/socket"):
        pass

    assert store.calls == []
    assert "begins no session" in caplog.text
