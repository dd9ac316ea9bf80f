"""What looks like a CORS preflight passes the guard only to what does nothing but answer it.

Anybody can send one, without a session: whatever of the application's it runs, it runs for everybody.
"""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule
from tests.support import client_of, new_kit

PREFLIGHT = {"Origin": "https://front.example", "Access-Control-Request-Method": "POST"}

CORS: dict[str, Any] = {"allow_origins": ["https://front.example"], "allow_methods": ["*"]}


async def secret(request: Request, *_: Any) -> Response:
    return PlainTextResponse("secret")


async def anything(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("secret")(scope, receive, send)


class _AnswersEverything:
    """A middleware, or an endpoint, of an application's own."""

    def __init__(self, app: ASGIApp | None = None) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await anything(scope, receive, send)


AnswersEverything: Any = _AnswersEverything


class OwnCall(FastAPI):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await anything(scope, receive, send)


class OwnStack(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        return anything


class OwnRouting(Router):
    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await anything(scope, receive, send)


class OwnRouterCall(Router):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await anything(scope, receive, send)


def with_router(router: Router) -> Starlette:
    app = Starlette()
    app.router = router
    return app


def with_default() -> Starlette:
    app = FastAPI()
    app.router.default = anything
    return app


def with_http_middleware() -> FastAPI:
    app = FastAPI()
    app.middleware("http")(secret)
    return app


MOUNTED: dict[str, Any] = {
    "a plain ASGI application": anything,
    "one in an application": Starlette(routes=[Mount("/", app=anything)]),
    "a middleware": Starlette(middleware=[Middleware(AnswersEverything)]),
    "a middleware before that for CORS": Starlette(
        middleware=[Middleware(AnswersEverything), Middleware(CORSMiddleware, **CORS)]
    ),
    "an http middleware": with_http_middleware(),
    "a middleware with a dispatch": Starlette(middleware=[Middleware(BaseHTTPMiddleware, dispatch=secret)]),
    "a handler for 404": FastAPI(exception_handlers={404: secret}),
    "a handler for 405": Starlette(routes=[Route("/x", secret, methods=["GET"])], exception_handlers={405: secret}),
    "a call of its own": OwnCall(),
    "a stack of its own": OwnStack(),
    "a router with a default": with_default(),
    "a router with middleware": with_router(Router(middleware=[Middleware(AnswersEverything)])),
    "a router that routes otherwise": with_router(OwnRouting()),
    "a router with a call of its own": with_router(OwnRouterCall()),
    "a router alone": Router(default=anything),
    "a mount with middleware": Starlette(
        routes=[Mount("/", app=Starlette(), middleware=[Middleware(AnswersEverything)])]
    ),
    "a route for any method": Starlette(routes=[Route("/x", AnswersEverything())]),
    "a route for OPTIONS too": Starlette(routes=[Route("/x", secret, methods=["GET", "OPTIONS"])]),
}


def guarded(*, redirect_slashes: bool = True) -> FastAPI:
    app = FastAPI(redirect_slashes=redirect_slashes)
    new_kit().install(app, guard=RouterGuard([Rule("/**", role="admin")]))
    return app


def answer_to_preflight(app: Any, path: str = "/mounted/x") -> Response:
    answer: Any = client_of(app).options(path, headers=PREFLIGHT)
    return answer


@pytest.mark.parametrize("kind", MOUNTED)
def test_attack_what_looks_like_a_preflight_runs_nothing_that_is_mounted(kind: str) -> None:
    app = guarded()
    app.mount("/mounted", MOUNTED[kind])
    unguarded = FastAPI()
    unguarded.mount("/mounted", MOUNTED[kind])

    if kind != "a mount with middleware":
        assert answer_to_preflight(unguarded).status_code == 200
    assert answer_to_preflight(app).status_code == 401


@pytest.mark.parametrize("handled", [404, 405, HTTPException])
def test_attack_what_looks_like_a_preflight_runs_no_error_handler(handled: int | type[Exception]) -> None:
    seen: list[int] = []

    async def handler(request: Request, error: Any) -> Response:
        seen.append(error.status_code)
        return PlainTextResponse("handled", error.status_code)

    app = guarded()
    app.add_api_route("/page", lambda: None)
    app.add_exception_handler(handled, handler)

    assert answer_to_preflight(app, "/page").status_code == 401
    assert answer_to_preflight(app, "/nowhere").status_code == 401
    assert set(seen) <= {401}


def answering() -> dict[str, Any]:
    with_cors, with_kit, alone = FastAPI(), FastAPI(), FastAPI()
    with_cors.add_middleware(AnswersEverything)
    with_cors.add_middleware(CORSMiddleware, **CORS)  # what is added last is met first
    with_kit.options("/x")(lambda: None)
    staff = new_kit(name="staff", cookie=CookieSettings(name="staff"))
    staff.install(with_kit)
    router = APIRouter()
    router.options("/x")(lambda: None)
    alone.include_router(router)
    return {
        "CORS middleware first": with_cors,
        "a kit of its own, and a route for OPTIONS alone": with_kit,
        "a route for OPTIONS alone": alone,
        "one in an application": Starlette(routes=[Mount("/", app=alone)]),
        "Starlette's own": Starlette(routes=[Route("/x", secret, methods=["OPTIONS"])]),
    }


@pytest.mark.parametrize("kind", list(answering()))
def test_a_preflight_reaches_what_only_answers_it(kind: str) -> None:
    app = guarded()
    app.mount("/mounted", answering()[kind])

    assert answer_to_preflight(app).status_code == 200


@pytest.mark.parametrize(
    ("inner", "status"),
    [
        (FastAPI(), 404),
        (Starlette(), 404),
        (Starlette(routes=[Route("/x", secret, methods=["GET"])]), 405),
        (Starlette(routes=[Route("/x/", secret, methods=["GET"])]), 307),
    ],
    ids=["FastAPI", "Starlette", "another method", "another slash"],
)
def test_a_preflight_into_a_mount_that_has_no_answer_is_told_so(inner: ASGIApp, status: int) -> None:
    app = guarded()
    app.mount("/mounted", inner)

    assert answer_to_preflight(app).status_code == status
