"""Dependencies: what each gives, when it refuses, that it is one node, and that two of them load once."""

import inspect
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.dependencies.utils import get_dependant
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

import fastapi_sessionkit
from fastapi_sessionkit import (
    Access,
    Session,
    SessionInfo,
    SessionKit,
    custom,
    get_session,
    get_session_info,
    has_all_permissions,
    has_any_permission,
    has_permission,
    has_role,
    has_role_permission,
    is_authenticated,
    permission,
    require,
    require_any_permission,
    require_fresh,
    require_permission,
    require_role,
    require_session,
    role,
    set_session,
)
from fastapi_sessionkit import (
    signed_in as signed_in_requirement,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import EDITOR, SECRET, AppSession, Clock, RecordingStore, app_kit, client_of


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture
def kit(store: RecordingStore, clock: Clock) -> SessionKit[AppSession]:
    return app_kit(backend=store, clock=clock)


@pytest.fixture
def app(kit: SessionKit[AppSession]) -> FastAPI:
    app = FastAPI()
    kit.install(app)
    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return client_of(app)


@pytest.fixture
def ada(client: TestClient, kit: SessionKit[AppSession], store: RecordingStore) -> TestClient:
    signed_in(client, kit, EDITOR)
    store.calls.clear()
    return client


# What each gives


@pytest.fixture(params=["of the module", "of the kit"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


def dependency(kit: SessionKit[Any], flavour: str, name: str) -> Any:
    modules = {
        "get_session": get_session,
        "require_session": require_session,
        "get_session_info": get_session_info,
        "is_authenticated": is_authenticated,
        "has_role": has_role,
        "has_permission": has_permission,
        "has_all_permissions": has_all_permissions,
        "has_any_permission": has_any_permission,
        "has_role_permission": has_role_permission,
        "require": require,
        "require_role": require_role,
        "require_permission": require_permission,
        "require_any_permission": require_any_permission,
        "require_fresh": require_fresh,
    }
    return modules[name] if flavour == "of the module" else getattr(kit, name)


def test_get_session_gives_the_session_or_none(
    app: FastAPI, client: TestClient, kit: SessionKit[AppSession], flavour: str
) -> None:
    seen: list[object] = []

    @app.get("/")
    async def read(session: Annotated[Any, Depends(dependency(kit, flavour, "get_session"))]) -> None:
        seen.append(session)

    client.get("/")
    signed_in(client, kit, EDITOR)
    client.get("/")

    assert seen == [None, EDITOR]
    assert type(seen[1]) is AppSession


def test_require_session_gives_the_session_or_401(
    app: FastAPI, client: TestClient, kit: SessionKit[AppSession], flavour: str
) -> None:
    @app.get("/")
    async def read(session: Annotated[Any, Depends(dependency(kit, flavour, "require_session"))]) -> str:
        return session.user_id

    refused = client.get("/")
    signed_in(client, kit, EDITOR)

    assert (refused.status_code, refused.json()) == (401, {"detail": "Not authenticated"})
    assert refused.headers["www-authenticate"]
    assert client.get("/").json() == "ada"


def test_get_session_info_gives_the_clocks_or_none(
    app: FastAPI, client: TestClient, kit: SessionKit[AppSession], clock: Clock, flavour: str
) -> None:
    seen: list[SessionInfo | None] = []

    @app.get("/")
    async def read(info: Annotated[Any, Depends(dependency(kit, flavour, "get_session_info"))]) -> None:
        seen.append(info)

    client.get("/")
    signed_in(client, kit, EDITOR)
    began = datetime.fromtimestamp(clock(), UTC)
    clock.advance(60)
    client.get("/")

    assert seen == [None, SessionInfo(began, began, began, began + timedelta(days=7))]


@pytest.mark.parametrize(("ttl", "lives"), [(None, timedelta(days=7)), (3_600, timedelta(hours=1))])
def test_get_session_info_after_a_sign_in_is_what_it_will_be(
    app: FastAPI, client: TestClient, kit: SessionKit[AppSession], clock: Clock, ttl: float | None, lives: timedelta
) -> None:
    seen: list[SessionInfo | None] = []

    @app.post("/")
    async def sign_in(request: Request) -> None:
        seen.append(await get_session_info(request))
        kit.set_session(request, EDITOR, ttl=ttl)
        seen.append(await get_session_info(request))

    @app.get("/")
    async def read(info: Annotated[Any, Depends(get_session_info)]) -> None:
        seen.append(info)

    signed_in(client, kit, EDITOR)
    clock.advance(86_400)
    began = datetime.fromtimestamp(clock(), UTC)
    client.post("/")
    client.get("/")

    before, *after = seen
    assert before is not None
    assert before.created_at == began - timedelta(days=1)
    assert after == [SessionInfo(began, began, began, began + lives)] * 2


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("has_role", ("author",), True),
        ("has_role", ("admin",), False),
        ("has_permission", ("read",), True),
        ("has_permission", ("delete",), False),
        ("has_all_permissions", ("read", "write"), True),
        ("has_all_permissions", ("read", "delete"), False),
        ("has_any_permission", ("delete", "write"), True),
        ("has_any_permission", ("delete",), False),
        ("has_role_permission", ("editor", "read"), True),
        ("has_role_permission", ("editor", "delete"), False),
        ("has_role_permission", ("admin", "read"), False),
    ],
)
def test_what_asks_gives_true_or_false_and_false_for_nobody(
    app: FastAPI,
    client: TestClient,
    kit: SessionKit[AppSession],
    flavour: str,
    name: str,
    arguments: tuple[str, ...],
    answer: bool,
) -> None:
    @app.get("/")
    async def read(answered: Annotated[bool, Depends(dependency(kit, flavour, name)(*arguments))]) -> bool:
        return answered

    assert client.get("/").json() is False
    signed_in(client, kit, EDITOR)
    assert client.get("/").json() is answer


def test_is_authenticated_gives_true_or_false(
    app: FastAPI, client: TestClient, kit: SessionKit[AppSession], flavour: str
) -> None:
    @app.get("/")
    async def read(answered: Annotated[bool, Depends(dependency(kit, flavour, "is_authenticated"))]) -> bool:
        return answered

    assert client.get("/").json() is False
    signed_in(client, kit, EDITOR)
    assert client.get("/").json() is True


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("require_role", ("admin", "author"), 200),
        ("require_role", ("admin",), 403),
        ("require_permission", ("read", "write"), 200),
        ("require_permission", ("read", "delete"), 403),
        ("require_any_permission", ("delete", "write"), 200),
        ("require_any_permission", ("delete",), 403),
        ("require_fresh", (60,), 200),
        ("require_fresh", (timedelta(seconds=29),), 401),
        ("require", (role("editor") & permission("read"),), 200),
        ("require", (role("admin") | permission("delete"),), 403),
        ("require", (signed_in_requirement,), 200),
    ],
    ids=str,
)
def test_what_requires_gives_the_session_or_403_and_401_for_nobody(
    app: FastAPI,
    client: TestClient,
    kit: SessionKit[AppSession],
    clock: Clock,
    flavour: str,
    name: str,
    arguments: tuple[Any, ...],
    status: int,
) -> None:
    @app.get("/")
    async def read(session: Annotated[AppSession, Depends(dependency(kit, flavour, name)(*arguments))]) -> str:
        return session.user_id

    assert client.get("/").status_code == 401
    signed_in(client, kit, EDITOR)
    clock.advance(30)
    response = client.get("/")

    assert response.status_code == status
    assert response.json() == ("ada" if status == 200 else response.json())


