"""Which event loops an application may run on: asyncio for everything, trio for what waits for no driver."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKitError,
    StoreBackend,
    clear_session,
    session_watch,
    set_session,
    update_session,
)
from fastapi_sessionkit.backends.base import require_event_loop
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.whoami import WhoamiBackend
from tests.support import client_of, new_kit

NEED_ASYNCIO: dict[str, Callable[[], Any]] = {
    "sql": lambda: SQLStore("sqlite:///sessions.db"),
    "redis": lambda: RedisStore("redis://127.0.0.1:1"),
    "wrapped": lambda: Wrapper(StoreBackend(RedisStore("redis://127.0.0.1:1"))),
    "whoami": lambda: WhoamiBackend("http://127.0.0.1:1", session=lambda data: None, cookies=["id"]),
}


class Wrapper:
    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


def application(backend: Any) -> FastAPI:
    app = FastAPI()
    new_kit(backend=backend).install(app, guard=RouterGuard(protect=[Rule("/closed", role="admin")]))

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Session(user_id="ada", role="admin"))

    @app.post("/change")
    async def change(request: Request) -> None:
        update_session(request, email="ada@example.com")

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    @app.get("/closed")
    async def closed() -> None: ...

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        async with session_watch(websocket):
            await websocket.send_text("watched")

    return app


def run_without_asyncio(app: FastAPI, scope: dict[str, Any], *received: dict[str, Any]) -> list[Any]:
    """What an application sends where no event loop of asyncio runs, as on trio. Nothing in it may wait."""
    incoming, sent = iter(received), list[Any]()

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(StopIteration):
        app(scope, receive, send).send(None)
    return sent


@pytest.mark.parametrize("make", NEED_ASYNCIO.values(), ids=NEED_ASYNCIO.keys())
def test_a_store_that_needs_asyncio_fails_the_start_on_another_loop(make: Callable[[], Any]) -> None:
    app = application(make())

    with pytest.raises(ConfigurationError, match="needs asyncio"):
        run_without_asyncio(app, {"type": "lifespan", "state": {}}, {"type": "lifespan.startup"})


def test_without_a_lifespan_the_first_request_says_so() -> None:
    app = application(RedisStore("redis://127.0.0.1:1"))
    scope = {"type": "http", "method": "GET", "path": "/closed", "query_string": b"", "headers": [], "root_path": ""}

    with pytest.raises(ConfigurationError, match="RedisStore needs asyncio"):
        run_without_asyncio(app, scope)


def test_what_says_nothing_of_asyncio_needs_none() -> None:
    require_event_loop(CookieBackend())
    require_event_loop(StoreBackend(MemoryStore()))


@pytest.mark.parametrize("backend", [CookieBackend, MemoryStore])
@pytest.mark.parametrize("entered", [False, True])
def test_sessions_without_a_driver_work_on_trio(backend: Callable[[], Any], entered: bool) -> None:
    pytest.importorskip("trio", reason="trio is not installed")
    client = client_of(application(backend()), backend="trio")
    with client if entered else nullcontext():
        assert client.get("/closed").status_code == 401
        assert client.post("/login").status_code == 200
        assert client.post("/change").status_code == 200
        assert client.get("/closed").status_code == 200
        assert client.post("/logout").status_code == 200
        assert client.get("/closed").status_code == 401


def test_session_watch_says_on_trio_that_it_needs_asyncio() -> None:
    pytest.importorskip("trio", reason="trio is not installed")
    client = client_of(application(MemoryStore()), backend="trio")
    client.post("/login")

    with (
        pytest.raises(SessionKitError, match="session_watch needs asyncio"),
        client.websocket_connect("wss://testserver/socket") as socket,
    ):
        socket.receive_text()
