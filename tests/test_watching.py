"""``session_watch``: a socket and a stream end with their session, and nothing is left behind."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    CookieBackend,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    SessionKitError,
    StoreBackend,
    clear_session,
    regenerate_session,
    require_role,
    session_watch,
    set_session,
    update_session,
)
from tests.gate.support import token_of
from tests.support import Clock, RecordingStore, client_of, new_kit

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


CONNECTIONS = ["/socket", "/stream", "/stream/busy", "/sse"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("path", CONNECTIONS)
async def test_a_connection_ends_at_once_when_its_session_is_revoked(path: str) -> None:
    async with site() as here:
        connection = await here.open(path)

        await revoke(here)

        assert is_end(await connection.ends())


@pytest.mark.parametrize("path", CONNECTIONS)
async def test_a_connection_stays_while_its_session_lives(path: str) -> None:
    async with site(every=0.05) as here:
        connection = await here.open(path)

        await asyncio.sleep(0.5)

        assert not connection.task.done()
        assert store_of(here).calls.count("get") >= 3


@pytest.mark.parametrize("path", CONNECTIONS)
async def test_a_connection_ends_within_a_period_where_the_store_says_nothing(path: str) -> None:
    class Silent(RecordingStore):
        watch = None  # type: ignore[assignment]

    async with site(every=0.2, backend=Silent()) as here:
        connection = await here.open(path)

        await revoke(here)

        assert is_end(await connection.ends())


async def test_the_body_of_a_socket_is_cancelled_and_what_follows_it_runs() -> None:
    async with site() as here:
        connection = await here.open("/socket")
        await revoke(here)
        await connection.ends()

        assert here.said == ["in", "out", "NotAuthenticated"]


async def test_the_body_of_a_stream_is_told_as_if_the_client_had_gone() -> None:
    async with site() as here:
        connection = await here.open("/stream")
        await revoke(here)
        await connection.ends()

        assert here.said == ["in", "out"]
        assert [message.get("body") for message in connection.sent] == [None, b"one", b""]


async def test_signing_out_in_another_window_ends_the_connection() -> None:
    async with site() as here:
        cookie = token_of(here.kit, ADA)

        @here.app.post("/logout")
        async def logout(request: Request) -> None:
            clear_session(request)

        connection = await here.open("/socket", cookie=cookie)
        client = client_of(here.app, headers={"cookie": cookie.decode()})
        await asyncio.to_thread(client.post, "/logout")

        assert is_end(await connection.ends())


GUARD = RouterGuard([Rule("/*/guarded", role="member")])


@pytest.mark.parametrize("path", ["/socket/guarded", "/stream/guarded", "/socket/role", "/stream/role"])
async def test_a_connection_ends_when_what_it_was_let_in_by_is_lost(path: str) -> None:
    async with site(GUARD) as here:
        connection = await here.open(path)

        await demote(here)

        assert is_end(await connection.ends())


async def test_a_connection_that_needs_no_role_outlives_it() -> None:
    async with site(GUARD, every=0.05) as here:
        connection = await here.open("/socket")

        await demote(here)
        await asyncio.sleep(0.3)

        assert not connection.task.done()


@pytest.mark.parametrize("backend", [CookieBackend, lambda: CookieBackend(encrypt=True), RecordingStore])
@pytest.mark.parametrize("lifetime", [{"idle_timeout": 60}, {"absolute_timeout": 60}])
async def test_a_connection_ends_when_its_session_expires(
    clock: Clock, backend: Callable[[], Any], lifetime: dict[str, Any]
) -> None:
    async with site(every=0.1, backend=backend(), clock=clock, **lifetime) as here:
        connection = await here.open("/socket")

        clock.advance(60)

        assert is_end(await connection.ends())


async def test_an_expiry_is_not_waited_for_a_whole_period() -> None:
    async with site(idle_timeout=1) as here:
        connection = await here.open("/socket")

        assert is_end(await connection.ends())


async def test_looking_does_not_count_as_using() -> None:
    async with site(every=0.1, idle_timeout=1) as here:
        connection = await here.open("/socket")
        await connection.ends()

        assert "touch" not in store_of(here).calls


@pytest.mark.parametrize("backend", [CookieBackend, RecordingStore])
async def test_a_connection_ends_when_the_application_says_so(clock: Clock, backend: Callable[[], Any]) -> None:
    disabled: set[str] = set()

    async def revalidate(session: Session) -> Session | None:
        return None if session.user_id in disabled else session

    async with site(every=0.1, backend=backend(), revalidate=revalidate, revalidate_every=0) as here:
        connection = await here.open("/socket")

        disabled.add("ada")

        assert is_end(await connection.ends())


async def test_an_id_that_was_moved_away_from_ends_with_its_grace() -> None:
    async with site(rotation_grace=0.5) as here:
        cookie = token_of(here.kit, ADA)

        @here.app.post("/rotate")
        async def rotate(request: Request) -> None:
            regenerate_session(request)

        connection = await here.open("/socket", cookie=cookie)
        client = client_of(here.app, headers={"cookie": cookie.decode()})
        await asyncio.to_thread(client.post, "/rotate")
        await asyncio.sleep(0.1)

        assert not connection.task.done()
        assert is_end(await connection.ends())


@pytest.mark.parametrize("path", ["/socket/moved", "/socket/moved?sign-in"])
async def test_a_session_that_moves_with_the_handshake_is_watched_there(path: str) -> None:
    async with site(every=0.1, rotation_grace=0) as here:
        path, _, query = path.partition("?")
        here.app = with_query(here.app, query)
        connection = await here.open(path)
        await asyncio.sleep(0.5)

        assert not connection.task.done()
        await revoke(here)
        assert is_end(await connection.ends())


def with_query(app: Any, query: str) -> Any:
    async def asked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "query_string": query.encode()}, receive, send)

    return asked


class Wrapper:
    """A backend around another, which passes on all that it does not know."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_a_wrapper_of_a_backend_tells_at_once_too() -> None:
    async with site(backend=Wrapper(StoreBackend(RecordingStore()))) as here:
        connection = await here.open("/socket")

        await revoke(here)

        assert is_end(await connection.ends())