def test_a_refusal_says_what_is_required_and_nothing_about_the_session(app: FastAPI, ada: TestClient) -> None:
    @app.get("/", dependencies=[Depends(require(role("admin") & permission("delete")))])
    async def read() -> None: ...

    assert ada.get("/").json() == {"detail": "Requires role:admin & permission:delete"}


def test_an_async_requirement_is_awaited(app: FastAPI, ada: TestClient) -> None:
    async def premium(session: AppSession | None) -> bool:
        return session is not None and session.tier == "premium"

    @app.get("/", dependencies=[Depends(require(custom(premium)))])
    async def read() -> None: ...

    assert ada.get("/").status_code == 403


def test_freshness_counts_from_the_sign_in_and_not_from_the_last_use(
    app: FastAPI, client: TestClient, kit: SessionKit[AppSession], clock: Clock
) -> None:
    @app.get("/", dependencies=[Depends(require_session)])
    async def read() -> None: ...

    @app.get("/transfer", dependencies=[Depends(require_fresh(timedelta(days=2)))])
    async def transfer() -> None: ...

    signed_in(client, kit, EDITOR)
    clock.advance(1.5 * 86_400)
    client.get("/")
    clock.advance(0.5 * 86_400)
    assert client.get("/transfer").status_code == 200
    clock.advance(1)
    assert client.get("/transfer").status_code == 401


