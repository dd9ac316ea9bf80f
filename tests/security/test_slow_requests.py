"""A request that dribbles in, or a dependency that takes its time, does not outlive the rights that let it in."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Request, WebSocket
from starlette.responses import PlainTextResponse

from fastapi_sessionkit import (
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    has_role,
    is_authenticated,
    require_role,
    require_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import SECRET, Clock, RecordingStore, client_of

pytestmark = pytest.mark.anyio

ADMIN = Session(user_id="ada", role="admin")


class Slow:
    """An application whose store somebody else changes while a request is under way."""

    def __init__(self, clock: Clock, **settings: Any) -> None:
        self.clock = clock
        self.store = RecordingStore()
        self.kit = SessionKit(secret_key=SECRET, backend=self.store, clock=clock, **settings)
        self.app = FastAPI()
        self.ran: list[str] = []
        router = APIRouter(dependencies=[Depends(RouterGuard(protect=[Rule("/guarded/**", role="admin")]))])

        @self.app.post("/gated/body")
        async def gated(content: Annotated[Any, Body()]):
            self.ran.append("gated")

        @self.app.post("/asked/stream", dependencies=[Depends(require_role("admin"))])
        async def stream(request: Request):
            async for _ in request.stream():
                pass
            self.ran.append("stream")

        @self.app.post("/asked/signed-in", dependencies=[Depends(require_session)])
        async def signed_in_stream(request: Request):
            await request.body()
            self.ran.append("signed in")

        @router.post("/guarded/stream")
        async def guarded(request: Request):
            await request.body()
            self.ran.append("guarded")

        self.app.include_router(router)
        self.kit.install(self.app, guard=RouterGuard(protect=[Rule("/gated/**", role="admin")]))
        self.client = signed_in(client_of(self.app), self.kit, ADMIN)

    async def post(self, path: str, seconds: float, meanwhile: Callable[[], Any], *, pauses: int = 0) -> int:
        """Send a body whose second half comes after some seconds, in which something happens; gives the status.

        Between the halves it may pause several times as long.
        """
        cookie = f"{self.kit.cookie_name}={self.client.cookies[self.kit.cookie_name]}".encode()
        headers = [(b"host", b"testserver"), (b"cookie", cookie), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "https",
            "path": path,
            "query_string": b"",
            "headers": headers,
        }
        parts = iter([(b"[1,", True), *[(b" ", True)] * pauses, (b"2]", False)])
        sent: list[Any] = []

        async def receive() -> Any:
            body, more = next(parts)
            if body == b" ":
                self.clock.advance(seconds)
            if not more:
                self.clock.advance(seconds)
                await meanwhile()
            # ASGI lets a server leave out that no more comes.
            return {"type": "http.request", "body": body, **({"more_body": True} if more else {})}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        status: int = sent[0]["status"]
        return status


BODIES = ["/gated/body", "/asked/stream", "/asked/signed-in", "/guarded/stream"]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("seconds", [6, -60], ids=["late", "the clock was set back"])
async def test_a_body_that_dribbles_in_does_not_outlive_the_account(path: str, seconds: float, clock: Clock) -> None:
    slow = Slow(clock)

    assert await slow.post(path, seconds, lambda: slow.kit.sessions.revoke_user("ada")) == 401
    assert slow.ran == []


@pytest.mark.parametrize("path", [path for path in BODIES if "signed-in" not in path])
async def test_a_body_that_dribbles_in_does_not_outlive_the_role(path: str, clock: Clock) -> None:
    slow = Slow(clock)

    assert await slow.post(path, 6, lambda: slow.kit.sessions.update_user("ada", role="reader")) == 403
    assert slow.ran == []


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("seconds", [0, 5, 6, -3_600])
async def test_a_slow_body_of_somebody_who_stays_signed_in_is_served(path: str, seconds: float, clock: Clock) -> None:
    slow = Slow(clock)

    assert await slow.post(path, seconds, nothing) == 200
    assert len(slow.ran) == 1


async def nothing() -> None:
    pass


@pytest.mark.parametrize("path", BODIES)
async def test_a_body_in_many_parts_is_looked_at_where_it_ends(path: str, clock: Clock) -> None:
    """Whoever sends it byte by byte costs the store no look for each of them."""
    slow = Slow(clock)
    slow.store.calls.clear()

    assert await slow.post(path, 6, nothing, pauses=20) == 200
    assert slow.store.calls.count("get") == 2


def test_the_messages_of_a_socket_are_looked_at_by_whoever_watches_it(clock: Clock) -> None:
    """``session_watch`` does, once a period; a message by itself asks nothing and ends nothing."""
    slow = Slow(clock)

    @slow.app.websocket("/gated/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    with slow.client.websocket_connect("wss://testserver/gated/socket") as connection:
        slow.store.calls.clear()
        clock.advance(6)
        connection.send_text("still here")

        assert connection.receive_text() == "still here"
    assert slow.store.calls == []


async def test_a_body_in_time_costs_no_second_look(clock: Clock) -> None:
    slow = Slow(clock)

    assert await slow.post("/gated/body", 4, lambda: slow.kit.sessions.revoke_user("ada")) == 200


@pytest.mark.parametrize("dependency", [require_session, require_role("admin"), has_role("admin"), is_authenticated])
async def test_a_decision_after_a_slow_dependency_stands_on_the_store(dependency: Any, clock: Clock) -> None:
    kit = SessionKit(secret_key=SECRET, backend=MemoryStore(), clock=clock)
    app = FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/slow")]))

    async def slow() -> None:
        clock.advance(6)
        await kit.sessions.revoke_user("ada")

    @app.get("/slow")
    async def endpoint(first: Annotated[None, Depends(slow)], answer: Annotated[Any, Depends(dependency)]):
        return PlainTextResponse("in" if answer else "out")

    response = signed_in(client_of(app), kit, ADMIN).get("/slow")

    assert response.status_code == 401 or response.text == "out"


async def test_what_a_slow_request_has_marked_before_is_saved_all_the_same(clock: Clock) -> None:
    kit = SessionKit(secret_key=SECRET, backend=MemoryStore(), clock=clock)
    app = FastAPI()
    kit.install(app)

    async def slow(request: Request) -> None:
        await kit.require_session(request)
        update_session(request, theme="dark")
        clock.advance(6)

    @app.get("/slow", dependencies=[Depends(slow), Depends(require_session)])
    async def endpoint():
        pass

    client = signed_in(client_of(app), kit, ADMIN)
    client.get("/slow")
    [active] = await kit.sessions.list("ada")

    assert active.session.model_extra == {"theme": "dark"}


# What meets it: marks of the request itself, another user, a second application, another look in between


def slow_site(clock: Clock, session: Session = ADMIN) -> tuple[SessionKit[Session], FastAPI, Any]:
    kit = SessionKit(secret_key=SECRET, backend=MemoryStore(), clock=clock)
    app = FastAPI()
    kit.install(app)
    return kit, app, signed_in(client_of(app), kit, session)


async def test_a_request_that_has_marked_something_keeps_no_right_by_it(clock: Clock) -> None:
    kit, app, client = slow_site(clock)

    async def slow(request: Request) -> None:
        await kit.require_session(request)
        update_session(request, visits=1)
        clock.advance(6)
        await kit.sessions.update_user("ada", role=None)

    @app.get("/slow", dependencies=[Depends(slow), Depends(require_role("admin"))])
    async def endpoint():
        pass

    assert client.get("/slow").status_code == 403


async def test_a_session_that_is_to_move_keeps_no_right_by_it(clock: Clock) -> None:
    slow = Slow(clock)
    await slow.kit.sessions.update_user("ada", permissions=["read"])

    assert await slow.post("/gated/body", 6, lambda: slow.kit.sessions.update_user("ada", role=None)) == 403


@pytest.mark.parametrize("in_place", [False, True])
async def test_after_a_second_look_adas_change_is_not_written_to_bob(in_place: bool, clock: Clock) -> None:
    kit, app, client = slow_site(clock, Session.model_validate({"user_id": "ada", "cart": []}))

    async def change(request: Request) -> None:
        session = await kit.require_session(request)
        assert session.model_extra is not None
        session.model_extra["cart"].append("ada's") if in_place else update_session(request, cart=["ada's"])
        clock.advance(6)
        await kit.sessions.update_user("ada", user_id="bob")

    @app.get("/slow", dependencies=[Depends(change), Depends(is_authenticated_as_parameter)])
    async def endpoint():
        pass

    client.get("/slow")
    [active] = await kit.sessions.list("bob")

    assert active.session.model_extra == {"cart": []}


async def is_authenticated_as_parameter(answer: Annotated[bool, Depends(is_authenticated)]) -> bool:
    return answer


async def test_the_guard_of_a_mounted_application_is_asked_again_too(clock: Clock) -> None:
    slow = Slow(clock)
    outer = FastAPI()
    slow.kit.install(outer)
    outer.mount("/inner", slow.app)
    inner, slow.app = slow.app, outer

    assert await slow.post("/inner/gated/body", 6, lambda: slow.kit.sessions.revoke_user("ada")) == 401
    assert (slow.ran, slow.app is inner) == ([], False)


async def test_a_second_look_by_a_dependency_asks_the_gate_again(clock: Clock) -> None:
    kit, app, client = slow_site(clock)

    async def slow() -> None:
        clock.advance(6)
        await kit.sessions.update_user("ada", role=None)

    @app.get("/slow", dependencies=[Depends(require_role("admin")), Depends(slow), Depends(require_session)])
    async def endpoint():
        pass

    assert client.get("/slow").status_code == 403


async def test_what_a_request_has_changed_is_still_seen_after_a_second_look(clock: Clock) -> None:
    kit, app, client = slow_site(clock)

    async def slow(request: Request) -> None:
        await kit.require_session(request)
        update_session(request, theme="dark")
        clock.advance(6)

    @app.get("/slow", dependencies=[Depends(slow)])
    async def endpoint(session: Annotated[Session, Depends(kit.require_session)]):
        return session

    assert client.get("/slow").json()["theme"] == "dark"


async def test_a_router_s_guard_decides_anew_after_a_slow_dependency(clock: Clock) -> None:
    slow = Slow(clock)
    ran: list[str] = []

    async def first(session: Annotated[Session, Depends(require_session)]) -> None:
        clock.advance(6)
        await slow.kit.sessions.update_user("ada", role="reader")

    guard = RouterGuard(protect=[Rule("/late/**", role="admin")])
    router = APIRouter(dependencies=[Depends(first), Depends(guard)])

    @router.post("/late/page")
    async def page() -> None:
        ran.append("page")

    slow.app.include_router(router)

    assert slow.client.post("/late/page").status_code == 403
    assert ran == []
