"""Where a kit may be installed, and what is said when none is."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    MemoryStore,
    RouterGuard,
    Rule,
    clear_session,
    get_session,
    owner,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.kit.support import add_routes
from tests.support import AppSession, app_kit, client_of, new_kit

# Where it may be installed


def test_install_may_come_before_routes_routers_and_middleware() -> None:
    app, router = FastAPI(), APIRouter(prefix="/nested")
    app_kit().install(app)
    add_routes(app)
    add_routes(router)
    app.include_router(router)
    app.add_middleware(Passing)
    client = client_of(app)

    client.post("/nested/login")

    assert [client.get("/me").json(), client.get("/nested/me").json()] == ["ada", "ada"]


def test_install_may_come_after_routes_routers_and_middleware() -> None:
    app, router = FastAPI(), APIRouter(prefix="/nested")
    add_routes(app)
    add_routes(router)
    app.include_router(router)
    app.add_middleware(Passing)
    app_kit().install(app)
    client = client_of(app)

    client.post("/nested/login")

    assert [client.get("/me").json(), client.get("/nested/me").json()] == ["ada", "ada"]


def test_routes_added_after_the_first_request_are_served_and_guarded_too() -> None:
    app = FastAPI()
    app_kit().install(app, guard=RouterGuard([Rule("/late")]))
    client = client_of(app)
    client.get("/late")

    app.add_api_route("/late", lambda: "late")
    add_routes(app)

    assert client.get("/late").status_code == 401
    client.post("/login")
    assert client.get("/late").json() == "late"


@pytest.mark.parametrize("first", ["install", "add_middleware"])
def test_every_other_middleware_is_around_it_whatever_the_order(first: str) -> None:
    """So it sees the refusals of the gate, and its own response headers are what the session's are added to."""
    app = FastAPI()
    steps: list[Callable[[], None]] = [
        lambda: app_kit().install(app, guard=RouterGuard([Rule("/**")])),
        lambda: app.add_middleware(Passing),
    ]
    for step in steps if first == "install" else steps[::-1]:
        step()

    response = client_of(app).get("/")

    assert (response.status_code, response.headers["x-passed"]) == (401, "401")


class Passing:
    """Middleware that says which status passed it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-passed", str(message["status"]).encode())]
            await send(message)

        await self.app(scope, receive, noting)


def test_a_kit_installs_on_plain_starlette() -> None:
    async def me(request: Request) -> PlainTextResponse:
        session = await get_session(request)
        return PlainTextResponse("nobody" if session is None else session.user_id)

    kit, app = app_kit(), Starlette(routes=[Route("/me", me)])
    kit.install(app)
    client = client_of(app)

    assert client.get("/me").text == "nobody"
    assert signed_in(client, kit, AppSession(user_id="ada")).get("/me").text == "ada"


@pytest.mark.parametrize("target", [APIRouter(), "app", None])
def test_install_takes_an_application(target: Any) -> None:
    with pytest.raises(ConfigurationError):
        app_kit().install(target)


def test_install_takes_a_guard() -> None:
    with pytest.raises(ConfigurationError):
        app_kit().install(FastAPI(), guard=[Rule("/admin")])  # type: ignore[arg-type]


def test_a_kit_is_installed_once_on_one_application() -> None:
    app, kit = FastAPI(), app_kit()
    kit.install(app)

    with pytest.raises(ConfigurationError, match="already"):
        kit.install(app)


def test_a_kit_is_not_installed_on_an_application_that_has_started() -> None:
    app = FastAPI()
    client_of(app).get("/")

    with pytest.raises(ConfigurationError, match="started"):
        app_kit().install(app)


def test_the_store_is_closed_when_the_application_shuts_down() -> None:
    class Store(MemoryStore):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    store, app = Store(), FastAPI()
    app_kit(backend=store).install(app)

    with client_of(app):
        before = store.closed

    assert (before, store.closed) == (0, 1)


# No kit


@pytest.mark.parametrize(
    "helper",
    [
        lambda request: set_session(request, AppSession(user_id="ada")),
        lambda request: update_session(request, tier="premium"),
        clear_session,
        regenerate_session,
    ],
    ids=["set_session", "update_session", "clear_session", "regenerate_session"],
)
def test_without_a_kit_every_helper_says_how_to_install_one(
    helper: Callable[[Request], None], request: pytest.FixtureRequest
) -> None:
    app = FastAPI()

    @app.post("/")
    async def change(request: Request) -> None:
        helper(request)

    with pytest.raises(ConfigurationError, match=rf"^{request.node.callspec.id}.*kit\.install\(app\)"):
        client_of(app).post("/")


def test_a_kit_that_is_not_installed_says_so_though_another_is() -> None:
    app, installed, forgotten = FastAPI(), app_kit(), app_kit(name="forgotten")
    installed.install(app)

    @app.get("/", dependencies=[Depends(forgotten.require_session)])
    async def read() -> None: ...

    with pytest.raises(ConfigurationError, match="this SessionKit is not installed"):
        client_of(app).get("/")


@pytest.mark.parametrize(
    "wrong",
    [
        {"guard": "everything"},
        {"guard": RouterGuard(protect=[Rule("/{team}", requires=owner("team", field="rolse"))])},
        {"preload": ["pages"]},
        {"check": "loud"},
        {"request_session": "yes"},
        {"request_session": CookieSettings(name="session")},
    ],
    ids=["no guard", "a rule that can't be", "a path", "a check", "a mapping", "the kit's own cookie"],
)
def test_an_install_that_fails_leaves_the_application_as_it_was(wrong: dict[str, Any]) -> None:
    kit, app = new_kit(), FastAPI()
    before, handlers, openapi = list(app.user_middleware), dict(app.exception_handlers), app.openapi
    with pytest.raises(ConfigurationError):
        kit.install(app, **wrong)

    assert (app.user_middleware, app.exception_handlers, app.openapi) == (before, handlers, openapi)
    kit.install(app, request_session=True)
