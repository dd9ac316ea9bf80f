"""The mutation helpers on WebSockets."""

from collections.abc import Callable
from typing import Annotated

import pytest
from fastapi import Depends, WebSocket
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import SessionKit, SessionKitError, clear_session, set_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import every_helper
from tests.support import ADA, AppSession, RecordingStore, application, holding


def test_before_accept_a_web_socket_signs_in_with_the_handshake(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        set_session(websocket, ADA)
        await websocket.accept()
        await websocket.close()

    with client.websocket_connect("wss://testserver/ws") as connection:
        headers: list[tuple[bytes, bytes]] = connection.extra_headers or []
        cookies = [value for name, value in headers if name == b"set-cookie"]

    assert len(cookies) == 1
    token = cookies[0].decode().partition("=")[2].partition(";")[0]
    assert session_of(holding(client, token), kit) == ADA


def test_before_accept_a_web_socket_may_change_the_session(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, session: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        update_session(websocket, tier="premium")
        session.cart.append("book")
        await websocket.accept()
        await websocket.close()

    signed_in(client, stored, ADA)
    with client.websocket_connect("wss://testserver/ws"):
        pass
    session = session_of(client, stored)

    assert session is not None
    assert (session.tier, session.cart) == ("premium", ["book"])


@every_helper
def test_after_accept_every_helper_raises_and_says_so(
    kit: SessionKit[AppSession], helper: Callable[[WebSocket], None]
) -> None:
    app, client = application(kit)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            helper(websocket)
        except SessionKitError as error:
            await websocket.send_text(str(error))
        await websocket.close()

    signed_in(client, kit, ADA)
    with client.websocket_connect("wss://testserver/ws") as connection:
        said = connection.receive_text()

    assert "the response has started" in said
    assert session_of(client, kit) == ADA


def test_an_error_before_accept_saves_nothing(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        update_session(websocket, tier="premium")
        raise RuntimeError("before accept")

    signed_in(client, stored, ADA)
    with pytest.raises(RuntimeError, match="before accept"), client.websocket_connect("wss://testserver/ws"):
        pass

    assert session_of(client, stored) == ADA


def test_a_store_that_fails_at_accept_refuses_the_handshake(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
    app, client = application(stored)
    accepted: list[str] = []

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        set_session(websocket, ADA)
        await websocket.accept()
        accepted.append("accepted")

    store.broken = {"create"}
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("wss://testserver/ws"),
    ):
        pass

    assert getattr(refused.value, "status_code", None) == 503
    assert accepted == []


def test_a_sign_in_on_a_refused_websocket_leaves_the_session_there_was(
    stored: SessionKit[AppSession],
) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        set_session(websocket, AppSession(user_id="eve"))
        await websocket.close()

    signed_in(client, stored, ADA)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/ws"):
        pass

    assert session_of(client, stored) == ADA


def test_a_sign_out_on_a_websocket_that_is_then_refused_ends_the_session(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        clear_session(websocket)
        await websocket.close()

    signed_in(client, stored, ADA)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/ws"):
        pass

    assert session_of(client, stored) is None


def test_a_change_in_place_after_accept_is_not_saved_at_close(stored: SessionKit[AppSession]) -> None:
    """The socket may be open for hours, and its session long since ended."""
    app, client = application(stored)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, session: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        await websocket.accept()
        session.cart.append("book")
        await websocket.close()

    signed_in(client, stored, ADA)
    with client.websocket_connect("wss://testserver/ws") as connection, pytest.raises(WebSocketDisconnect):
        connection.receive_text()

    assert session_of(client, stored) == ADA
