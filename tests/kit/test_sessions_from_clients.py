"""A session never comes from a client: a route that would take one fails the start, and says what to write."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, NamedTuple, Optional, TypeVar, Union

import pytest
from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, Form, Header, Query, Request, WebSocket
from pydantic import BaseModel, Json, RootModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Host, Mount
from typing_extensions import TypeAliasType, TypedDict

from fastapi_sessionkit import Access, ConfigurationError, CookieSettings, Session, SessionKit
from tests.support import ADA, SECRET, AppSession, app_kit, client_of

T = TypeVar("T")
Alias = TypeAliasType("Alias", AppSession)
SaidSo = TypeAliasType("SaidSo", Annotated[AppSession, Body()])


class Transfer(BaseModel):
    to: str = ""
    session: AppSession | None = None


class Deep(BaseModel):
    transfers: dict[str, list[Transfer]] = {}


class Of(BaseModel, Generic[T]):
    value: T


class Sessions(RootModel[list[Session]]):
    pass


class Typed(TypedDict):
    session: AppSession


class Named(NamedTuple):
    session: AppSession


@dataclass
class Data:
    session: AppSession


class Recursive(BaseModel):
    children: list["Recursive"] = []
    text: str = ""


def body(session: AppSession) -> None: ...
def the_base(session: Session) -> None: ...
def annotated(session: Annotated[AppSession, "a note"]) -> None: ...
def optional(session: AppSession | None = None) -> None: ...
def typing_optional(session: Optional[AppSession] = None) -> None: ...  # noqa: UP045
def union(session: Union[int, AppSession]) -> None: ...  # noqa: UP007
def a_list(sessions: list[AppSession]) -> None: ...
def a_mapping(sessions: dict[str, AppSession]) -> None: ...
def an_alias(session: Alias) -> None: ...
def a_list_of_an_alias(sessions: list[Alias]) -> None: ...
def nested(transfer: Transfer) -> None: ...
def deeper(transfer: Deep) -> None: ...
def generic(transfer: Of[AppSession]) -> None: ...
def a_root(transfer: Sessions) -> None: ...
def a_dataclass(transfer: Data) -> None: ...
def a_typed_dict(transfer: Typed) -> None: ...
def a_named_tuple(transfer: list[Named]) -> None: ...
def beside_another(amount: Annotated[int, Body()], session: AppSession) -> None: ...
def a_query(session: Annotated[AppSession, Query()]) -> None: ...
def a_query_by_default(session: AppSession = Query()) -> None: ...  # noqa: B008
def a_json_query(session: Annotated[Json[AppSession], Query()]) -> None: ...
def a_form(session: Annotated[AppSession, Form()]) -> None: ...
def an_optional_form(session: Annotated[AppSession | None, Form()] = None) -> None: ...
def a_header(session: Annotated[AppSession, Header()]) -> None: ...
def a_cookie(session: Annotated[AppSession, Cookie()]) -> None: ...


SOURCES: dict[str, list[Callable[..., None]]] = {
    "body": [
        body,
        the_base,
        annotated,
        optional,
        typing_optional,
        union,
        a_list,
        a_mapping,
        an_alias,
        a_list_of_an_alias,
        nested,
        deeper,
        generic,
        a_root,
        a_dataclass,
        a_typed_dict,
        a_named_tuple,
        beside_another,
    ],
    "query": [a_query, a_query_by_default, a_json_query],
    "form": [a_form, an_optional_form],
    "headers": [a_header],
    "cookies": [a_cookie],
}


def start(app: Any) -> None:
    with client_of(app):
        pass


def installed(**options: Any) -> FastAPI:
    app = FastAPI()
    app_kit(**options).install(app)
    return app


@pytest.mark.parametrize(
    ("source", "endpoint"), [(source, each) for source, endpoints in SOURCES.items() for each in endpoints]
)
def test_a_session_from_a_client_fails_the_start_and_says_what_to_write(
    source: str, endpoint: Callable[..., None]
) -> None:
    app = installed()
    app.post("/transfer")(endpoint)
    said = rf"^/transfer: \w+ takes its \w*Session from the {source},.*: Annotated\[\w+, Depends\(kit\.require_session\)\].*Body\(\)"

    with pytest.raises(ConfigurationError, match=said):
        start(app)


def annotated_depends(session: Annotated[AppSession, Depends()]) -> None: ...
def depends_by_default(session: AppSession = Depends()) -> None: ...


@pytest.mark.parametrize(
    "made",
    [AppSession, Session, partial(AppSession, role="user"), AppSession.model_validate, AppSession.model_construct],
)
def test_a_session_that_depends_builds_fails_the_start(made: Any) -> None:
    app = installed()
    app.get("/transfer", dependencies=[Depends(made)])(lambda: None)

    with pytest.raises(ConfigurationError, match=r"^/transfer: Depends\(\) builds its \w*Session from the query"):
        start(app)


@pytest.mark.parametrize("endpoint", [annotated_depends, depends_by_default])
def test_a_bare_depends_fails_the_start(endpoint: Any) -> None:
    app = installed()
    app.get("/transfer")(endpoint)

    with pytest.raises(ConfigurationError, match=r"write Annotated\[AppSession, Depends\(kit\.require_session\)\]$"):
        start(app)


# Wherever it stands


def on_a_dependency(app: FastAPI) -> None:
    app.post("/transfer", dependencies=[Depends(body)])(lambda: None)


def two_dependencies_down(app: FastAPI) -> None:
    async def asks(transfer: Annotated[None, Depends(nested)]) -> None: ...

    app.post("/transfer", dependencies=[Depends(asks)])(lambda: None)


def on_a_dependency_with_a_class(app: FastAPI) -> None:
    class Asks:
        def __init__(self, session: Annotated[AppSession, Query()]) -> None: ...

    app.post("/transfer", dependencies=[Depends(Asks)])(lambda: None)


def on_a_websocket(app: FastAPI) -> None:
    @app.websocket("/transfer")
    async def socket(websocket: WebSocket, session: Annotated[AppSession, Query()]) -> None: ...


def on_an_included_router(app: FastAPI) -> None:
    router = APIRouter()
    app.include_router(router, prefix="/sub")
    router.post("/transfer")(body)


def on_a_router_in_a_router(app: FastAPI) -> None:
    outer, inner = APIRouter(prefix="/sub"), APIRouter()
    app.include_router(outer)
    outer.include_router(inner)
    inner.websocket("/transfer")(a_query)


def on_a_router_s_dependency(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(body)])
    router.post("/transfer")(lambda: None)
    app.include_router(router)


def on_the_application_s_dependency_at_inclusion(app: FastAPI) -> None:
    router = APIRouter()
    router.post("/transfer")(lambda: None)
    app.include_router(router, dependencies=[Depends(body)])


def on_a_mounted_application(app: FastAPI) -> None:
    sub = FastAPI()
    sub.post("/transfer")(body)
    app.mount("/sub", sub)


def on_an_application_mounted_in_middleware(app: FastAPI) -> None:
    sub = FastAPI()
    sub.post("/transfer")(body)
    app.mount("/sub", GZipMiddleware(sub))


def on_an_application_mounted_with_middleware(app: FastAPI) -> None:
    sub = FastAPI()
    sub.post("/transfer")(body)
    app.router.routes.append(Mount("/sub", sub, middleware=[Middleware(GZipMiddleware)]))


def on_an_application_of_a_host(app: FastAPI) -> None:
    sub = FastAPI()
    sub.post("/transfer")(body)
    app.router.routes.append(Host("api.example", sub))


def on_a_mounted_router(app: FastAPI) -> None:
    router = APIRouter()
    router.post("/transfer")(body)
    app.mount("/sub", router)


def on_an_application_below_a_mounted_router(app: FastAPI) -> None:
    sub = FastAPI()
    sub.post("/transfer")(body)
    app.router.routes.append(Mount("/sub", routes=[Mount("/below", sub)]))


def on_an_application_mounted_on_an_included_router(app: FastAPI) -> None:
    sub, router = FastAPI(), APIRouter(prefix="/sub")
    sub.post("/transfer")(body)
    router.mount("/below", sub)
    app.include_router(router)


def on_an_application_with_a_kit_of_its_own(app: FastAPI) -> None:
    sub = FastAPI()
    sub.post("/transfer")(body)
    app_kit(name="own", cookie=CookieSettings(name="own")).install(sub)
    app.mount("/sub", sub)


PLACES = [
    on_a_dependency,
    two_dependencies_down,
    on_a_dependency_with_a_class,
    on_a_websocket,
    on_an_included_router,
    on_a_router_in_a_router,
    on_a_router_s_dependency,
    on_the_application_s_dependency_at_inclusion,
    on_a_mounted_application,
    on_an_application_mounted_in_middleware,
    on_an_application_mounted_with_middleware,
    on_an_application_of_a_host,
    on_a_mounted_router,
    on_an_application_below_a_mounted_router,
    on_an_application_mounted_on_an_included_router,
    on_an_application_with_a_kit_of_its_own,
]
WHERE = r"^(/sub)?(/below)?/transfer: "


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_wherever_it_stands(place: Callable[[FastAPI], None]) -> None:
    app = installed()
    place(app)

    with pytest.raises(ConfigurationError, match=WHERE):
        start(app)


@pytest.mark.parametrize("place", PLACES)
def test_added_later_it_fails_the_next_request_and_all_after_it(place: Callable[[FastAPI], None]) -> None:
    app = installed()
    app.get("/")(lambda: None)
    with client_of(app) as client:
        assert client.get("/").status_code == 200
        place(app)

        for _ in range(2):
            with pytest.raises(ConfigurationError, match=WHERE):
                client.get("/")


@pytest.mark.parametrize("owner", ["included", "below the included", "mounted application", "mounted router"])
def test_added_later_to_what_was_there_already_it_is_found_too(owner: str) -> None:
    app, included, below, sub, mounted = installed(), APIRouter(), APIRouter(), FastAPI(), APIRouter()
    app.include_router(included)
    included.include_router(below)
    app.mount("/sub", sub)
    app.mount("/mounted", mounted)
    owners: dict[str, Any] = {
        "included": included,
        "below the included": below,
        "mounted application": sub,
        "mounted router": mounted,
    }
    client = client_of(app)
    assert client.get("/").status_code == 404

    owners[owner].post("/transfer")(body)

    with pytest.raises(ConfigurationError, match=r"/transfer: "):
        client.get("/")


def test_without_a_lifespan_the_first_request_fails() -> None:
    app = installed()
    app.post("/transfer")(body)

    with pytest.raises(ConfigurationError, match=r"^/transfer: "):
        client_of(app).get("/")


def test_a_route_that_takes_another_s_place_is_looked_at() -> None:
    app = installed()
    app.get("/old")(lambda: None)
    client = client_of(app)
    client.get("/old")

    del app.router.routes[-1]
    app.post("/transfer")(body)

    with pytest.raises(ConfigurationError, match=r"^/transfer: "):
        client.get("/")


def test_an_application_that_does_not_change_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = installed()
    client = client_of(app)
    looked: list[object] = []
    monkeypatch.setattr("fastapi_sessionkit.kit.check_routes", looked.append)

    for _ in range(3):
        client.get("/")
    assert len(looked) == 1
    app.get("/late")(lambda: None)
    for _ in range(3):
        client.get("/late")
    assert len(looked) == 2


# What stays possible


def said_in_the_annotation(session: Annotated[AppSession, Body()]) -> str:
    return session.user_id


def said_as_the_default(session: AppSession = Body()) -> str:  # noqa: B008
    return session.user_id


def said_in_an_alias(session: SaidSo) -> str:
    return session.user_id


def said_of_what_holds_one(transfer: Annotated[Transfer, Body()]) -> str:
    return "" if transfer.session is None else transfer.session.user_id


@pytest.mark.parametrize("endpoint", [said_in_the_annotation, said_as_the_default, said_in_an_alias])
def test_who_says_body_gets_the_client_s_session(endpoint: Any) -> None:
    app = installed()
    app.post("/transfer")(endpoint)

    with client_of(app) as client:
        assert client.post("/transfer", json={"user_id": "root"}).json() == "root"


def test_who_says_body_of_what_holds_a_session_gets_it() -> None:
    app = installed()
    app.post("/transfer")(said_of_what_holds_one)

    with client_of(app) as client:
        assert client.post("/transfer", json={"session": {"user_id": "root"}}).json() == "root"


def test_a_response_may_be_a_session_and_a_body_anything_else() -> None:
    app = installed()
    kit = app_kit(name="second", cookie=CookieSettings(name="second"))
    kit.install(app)

    @app.post("/me", response_model=AppSession, responses={404: {"model": Transfer}})
    async def me(request: Request, tree: Recursive, names: list[str], page: int = 1) -> AppSession:
        return ADA

    @app.get("/who")
    async def who(session: Annotated[AppSession | None, Depends(kit.get_session)]) -> list[AppSession]:
        return [] if session is None else [session]

    with client_of(app) as client:
        assert client.post("/me", json={"tree": {}, "names": []}).json()["user_id"] == "ada"
        assert client.get("/who").json() == []


def test_what_is_overridden_does_not_count() -> None:
    app = installed()
    on_a_dependency(app)
    app.dependency_overrides[body] = lambda: None

    start(app)


# A model that is no Session


class Account(BaseModel):
    name: str


class Basket(BaseModel):
    items: int = 0


@pytest.mark.parametrize("below", [False, True])
def test_the_kit_s_own_model_counts_whatever_it_is(below: bool) -> None:
    app, sub = FastAPI(), FastAPI()
    SessionKit(Account, secret_key=SECRET, access=Access()).install(app)
    app.mount("/sub", sub)

    @(sub if below else app).post("/transfer")
    async def transfer(basket: Basket, account: Account) -> None: ...

    with pytest.raises(ConfigurationError, match=r"/transfer: account takes its Account from the body"):
        start(app)


def test_the_model_of_a_kit_elsewhere_does_not_count() -> None:
    app, sub = installed(), Starlette()
    SessionKit(Account, secret_key=SECRET, name="sub", cookie=CookieSettings(name="sub")).install(sub)
    app.mount("/sub", sub)
    app.post("/transfer")(lambda account: None)

    @app.post("/accounts")
    async def make(account: Account) -> str:
        return account.name

    with client_of(app) as client:
        assert client.post("/accounts", json={"name": "ada"}).json() == "ada"