async def test_attack_a_connection_does_not_go_over_to_another_user() -> None:
    async with site() as here:
        cookie = token_of(here.kit, ADA)

        @here.app.post("/switch")
        async def switch(request: Request) -> None:
            update_session(request, user_id="grace")

        connection = await here.open("/socket", cookie=cookie)
        client = client_of(here.app, headers={"cookie": cookie.decode()})
        await asyncio.to_thread(client.post, "/switch")

        assert is_end(await connection.ends())


async def test_attack_a_session_given_to_another_user_ends_the_first_ones_socket() -> None:
    async with site() as here:
        connection = await here.open("/socket")

        await here.kit.sessions.update_user("ada", user_id="grace")

        assert is_end(await connection.ends())


async def test_an_old_sign_in_ends_what_asked_for_a_fresh_one(clock: Clock) -> None:
    guard = RouterGuard([Rule("/*/guarded", fresh=60)])
    async with site(guard, every=0.1, clock=clock) as here:
        connection = await here.open("/socket/guarded")

        clock.advance(61)

        assert is_end(await connection.ends())


async def test_the_shortest_period_counts_for_all_of_a_session() -> None:
    class Silent(RecordingStore):
        watch = None  # type: ignore[assignment]

    async with site(every=600, backend=Silent()) as here:
        cookie = token_of(here.kit, ADA)

        @here.app.websocket("/socket/short")
        async def short(socket: WebSocket) -> None:
            await socket.accept()
            async with session_watch(socket, 0.2):
                here.said.append("short")
                await asyncio.Event().wait()

        long = await here.open("/socket", cookie=cookie)
        connection = here.connect("/socket/short", cookie=cookie)
        await connection.until(lambda: "short" in here.said)
        await revoke(here)

        assert is_end(await long.ends())
        assert is_end(await connection.ends())


