"""A handshake that is refused where the server can send no response."""

from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, WebSocket

from fastapi_sessionkit import MemoryStore, Session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import client_of, new_kit


@pytest.mark.anyio
async def test_a_handshake_refused_without_a_response_leaves_the_id_as_it_is() -> None:
    """Such a server can send no cookie, so a move to a new id would sign the visitor out."""
    kit = new_kit(backend=MemoryStore())
    app = FastAPI()
    kit.install(app)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await kit.require_session(websocket)
        update_session(websocket, role="admin")
        raise HTTPException(403)

    client = signed_in(client_of(app), kit, Session(user_id="ada", role="user"))
    cookie = f"{kit.cookie_name}={client.cookies[kit.cookie_name]}".encode()
    scope = {"type": "websocket", "path": "/ws", "scheme": "wss", "query_string": b"", "headers": [(b"cookie", cookie)]}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    session = session_of(client, kit)

    assert [message["type"] for message in sent] == ["websocket.close"]
    assert session is not None
    assert session.role == "admin"