def test_any_pydantic_model_is_a_session_with_access_hooks() -> None:
    class Visitor(BaseModel):
        job: str

    kit = SessionKit(Visitor, secret_key=SECRET, access=Access(get_roles=lambda visitor: [visitor.job]))
    app = FastAPI()
    kit.install(app)

    @app.get("/", dependencies=[Depends(require_role("cook"))])
    async def read() -> None: ...

    client = client_of(app)

    assert signed_in(client, kit, Visitor(job="cook")).get("/").status_code == 200
    assert signed_in(client, kit, Visitor(job="waiter")).get("/").status_code == 403


# On WebSockets and routers


def test_dependencies_serve_web_sockets(app: FastAPI, client: TestClient, kit: SessionKit[AppSession]) -> None:
    @app.websocket("/ws")
    async def socket(websocket: WebSocket, session: Annotated[AppSession, Depends(kit.require_role("editor"))]) -> None:
        await websocket.accept()
        await websocket.send_text(session.user_id)
        await websocket.close()

    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("wss://testserver/ws"):
        pass
    signed_in(client, kit, EDITOR)
    with client.websocket_connect("wss://testserver/ws") as connection:
        greeting = connection.receive_text()

    assert refused.value.status_code == 401
    assert greeting == "ada"


def test_a_handshake_that_can_not_be_answered_is_closed(app: FastAPI, client: TestClient) -> None:
    """As with a server that lacks the extension for responses to a handshake."""

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, session: Annotated[Session, Depends(require_session)]) -> None: ...

    class WithoutExtension:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "extensions": {}}, receive, send)

    client = client_of(WithoutExtension(app))
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/ws"):
        pass


def test_a_router_takes_them_as_its_dependencies(app: FastAPI, ada: TestClient) -> None:
    outer, inner = (
        APIRouter(prefix="/a", dependencies=[Depends(require_session)]),
        APIRouter(prefix="/b", dependencies=[Depends(require_role("admin"))]),
    )

    @outer.get("/open")
    async def opened() -> None: ...

    @inner.get("/closed")
    async def closed() -> None: ...

    outer.include_router(inner)
    app.include_router(outer)

    assert (ada.get("/a/open").status_code, ada.get("/a/b/closed").status_code) == (200, 403)


# Equality, overrides and cost