@pytest.mark.parametrize("path", ["/stream", "/stream/busy", "/sse"])
async def test_a_stream_ends_behind_whatever_other_middleware(path: str) -> None:
    async def untouched(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    async with site() as here:
        here.app.add_middleware(GZipMiddleware)
        here.app.add_middleware(BaseHTTPMiddleware, dispatch=untouched)
        connection = await here.open(path)

        await revoke(here)

        assert (await connection.ends()).get("more_body", False) is False


# A store that is broken


@pytest.mark.parametrize(("path", "code"), [("/socket", 1013), ("/stream", None)])
async def test_a_store_that_fails_ends_nothing_at_once_but_all_after_a_while(path: str, code: int | None) -> None:
    async with site(every=0.4) as here:
        connection = await here.open(path)
        await connection.until(lambda: "get" in store_of(here).calls)
        store_of(here).broken.add("get")
        await asyncio.sleep(0.8)

        assert not connection.task.done()
        assert (await connection.ends(10)).get("code") == code
        assert code is None or here.said[-1] == "StoreUnavailable"


async def test_a_store_that_comes_back_in_time_ends_nothing() -> None:
    async with site(every=0.4) as here:
        connection = await here.open("/socket")
        store_of(here).broken.add("get")
        await asyncio.sleep(0.6)
        store_of(here).broken.clear()
        await asyncio.sleep(1.5)

        assert not connection.task.done()


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, TimeoutError, SystemError])
async def test_a_look_that_fails_in_any_way_fails_closed(error: type[BaseException]) -> None:
    broken: list[str] = []

    async def revalidate(session: Session) -> Session | None:
        if broken:
            raise error
        return session

    async with site(every=0.2, revalidate=revalidate, revalidate_every=0) as here:
        connection = await here.open("/socket")
        broken.append("now")

        assert (await connection.ends(10))["code"] == 1013


# Before the response has started


@pytest.mark.parametrize("path", ["/poll", "/poll/careless"])
async def test_a_response_that_has_not_started_is_the_refusal(path: str) -> None:
    async with site() as here:
        connection = await here.open(path)
        await revoke(here)
        await connection.ends()

        assert connection.sent[0]["status"] == 401
        assert all(b"secret" not in message.get("body", b"") for message in connection.sent)


async def test_a_handshake_that_was_not_accepted_is_refused() -> None:
    async with site() as here:
        connection = await here.open("/socket/before")
        await revoke(here)

        assert (await connection.ends())["type"] == "websocket.close"
        assert not any(message["type"] == "websocket.accept" for message in connection.sent)


@pytest.mark.parametrize("path", ["/poll", "/socket/before"])
async def test_nobody_can_not_be_watched(path: str) -> None:
    async with site() as here:
        connection = await here.open(path, who=None)
        await connection.ends()

        assert here.said == []
        assert connection.sent[0].get("status", 401) == 401


async def test_a_session_that_begins_with_the_response_is_watched_only_after_it() -> None:
    async with site() as here:

        @here.app.websocket("/socket/early")
        async def early(socket: WebSocket) -> None:
            set_session(socket, ADA)
            async with session_watch(socket):
                pass

        with pytest.raises(SessionKitError, match="after accept"):
            await here.connect("/socket/early", who=None).ends()


@pytest.mark.parametrize("every", [0, -1, "30", None, float("nan")])
async def test_a_period_that_is_none_is_a_configuration_error(every: Any) -> None:
    kit = new_kit()

    with pytest.raises(ConfigurationError, match="every"):
        session_watch(await request_of(kit), every)


async def request_of(kit: SessionKit[Session]) -> Request:
    found: list[Request] = []
    app = FastAPI()
    kit.install(app)

    @app.get("/")
    async def endpoint(request: Request) -> None:
        found.append(request)

    await asyncio.to_thread(client_of(app).get, "/")
    return found[0]


# Nothing is left behind


