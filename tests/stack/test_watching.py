"""A watched connection ends with its session, on every store: at once where the store can tell, else within a period."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.websockets import WebSocket

from fastapi_sessionkit import Session, SessionKit, SessionStore, session_watch
from fastapi_sessionkit.testing.contract.tools import PATIENCE
from tests.support import Clock, new_kit

pytestmark = pytest.mark.anyio

ADA = Session(user_id="ada", role="member")
TELLS = {"memory", "redis", "cluster"}
"""The engines that tell of a change at once."""


def application(kit: SessionKit[Session], every: float, entered: asyncio.Event) -> FastAPI:
    app = FastAPI()
    kit.install(app)

    @app.websocket("/")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        async with session_watch(socket, every):
            entered.set()
            await asyncio.Event().wait()

    @app.get("/")
    async def stream(request: Request) -> StreamingResponse:
        async def body() -> Any:
            async with session_watch(request, every):
                entered.set()
                yield b"first"
                await asyncio.Event().wait()

        return StreamingResponse(body())

    return app


@pytest.mark.parametrize("kind", ["websocket", "http"])
@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_connection_ends_with_its_session(
    engine: str, store: SessionStore, clock: Clock, kind: str, how: str
) -> None:
    kit, entered, over = new_kit(backend=store, clock=clock, idle_timeout=60), asyncio.Event(), asyncio.Event()
    app = application(kit, 600.0 if how == "revoked" and engine in TELLS else 0.2, entered)
    record = kit.services.lifetimes.new_record(ADA.model_dump_json().encode(), "ada", None)
    cookie = f"{kit.cookie_name}={await kit.backend.create(record)}".encode()
    sent: list[MutableMapping[str, Any]] = []
    begun = False

    async def receive() -> dict[str, Any]:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "websocket.connect" if kind == "websocket" else "http.request", "body": b""}
        await over.wait()
        return {"type": f"{kind}.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "websocket.close" or message.get("more_body") is False:
            over.set()

    scope = {
        "type": kind, "method": "GET", "path": "/", "query_string": b"", "scheme": "https", "headers": [(b"cookie", cookie)],
    }  # fmt: skip
    task = asyncio.get_running_loop().create_task(app(scope, receive, send))
    await asyncio.wait_for(entered.wait(), PATIENCE)
    await asyncio.sleep(0.5)
    assert not task.done()

    if how == "revoked":
        await kit.sessions.revoke_user("ada")
    else:
        clock.advance(60)

    await asyncio.wait_for(task, PATIENCE)
    assert sent[-1].get("code" if kind == "websocket" else "more_body") in {4401, False}
