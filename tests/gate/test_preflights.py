"""CORS: what the gate lets through as a preflight, and what it does not."""

from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_sessionkit import RouterGuard, Rule, Session, SessionKit
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ADMIN, CUSTOMER, PREFLIGHT, status
from tests.support import client_of, new_kit


def cors_app(*, middleware: bool) -> tuple[FastAPI, SessionKit[Session]]:
    kit = new_kit(trusted_origins=["https://front.example"])
    app = FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/api/**", role="admin")]))
    if middleware:
        app.add_middleware(
            CORSMiddleware, allow_origins=["https://front.example"], allow_methods=["*"], allow_credentials=True
        )

    @app.post("/api/x")
    async def endpoint() -> str:
        return "secret"

    @app.options("/api/own")
    async def own() -> Response:
        return JSONResponse("secret", headers={"Access-Control-Allow-Origin": "https://front.example"})

    return app, kit


def test_a_preflight_is_answered_by_the_cors_middleware() -> None:
    app, _ = cors_app(middleware=True)

    response = client_of(app).options("/api/x", headers=PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://front.example"


def test_a_refusal_can_be_read_by_a_trusted_page_elsewhere() -> None:
    app, kit = cors_app(middleware=True)
    headers = {"Origin": "https://front.example", "Sec-Fetch-Site": "cross-site"}
    customer = signed_in(client_of(app), kit, CUSTOMER)

    for client, expected in ((client_of(app), 401), (customer, 403)):
        response = client.post("/api/x", headers=headers)
        assert response.status_code == expected
        assert response.headers["access-control-allow-origin"] == "https://front.example"


def test_without_the_middleware_a_preflight_reaches_options_routes_alone() -> None:
    app, _ = cors_app(middleware=False)

    response = client_of(app).options("/api/own", headers=PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://front.example"
    assert client_of(app).options("/api/x", headers=PREFLIGHT).status_code == 405
    assert client_of(app).options("/api/nowhere", headers=PREFLIGHT).status_code == 404


@pytest.mark.parametrize("path", ["/api//own", "/api/./own", "/api/own\\", "/api/own\n"])
@pytest.mark.anyio
async def test_a_preflight_of_an_ambiguous_path_is_refused_like_any_request(path: str) -> None:
    """It passes a rule, for it has no session; nothing makes a path clear that parts of the stack read differently."""
    app, _ = cors_app(middleware=False)

    @app.options("/{anything:path}")
    async def everything() -> str:
        return "secret"

    assert await status(app, path, method="OPTIONS", headers=PREFLIGHT) == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
def test_what_is_no_options_request_is_no_preflight_whatever_it_says(method: str) -> None:
    app, _ = cors_app(middleware=False)

    assert client_of(app).request(method, "/api/x", headers=PREFLIGHT).status_code == 401


@pytest.mark.parametrize("missing", PREFLIGHT)
def test_half_a_preflight_is_none(missing: str) -> None:
    app, _ = cors_app(middleware=False)
    headers = {name: value for name, value in PREFLIGHT.items() if name != missing}

    assert client_of(app).options("/api/own", headers=headers).status_code == 401


def test_a_preflight_reaches_the_cors_middleware_of_a_mounted_application() -> None:
    app, _ = cors_app(middleware=False)
    inner = FastAPI()
    inner.add_middleware(
        CORSMiddleware, allow_origins=["https://front.example"], allow_methods=["*"], allow_headers=["*"]
    )
    inner.add_api_route("/x", lambda: "secret")
    app.mount("/api/inner", inner)

    response = client_of(app).options("/api/inner/x", headers=PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://front.example"


@pytest.mark.parametrize("inner", ["asgi", "nested asgi", "any method", "options too"])
def test_a_seeming_preflight_runs_nothing_that_ignores_the_method(inner: str) -> None:
    app, _ = cors_app(middleware=False)
    ran: list[str] = []

    async def anything(scope: Scope, receive: Receive, send: Send) -> None:
        ran.append(scope["path"])
        await PlainTextResponse("secret")(scope, receive, send)

    def endpoint() -> str:
        ran.append("endpoint")
        return "secret"

    if inner == "asgi":
        app.mount("/api/legacy", anything)
    elif inner == "nested asgi":
        app.mount("/api/legacy", Starlette(routes=[Mount("/", app=anything)]))
    elif inner == "any method":
        app.router.routes.append(Route("/api/legacy/x", anything_class(anything)))
    else:
        app.add_api_route("/api/legacy/x", endpoint, methods=["GET", "OPTIONS"])
    response = client_of(app).options("/api/legacy/x", headers=PREFLIGHT)

    assert response.status_code == 401
    assert ran == []


def anything_class(app: ASGIApp) -> Any:
    """An endpoint that is an ASGI application: Starlette routes every method to it."""

    class Anything:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

    return Anything()


def test_a_seeming_preflight_runs_nothing_behind_a_mounted_router_s_guard() -> None:
    guarded = APIRouter(dependencies=[Depends(RouterGuard(protect=[Rule("/**", role="admin")]))])
    guarded.api_route("/secret", methods=["GET", "OPTIONS"])(lambda: "secret")
    guarded.options("/alone")(lambda: "nothing else")
    app = FastAPI()
    new_kit().install(app)
    app.mount("/sub", guarded)
    client = client_of(app)

    assert client.options("/sub/secret", headers=PREFLIGHT).status_code == 401
    assert client.options("/sub/alone", headers=PREFLIGHT).status_code == 200


def test_a_seeming_preflight_does_not_reach_what_answers_unknown_paths() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(global_protect=True))
    app.router.default = PlainTextResponse("secret")

    client = client_of(app)

    assert client.options("/unknown", headers=PREFLIGHT).status_code == 401


@pytest.mark.parametrize("missing", list(PREFLIGHT))
def test_options_that_is_no_preflight_is_behind_the_gate(missing: str) -> None:
    app, _ = cors_app(middleware=False)
    headers = {name: value for name, value in PREFLIGHT.items() if name != missing}

    assert client_of(app).options("/api/own", headers=headers).status_code == 401


def test_a_get_that_looks_like_a_preflight_is_behind_the_gate() -> None:
    app, _ = cors_app(middleware=False)

    assert client_of(app).get("/api/x", headers=PREFLIGHT).status_code == 401


def test_a_preflight_of_who_may_see_it_has_its_body() -> None:
    app, kit = cors_app(middleware=False)

    assert signed_in(client_of(app), kit, ADMIN).options("/api/own", headers=PREFLIGHT).json() == "secret"