async def test_behind_the_block_nothing_is_watched_any_more() -> None:
    async with site() as here:

        @here.app.websocket("/socket/for-a-while")
        async def for_a_while(socket: WebSocket) -> None:
            await socket.accept()
            async with session_watch(socket):
                await asyncio.sleep(0)
            here.said.append("in")
            await asyncio.Event().wait()

        connection = await here.open("/socket/for-a-while")
        assert not any(here.kit.services.looks.values())
        await revoke(here)
        await asyncio.sleep(0.3)

        assert not connection.task.done()


async def test_a_client_that_goes_leaves_nothing_behind() -> None:
    async with site() as here:
        for path in ("/socket/gone", "/stream", "/stream/busy", "/sse"):
            here.said.clear()
            connection = await here.open(path)
            connection.over.set()
            with suppress(Exception):
                await connection.ends()

        assert all(not looks for looks in here.kit.services.looks.values())


async def test_a_body_that_is_cancelled_from_outside_stays_cancelled() -> None:
    async with site() as here:
        connection = await here.open("/socket")
        connection.task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await connection.task
        assert here.said == ["in", "out"]


async def test_an_error_in_the_body_is_the_bodys() -> None:
    async with site() as here:

        @here.app.websocket("/socket/wrong")
        async def wrong(socket: WebSocket) -> None:
            await socket.accept()
            async with session_watch(socket):
                raise LookupError

        with pytest.raises(LookupError):
            await here.connect("/socket/wrong").ends()


class Cycle:
    """What a server has of one request: its scope, and how to answer it."""

    def __init__(self, scope: Message) -> None:
        self.scope = scope

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b""}

    async def send(self, message: MutableMapping[str, Any]) -> None: ...


async def test_a_request_goes_without_the_garbage_collector() -> None:
    """The scope leads to the session, and that to the server's object, which has the scope."""
    async with site() as here:
        headers = [(b"cookie", token_of(here.kit, ADA))]

        async def served() -> weakref.ref[Cycle]:
            scope = {"type": "http", "method": "GET", "path": "/nowhere", "query_string": b"", "headers": headers}
            cycle = Cycle(scope)
            await here.app(cycle.scope, cycle.receive, cycle.send)
            return weakref.ref(cycle)

        gc.disable()
        try:
            assert (await served())() is None
        finally:
            gc.enable()


# Many


async def test_many_connections_of_one_session_cost_one_look() -> None:
    async with site(GUARD) as here:
        cookie = token_of(here.kit, ADA)
        connections = [here.connect("/socket/guarded", cookie=cookie) for _ in range(200)]
        await connections[0].until(lambda: here.said.count("in") == 200, 20)
        await asyncio.sleep(0.2)
        before = store_of(here).calls.count("get")

        await demote(here)
        for connection in connections:
            assert is_end(await connection.ends(20))

        # One to change it, one to look.
        assert store_of(here).calls.count("get") - before <= 2


async def test_connections_that_ask_different_things_have_different_answers() -> None:
    async with site(GUARD) as here:
        cookie = token_of(here.kit, ADA)
        plain, guarded = here.connect("/socket", cookie=cookie), here.connect("/socket/guarded", cookie=cookie)
        await plain.until(lambda: here.said.count("in") == 2)

        await demote(here)

        assert is_end(await guarded.ends())
        assert not plain.task.done()


async def test_hooks_are_asked_once_a_look_for_all_connections_alike() -> None:
    asked: list[str] = []

    async def check(rule: Rule, session: Any) -> bool:
        asked.append("check")
        return True

    async with site(GUARD, access=Access(check=check)) as here:
        cookie = token_of(here.kit, ADA)
        first = here.connect("/socket/guarded", cookie=cookie)
        rest = [here.connect("/socket/guarded", cookie=cookie) for _ in range(20)]
        await first.until(lambda: here.said.count("in") == 21)
        await asyncio.sleep(0.2)
        asked.clear()

        await here.kit.sessions.update_user("ada", email="a@b")
        await first.until(lambda: bool(asked))
        await asyncio.sleep(0.2)

        assert asked == ["check"]
        assert not any(each.task.done() for each in rest)
