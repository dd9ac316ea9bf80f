"""What fails the start of an application: dependencies that were not called, and names that two kits make ambiguous."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from starlette.types import ASGIApp

import fastapi_sessionkit
from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    get_session,
    get_session_info,
    has_permission,
    is_authenticated,
    require_fresh,
    require_role,
    require_session,
)
from tests.kit.support import Staff, ask
from tests.support import AppSession, app_kit, client_of

# What makes a dependency is none itself


MAKERS = [
    "require_role",
    "require_permission",
    "require_any_permission",
    "require_fresh",
    "has_role",
    "has_permission",
    "has_all_permissions",
    "has_any_permission",
    "has_role_permission",
]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("of", ["module", "kit"])
def test_a_dependency_that_was_not_called_fails_the_start_and_says_the_fix(name: str, of: str) -> None:
    app, kit = FastAPI(), app_kit()
    app.get("/ask", dependencies=[Depends(getattr(kit if of == "kit" else fastapi_sessionkit, name))])(lambda: None)
    kit.install(app)

    with pytest.raises(
        ConfigurationError, match=rf"^/ask: Depends\((kit\.)?{name}\).*write Depends\(.*{name}\(.+\)\)$"
    ):
        start(app)


def test_the_limit_of_an_uncalled_dependency_is_never_taken_from_the_query() -> None:
    app, sub, kit = FastAPI(), FastAPI(), app_kit()
    sub.get("/ask", dependencies=[Depends(kit.require_fresh)])(lambda: None)
    app.mount("/sub", sub)
    kit.install(app)

    with pytest.raises(ConfigurationError, match=r"^/sub/ask: .*write Depends\(kit\.require_fresh\(600\)\)$"):
        client_of(app).get("/sub/ask?max_age=1")


def test_a_function_of_one_s_own_may_have_the_name_of_a_dependency_maker() -> None:
    def require_fresh(max_age: int) -> int:
        return max_age

    app = FastAPI()
    app.get("/ask")(lambda age=Depends(require_fresh): age)
    app_kit().install(app)

    with client_of(app) as client:
        assert client.get("/ask?max_age=1").json() == 1


# What two kits make ambiguous is said at startup


def start(app: ASGIApp) -> None:
    with client_of(app):
        pass


ANY_KIT: dict[str, Callable[..., Any]] = {
    "get_session": get_session,
    "require_session": require_session,
    "get_session_info": get_session_info,
    "is_authenticated": is_authenticated,
    "<Required role:clerk>": require_role("clerk"),
    "<Required fresh:60s>": require_fresh(60),
    "<Asked permission:sell>": has_permission("sell"),
}


@pytest.mark.parametrize("name", ANY_KIT)
def test_with_two_kits_a_dependency_of_the_module_fails_the_start(shared: FastAPI, name: str) -> None:
    shared.get("/ask/{x}", dependencies=[Depends(ANY_KIT[name])])(lambda: None)

    with pytest.raises(ConfigurationError, match=rf"^/ask/{{x}}: Depends\({name}\) can't tell .*kit\.require_role"):
        start(shared)


def test_with_two_kits_a_guard_of_a_router_fails_the_start(shared: FastAPI) -> None:
    router = APIRouter(prefix="/r", dependencies=[Depends(RouterGuard([Rule("/r/**")]))])
    router.get("/x")(lambda: None)
    shared.include_router(router)

    with pytest.raises(ConfigurationError, match=r"^/r/x: Depends\(RouterGuard.*kit\.install\(app, guard="):
        start(shared)


def under_another_dependency(app: FastAPI) -> None:
    async def asks(session: Annotated[Session | None, Depends(get_session)]) -> None: ...

    app.get("/ask", dependencies=[Depends(asks)])(lambda: None)


def on_a_websocket(app: FastAPI) -> None:
    @app.websocket("/ask")
    async def ask(websocket: WebSocket, session: Annotated[Session | None, Depends(get_session)]) -> None: ...


def on_a_websocket_of_a_router(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(get_session)])

    @router.websocket("/ask")
    async def ask(websocket: WebSocket) -> None: ...

    app.include_router(router)


def on_a_frontend(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(get_session)])
    router.frontend("/ask", directory=".")
    app.include_router(router)


def on_a_mounted_application(app: FastAPI) -> None:
    sub = FastAPI()
    sub.get("/ask")(ask)
    app.mount("/sub", sub)


def on_a_mounted_application_that_shares_one_of_the_kits(app: FastAPI) -> None:
    sub = FastAPI()
    sub.get("/ask")(ask)
    services: Any = app.user_middleware[0].kwargs["services"]
    services.kit.install(sub)
    app.mount("/sub", sub)


@pytest.mark.parametrize(
    "place",
    [
        under_another_dependency,
        on_a_websocket,
        on_a_websocket_of_a_router,
        on_a_frontend,
        on_a_mounted_application,
        on_a_mounted_application_that_shares_one_of_the_kits,
    ],
)
def test_with_two_kits_the_module_s_dependency_is_found_wherever_it_stands(
    shared: FastAPI, place: Callable[[FastAPI], None]
) -> None:
    place(shared)

    with pytest.raises(ConfigurationError, match=r"^(/sub)?/ask(/\{path:path\})?: Depends\(get_session\)"):
        start(shared)


def test_with_two_kits_on_a_mounted_application_the_outer_start_fails(
    customers: SessionKit[AppSession], staff: SessionKit[Staff]
) -> None:
    app, sub = FastAPI(), FastAPI()
    customers.install(app)
    customers.install(sub)
    staff.install(sub)
    sub.get("/ask")(ask)
    app.mount("/sub", sub)

    with pytest.raises(ConfigurationError, match=r"^/sub/ask: "):
        start(app)


def test_a_mounted_application_with_one_kit_may_use_the_module_s_names(shared: FastAPI) -> None:
    sub = FastAPI()
    sub.get("/ask")(ask)
    app_kit(name="own", cookie=CookieSettings(name="own")).install(sub)
    shared.mount("/sub", sub)

    with client_of(shared) as client:
        assert client.get("/sub/ask").status_code == 200


def test_with_two_kits_the_module_s_dependency_may_be_overridden(
    shared: FastAPI, customers: SessionKit[AppSession]
) -> None:
    shared.get("/ask")(ask)
    shared.dependency_overrides[get_session] = customers.get_session

    with client_of(shared) as client:
        assert client.get("/ask").status_code == 200


def test_with_two_kits_what_an_overridden_one_depends_on_does_not_count(shared: FastAPI) -> None:
    async def current_user(session: Annotated[Session | None, Depends(get_session)]) -> str:
        return "nobody"

    @shared.get("/ask")
    async def who(user: Annotated[str, Depends(current_user)]) -> str:
        return user

    shared.dependency_overrides[current_user] = lambda: "ada"

    with client_of(shared) as client:
        assert client.get("/ask").json() == "ada"


def test_with_two_kits_and_no_lifespan_every_request_fails(shared: FastAPI) -> None:
    shared.get("/ask")(ask)
    client = client_of(shared)

    for _ in range(3):
        with pytest.raises(ConfigurationError, match=r"^/ask: "):
            client.get("/who")


def test_with_two_kits_the_module_s_dependency_added_late_fails_a_request(shared: FastAPI) -> None:
    with client_of(shared) as client:
        shared.get("/ask")(ask)

        with pytest.raises(ConfigurationError, match=r"^/ask: Depends\(get_session\) can't tell"):
            client.get("/who")


def test_with_two_kits_a_helper_that_an_endpoint_calls_fails_its_request(shared: FastAPI) -> None:
    @shared.get("/ask")
    async def read(request: Request) -> None:
        await get_session(request)

    with client_of(shared) as client, pytest.raises(ConfigurationError, match=r"^get_session can't tell"):
        client.get("/ask")


def test_with_two_kits_applications_mounted_on_each_other_fail_the_start(shared: FastAPI) -> None:
    other = FastAPI()
    other.get("/ask")(ask)
    shared.mount("/other", other)
    other.mount("/app", shared)

    with pytest.raises(ConfigurationError, match=r"^/other/ask: "):
        start(shared)
