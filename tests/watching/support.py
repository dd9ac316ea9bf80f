"""An application with everything that can be watched, and connections to it as a server has them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    regenerate_session,
    require_role,
    session_watch,
    set_session,
)
from tests.gate.support import token_of
from tests.support import RecordingStore, new_kit

GUARD = RouterGuard([Rule("/*/guarded", role="member")])
CONNECTIONS = ["/socket", "/stream", "/stream/busy", "/sse"]
ADA = Session(user_id="ada", role="member")
SOON = 10.0
"""Seconds within which what happens at once has happened, on a slow machine."""

Message = dict[str, Any]


class Connection:
    """One connection as a server has it: what was sent, and a client that says nothing and stays."""

    def __init__(self, app: Any, path: str, kind: str, cookie: bytes) -> None:
        self.sent: list[Message] = []
        self.over = asyncio.Event()
        self.opened = False
        self.is_http = kind == "http"
        headers = [(b"host", b"testserver"), *([(b"cookie", cookie)] if cookie else [])]
        scope: Message = {
            "type": kind, "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "https",
            "path": path, "query_string": b"", "root_path": "", "headers": headers, "server": ("testserver", 443),
            "client": ("127.0.0.1", 1), **({"method": "GET"} if kind == "http" else {"subprotocols": []}),
        }  # fmt: skip
        self.task = asyncio.get_running_loop().create_task(app(scope, self.receive, self.send))

    async def receive(self) -> Message:
        if not self.opened:
            self.opened = True
            return {"type": "websocket.connect"} if not self.is_http else {"type": "http.request", "body": b""}
        await self.over.wait()
        return {"type": "http.disconnect" if self.is_http else "websocket.disconnect", "code": 1005}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.close" or (message["type"].endswith("body") and not message.get("more_body")):
            self.over.set()
        await asyncio.sleep(0)

    async def until(self, holds: Callable[[], bool], patience: float = SOON) -> None:
        async with asyncio.timeout(patience):
            while not holds():  # noqa: ASYNC110 - it may be anything
                await asyncio.sleep(0.005)

    async def ends(self, patience: float = SOON) -> Message:
        """The last message, once the application is done with the connection."""
        await asyncio.wait_for(asyncio.shield(self.task), patience)
        return self.sent[-1]


class Site:
    """An application with everything that can be watched, and its connections, which are gone when a test ends."""

    def __init__(self, kit: SessionKit[Session], guard: RouterGuard | None = None, every: float = 30.0) -> None:
        self.kit = kit
        self.app = FastAPI()
        self.said: list[str] = []
        kit.install(self.app, guard=guard)
        add_sockets(self.app, self.said, every)
        add_streams(self.app, self.said, every)
        add_answers(self.app, self.said, every)
        self.connections: list[Connection] = []

    def connect(self, path: str, who: Session | None = ADA, cookie: bytes | None = None) -> Connection:
        """Open a connection; it has begun to be watched when its first words are there."""
        kind = "websocket" if path.startswith("/socket") else "http"
        if cookie is None:
            cookie = b"" if who is None else token_of(self.kit, who)
        self.connections.append(Connection(self.app, path, kind, cookie))
        return self.connections[-1]

    async def open(self, path: str, who: Session | None = ADA, cookie: bytes | None = None) -> Connection:
        connection = self.connect(path, who, cookie)
        await connection.until(lambda: connection.task.done() or "in" in self.said)
        return connection

    async def aclose(self) -> None:
        for connection in self.connections:
            connection.over.set()
            connection.task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*(each.task for each in self.connections), return_exceptions=True)


def add_sockets(app: FastAPI, said: list[str], every: float) -> None:
    @app.websocket("/socket")
    @app.websocket("/socket/guarded")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        try:
            async with session_watch(socket, every) as watch:
                said.append("in")
                await asyncio.Event().wait()
        finally:
            said.append("out")
        assert watch.ended.is_set()
        said.append(type(watch.refusal).__name__)

    app.websocket("/socket/role", dependencies=[Depends(require_role("member"))])(socket)

    @app.websocket("/socket/before")
    async def before(socket: WebSocket) -> None:
        async with session_watch(socket, every):
            said.append("in")
            await asyncio.Event().wait()

    @app.websocket("/socket/moved")
    async def moved(socket: WebSocket) -> None:
        if socket.url.query == "sign-in":
            set_session(socket, ADA)
        else:
            regenerate_session(socket)
        await socket.accept()
        async with session_watch(socket, every):
            said.append("in")
            await asyncio.Event().wait()

    @app.websocket("/socket/gone")
    async def gone(socket: WebSocket) -> None:
        await socket.accept()
        async with session_watch(socket, every):
            said.append("in")
            await socket.receive_text()


def add_streams(app: FastAPI, said: list[str], every: float) -> None:
    @app.get("/stream")
    @app.get("/stream/guarded")
    async def stream(request: Request) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            try:
                async with session_watch(request, every):
                    yield b"one"
                    said.append("in")
                    await asyncio.Event().wait()
            finally:
                said.append("out")

        return StreamingResponse(body())

    app.get("/stream/role", dependencies=[Depends(require_role("member"))])(stream)

    @app.get("/stream/busy")
    async def busy(request: Request) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            async with session_watch(request, every):
                said.append("in")
                while True:
                    yield b"more"

        return StreamingResponse(body())

    @app.get("/sse", response_class=EventSourceResponse)
    async def sse(request: Request) -> AsyncIterator[dict[str, int]]:
        async with session_watch(request, every):
            yield {"n": 1}
            said.append("in")
            await asyncio.Event().wait()


def add_answers(app: FastAPI, said: list[str], every: float) -> None:
    @app.get("/poll")
    async def poll(request: Request) -> str:
        async with session_watch(request, every) as watch:
            said.append("in")
            await watch.ended.wait()
        return "secret"

    @app.get("/poll/careless")
    async def careless(request: Request) -> StreamingResponse:
        watch = await session_watch(request, every).__aenter__()
        said.append("in")
        await watch.ended.wait()

        async def body() -> AsyncIterator[bytes]:
            yield b"secret"

        return StreamingResponse(body())


@asynccontextmanager
async def site(guard: RouterGuard | None = None, every: float = 30.0, **options: Any) -> AsyncIterator[Site]:
    before = asyncio.all_tasks()
    made = Site(new_kit(**{"backend": RecordingStore(), **options}), guard, every)
    try:
        yield made
        await made.aclose()
        for _ in range(20):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        assert all(not looks for looks in made.kit.services.looks.values())
    finally:
        await made.aclose()


def store_of(site: Site) -> RecordingStore:
    store: RecordingStore = site.kit.backend.store  # type: ignore[attr-defined]
    return store


async def revoke(site: Site) -> None:
    await site.kit.sessions.revoke_user("ada")


async def demote(site: Site) -> None:
    await site.kit.sessions.update_user("ada", role="guest")


def is_end(message: Message) -> bool:
    if message["type"] == "websocket.close":
        return message["code"] == 4401
    return message == {"type": "http.response.body", "body": b"", "more_body": False}
