"""``dependencies=[Depends(has_role("admin"))]`` guards nothing: the answer is thrown away, and the start fails."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Security, WebSocket

import fastapi_sessionkit
from fastapi_sessionkit import (
    ConfigurationError,
    get_session,
    has_role,
    is_authenticated,
    require_fresh,
    require_role,
    require_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import ADA, app_kit, client_of

ANSWERS = {
    "has_role": (("admin",), 'require_role("admin")'),
    "has_permission": (("read",), 'require_permission("reports:read")'),
    "has_all_permissions": (("read", "write"), 'require_permission("reports:read", "reports:write")'),
    "has_any_permission": (("read", "write"), 'require_any_permission("reports:read", "reports:write")'),
    "has_role_permission": (("admin", "read"), 'require(role("admin") & permission("reports:read"))'),
    "is_authenticated": ((), "require_session"),
}


def start(app: FastAPI) -> None:
    with client_of(app):
        pass


@pytest.mark.parametrize("of", ["module", "kit"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_nobody_takes_fails_the_start_and_says_what_refuses(name: str, of: str) -> None:
    app, kit = FastAPI(), app_kit()
    kit.install(app)
    arguments, instead = ANSWERS[name]
    asks: Any = getattr(kit if of == "kit" else fastapi_sessionkit, name)
    app.get("/ask", dependencies=[Depends(asks(*arguments) if arguments else asks)])(lambda: None)
    prefix = "kit." if of == "kit" else ""

    with pytest.raises(ConfigurationError) as caught:
        start(app)

    said = str(caught.value)
    assert said.startswith(
        f"/ask: Depends({prefix}{name}{'(...)' if arguments else ''}) among dependencies=[...] throws"
    )
    assert f"write Depends({prefix}{instead})" in said


def on_a_router(app: FastAPI) -> None:
    router = APIRouter(prefix="/sub", dependencies=[Depends(has_role("admin"))])
    router.get("/ask")(lambda: None)
    app.include_router(router)


def at_an_inclusion(app: FastAPI) -> None:
    router = APIRouter()
    router.get("/ask")(lambda: None)
    app.include_router(router, prefix="/sub", dependencies=[Depends(has_role("admin"))])


def on_a_websocket(app: FastAPI) -> None:
    @app.websocket("/ask", dependencies=[Depends(has_role("admin"))])
    async def socket(websocket: WebSocket) -> None: ...


def with_security(app: FastAPI) -> None:
    app.get("/ask", dependencies=[Security(has_role("admin"), scopes=["admin"])])(lambda: None)


def on_a_mounted_application(app: FastAPI) -> None:
    sub = FastAPI(dependencies=[Depends(has_role("admin"))])
    sub.get("/ask")(lambda: None)
    app.mount("/sub", sub)


def on_a_mounted_router(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(has_role("admin"))])
    router.get("/ask")(lambda: None)
    app.mount("/sub", router)


def on_a_frontend(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(has_role("admin"))])
    router.frontend("/ask", directory=".")
    app.include_router(router)


PLACES = [
    on_a_router,
    at_an_inclusion,
    on_a_websocket,
    with_security,
    on_a_mounted_application,
    on_a_mounted_router,
    on_a_frontend,
]


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_wherever_it_stands(place: Callable[[FastAPI], None]) -> None:
    app = FastAPI()
    app_kit().install(app)
    place(app)

    with pytest.raises(ConfigurationError, match=r"^(/sub)?/ask(/\{path:path\})?: Depends\(has_role"):
        start(app)


def test_on_the_application_itself_it_is_found_too() -> None:
    app = FastAPI(dependencies=[Depends(is_authenticated)])
    app_kit().install(app)
    app.get("/ask")(lambda: None)

    with pytest.raises(ConfigurationError, match=r"^/ask: Depends\(is_authenticated\)"):
        start(app)


@pytest.mark.parametrize(
    ("dependency", "said"),
    [
        (has_role("admin"), r"^/late: Depends\(has_role\(\.\.\.\)\) among"),
        (require_fresh, r"^/late: Depends\(require_fresh\) asks nothing"),
        (has_role, r"^/late: Depends\(has_role\) asks nothing"),
    ],
    ids=["thrown away", "not called", "neither"],
)
def test_on_a_route_that_is_added_later_it_fails_the_next_request(dependency: Any, said: str) -> None:
    app = FastAPI()
    app_kit().install(app)
    with client_of(app) as client:
        assert client.get("/late").status_code == 404
        app.get("/late", dependencies=[Depends(dependency)])(lambda: None)

        with pytest.raises(ConfigurationError, match=said):
            client.get("/late?max_age=1&role_name=admin")


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_is_added_later_fails_the_next_request(place: Callable[[FastAPI], None]) -> None:
    app = FastAPI()
    app_kit().install(app)
    with client_of(app) as client:
        assert client.get("/").status_code == 404
        place(app)

        with pytest.raises(ConfigurationError, match="has_role"):
            client.get("/")


def test_a_frontend_that_is_added_later_fails_the_next_request() -> None:
    app = FastAPI(dependencies=[Depends(has_role("admin"))])
    app_kit().install(app)
    client = client_of(app)
    assert client.get("/").status_code == 404

    app.frontend("/late", directory=".")

    with pytest.raises(ConfigurationError, match=r"^/late/\{path:path\}: Depends\(has_role"):
        client.get("/")


# What is fine


def test_an_answer_that_somebody_takes_is_fine() -> None:
    app, kit = FastAPI(), app_kit()
    kit.install(app)

    async def asks(admin: Annotated[bool, Depends(has_role("admin"))]) -> None: ...

    @app.get("/ask", dependencies=[Depends(asks), Depends(require_session), Depends(kit.require_role("user"))])
    async def ask(
        request: Request,
        admin: Annotated[bool, Depends(kit.has_role("admin"))],
        session: Annotated[Any, Depends(get_session)],
        authenticated: bool = Depends(is_authenticated),
    ) -> list[bool]:
        return [admin, authenticated, session is not None]

    with signed_in(client_of(app), kit, ADA) as client:
        assert client.get("/ask").json() == [False, True, True]


def test_what_refuses_may_stand_among_dependencies() -> None:
    app, kit = FastAPI(dependencies=[Depends(require_role("user"))]), app_kit()
    kit.install(app)
    app.get("/ask")(lambda: None)

    with client_of(app) as client:
        assert client.get("/ask").status_code == 401


@pytest.mark.parametrize("of", ["module", "kit"])
def test_a_session_may_be_loaded_early_by_a_dependency_that_refuses_nobody(of: str) -> None:
    app, kit = FastAPI(), app_kit()
    kit.install(app)
    app.get("/ask", dependencies=[Depends(kit.get_session if of == "kit" else get_session)])(lambda: None)

    with client_of(app) as client:
        assert client.get("/ask").headers["vary"] == "Cookie"


def test_an_answer_that_is_overridden_does_not_count() -> None:
    app = FastAPI(dependencies=[Depends(has_role("admin"))])
    app_kit().install(app)
    app.get("/ask")(lambda: None)
    app.dependency_overrides[has_role("admin")] = lambda: True

    start(app)


def test_a_function_of_one_s_own_may_have_the_name_of_one() -> None:
    def has_role() -> None: ...

    app = FastAPI()
    app_kit().install(app)
    app.get("/ask", dependencies=[Depends(has_role)])(lambda: None)

    start(app)
