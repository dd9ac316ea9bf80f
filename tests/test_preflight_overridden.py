"""What looks like a CORS preflight does not reach what routes a request in a way of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule
from tests.support import client_of, new_kit

PREFLIGHT = {"Origin": "https://front.example", "Access-Control-Request-Method": "POST"}
RAN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


async def anything(scope: Scope, receive: Receive, send: Send) -> None:
    RAN.append(scope["path"])
    await PlainTextResponse("secret")(scope, receive, send)


async def endpoint(request: Request) -> Response:
    return PlainTextResponse("secret")


class OwnHandle:
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await anything(scope, receive, send)


class OwnRoute(OwnHandle, Route): ...


class OwnAPIRoute(OwnHandle, APIRoute): ...


class OwnMount(OwnHandle, Mount): ...


class OwnRouter(OwnHandle, APIRouter): ...


class OwnNotFound(APIRouter):
    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        await anything(scope, receive, send)


def replaced(thing: Any, name: str) -> Any:
    setattr(thing, name, anything)
    return thing


def served(*routes: Any) -> FastAPI:
    app = FastAPI()
    app.router.routes[:] = routes
    return app


def including(router: APIRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    return app


def with_route(router: APIRouter, methods: list[str]) -> APIRouter:
    router.add_api_route("/x", lambda: "secret", methods=methods)
    return router


def with_router(router: Router) -> Starlette:
    app = Starlette()
    app.router = router
    return app


def with_stack_of_its_own() -> FastAPI:
    app = FastAPI()
    app.build_middleware_stack = lambda: anything  # type: ignore[method-assign]
    return app


OVERRIDDEN: dict[str, Callable[[], Any]] = {
    "a route": lambda: served(OwnRoute("/x", endpoint, methods=["OPTIONS"])),
    "a route for another method": lambda: served(OwnRoute("/x", endpoint, methods=["GET"])),
    "an operation": lambda: served(OwnAPIRoute("/x", endpoint, methods=["OPTIONS"])),
    "an operation for another method": lambda: served(OwnAPIRoute("/x", endpoint, methods=["GET"])),
    "an operation of an included router": lambda: including(with_route(APIRouter(route_class=OwnAPIRoute), ["GET"])),
    "a mount": lambda: served(OwnMount("/", Starlette())),
    "an included router": lambda: including(with_route(OwnRouter(), ["OPTIONS"])),
    "an included router for another method": lambda: including(with_route(OwnRouter(), ["GET"])),
    "a router in an included router": lambda: including(including(with_route(OwnRouter(), ["GET"])).router),
    "a route's own handle": lambda: served(replaced(Route("/x", endpoint, methods=["OPTIONS"]), "handle")),
    "a mount's own handle": lambda: served(replaced(Mount("/", Starlette()), "handle")),
    "a stack that is built otherwise": with_stack_of_its_own,
    "a stack that is there already": lambda: replaced(FastAPI(), "middleware_stack"),
    "a router's middleware": lambda: with_router(replaced(Router(), "middleware_stack")),
    "a router's own default": lambda: with_router(replaced(Router(), "default")),
    "a router's own not_found": lambda: with_router(replaced(replaced(Router(), "not_found"), "default")),
    "a router that overrides not_found": lambda: with_router(OwnNotFound()),
}


def guarded() -> FastAPI:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard([Rule("/**", role="admin")]))
    return app


def preflight(app: Any) -> int:
    return client_of(app).options("/mounted/x", headers=PREFLIGHT).status_code


@pytest.mark.parametrize("kind", OVERRIDDEN)
def test_attack_a_seeming_preflight_runs_nothing_that_routes_otherwise(kind: str) -> None:
    unguarded, app = FastAPI(), guarded()
    unguarded.mount("/mounted", OVERRIDDEN[kind]())
    app.mount("/mounted", OVERRIDDEN[kind]())

    preflight(unguarded)
    assert RAN != []
    RAN.clear()

    assert preflight(app) == 401
    assert RAN == []


def test_attack_a_started_application_s_other_stack_is_not_reached() -> None:
    app, inner = guarded(), FastAPI()
    app.mount("/mounted", inner)
    assert preflight(app) == 404

    inner.middleware_stack = anything

    assert preflight(app) == 401
    assert RAN == []


# What only answers


def with_cors() -> FastAPI:
    app = FastAPI()
    app.middleware("http")(endpoint)
    app.add_middleware(CORSMiddleware, allow_origins=["https://front.example"], allow_methods=["*"])
    return app


def with_a_kit_of_its_own() -> FastAPI:
    app = including(with_route(APIRouter(), ["OPTIONS"]))
    new_kit(name="staff", cookie=CookieSettings(name="staff")).install(app)
    return app


def beside_what_routes_otherwise() -> FastAPI:
    app = including(OwnRouter(prefix="/elsewhere"))
    app.router.routes.append(OwnRoute("/elsewhere", endpoint))
    app.mount("/", with_cors())
    return app


@pytest.mark.parametrize("inner", [with_cors, with_a_kit_of_its_own, beside_what_routes_otherwise])
def test_a_preflight_reaches_what_answers_it_in_a_mount_at_each_request(inner: Callable[[], FastAPI]) -> None:
    app = guarded()
    app.mount("/mounted", inner())

    for _ in range(2):  # the first builds the middleware of what is mounted
        assert preflight(app) == 200