MAKERS: dict[str, Callable[[Any], Any]] = {
    "require_role": lambda it: it.require_role("admin", "auditor"),
    "require_permission": lambda it: it.require_permission("a", "b"),
    "require_any_permission": lambda it: it.require_any_permission("a", "b"),
    "require_fresh": lambda it: it.require_fresh(60),
    "require": lambda it: it.require(role("a") & permission("b")),
    "has_role": lambda it: it.has_role("a"),
    "has_permission": lambda it: it.has_permission("a"),
    "has_all_permissions": lambda it: it.has_all_permissions("a", "b"),
    "has_any_permission": lambda it: it.has_any_permission("a", "b"),
    "has_role_permission": lambda it: it.has_role_permission("a", "b"),
    "get_session": lambda it: it.get_session,
    "require_session": lambda it: it.require_session,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_same_dependency_twice_is_equal_and_hashes_alike(
    make: Callable[[Any], object], kit: SessionKit[AppSession]
) -> None:
    for namespace in (fastapi_sessionkit, kit):
        assert make(namespace) == make(namespace)
        assert hash(make(namespace)) == hash(make(namespace))
    assert make(fastapi_sessionkit) != make(kit)


def test_dependencies_that_differ_are_not_equal(kit: SessionKit[AppSession]) -> None:
    other = app_kit()

    assert require_role("a") != require_role("b")
    assert require_role("a") != has_role("a")
    assert require_role("a") != require_permission("a")
    assert kit.require_role("a") != other.require_role("a")
    assert require(role("a")) == require_role("a")


def test_the_same_dependency_twice_runs_once_a_request(app: FastAPI, ada: TestClient) -> None:
    asked: list[object] = []

    def count(session: object) -> bool:
        asked.append(session)
        return True

    @app.get("/", dependencies=[Depends(require(custom(count))), Depends(require(custom(count)))])
    async def read() -> None: ...

    ada.get("/")

    assert len(asked) == 1


def test_many_dependencies_load_the_session_once(app: FastAPI, ada: TestClient, store: RecordingStore) -> None:
    @app.get("/", dependencies=[Depends(require_role("editor")), Depends(require_permission("read"))])
    async def read(
        session: Annotated[Session, Depends(require_session)],
        same: Annotated[Session | None, Depends(get_session)],
        may_read: Annotated[bool, Depends(has_permission("read"))],
    ) -> None: ...

    ada.get("/")

    assert store.calls == ["get"]


def test_a_request_that_does_not_ask_reads_nothing(app: FastAPI, ada: TestClient, store: RecordingStore) -> None:
    @app.get("/")
    async def read() -> None: ...

    response = ada.get("/")

    assert store.calls == []
    assert not {"vary", "cache-control", "set-cookie"} & set(response.headers)


def test_overrides_apply_to_every_use_of_an_equal_dependency(app: FastAPI, client: TestClient) -> None:
    @app.get("/", dependencies=[Depends(require_role("admin"))])
    async def read() -> None: ...

    @app.get("/other", dependencies=[Depends(require_role("auditor"))])
    async def other() -> None: ...

    app.dependency_overrides[require_role("admin")] = lambda: EDITOR

    assert (client.get("/").status_code, client.get("/other").status_code) == (200, 401)


def test_a_kits_own_dependencies_are_overridden_by_their_names(
    app: FastAPI, client: TestClient, kit: SessionKit[AppSession]
) -> None:
    @app.get("/")
    async def read(session: Annotated[AppSession, Depends(kit.require_session)]) -> str:
        return session.user_id

    app.dependency_overrides[kit.require_session] = lambda: EDITOR

    assert client.get("/").json() == "ada"


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_is_one_flat_async_dependency(make: Callable[[Any], Any], kit: SessionKit[AppSession]) -> None:
    call = make(kit)
    found = get_dependant(path="/", call=call)

    assert inspect.iscoroutinefunction(call if inspect.isroutine(call) else type(call).__call__)
    assert found.http_connection_param_name == "connection"
    assert [found.dependencies, found.query_params, found.cookie_params, found.header_params] == [[], [], [], []]


def test_none_of_them_takes_a_thread(app: FastAPI, ada: TestClient) -> None:
    threads: set[int] = set()

    def note(session: object) -> bool:
        threads.add(threading.get_ident())
        return True

    @app.get("/", dependencies=[Depends(require(custom(note)))])
    async def read() -> None:
        threads.add(threading.get_ident())

    ada.get("/")

    assert len(threads) == 1


def test_a_dependency_of_ones_own_awaits_them_like_functions(
    app: FastAPI, ada: TestClient, kit: SessionKit[AppSession]
) -> None:
    async def tier(connection: HTTPConnection) -> str:
        session = await kit.get_session(connection)
        return "nobody" if session is None else session.tier

    @app.get("/")
    async def read(found: Annotated[str, Depends(tier)]) -> str:
        return found

    assert ada.get("/").json() == "free"


def test_the_sign_in_of_this_request_is_seen_by_later_reads(app: FastAPI, client: TestClient) -> None:
    @app.post("/")
    async def sign_in(request: Request) -> list[Any]:
        before = await get_session(request)
        set_session(request, EDITOR)
        fresh = await require_fresh(1)(request)
        return [before, (await require_session(request)).user_id, fresh.user_id]

    assert client.post("/").json() == [None, "ada", "ada"]
