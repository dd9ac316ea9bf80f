"""What docs/comparison.md and docs/faq.md say of Starlette, held against the one that is installed."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from fastapi_sessionkit import RouterGuard, Rule, Session, set_session
from tests.support import SECRET, SITE, client_of, new_kit


def browser_with_starlettes_sessions() -> TestClient:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)

    @app.post("/cart")
    async def begin(request: Request) -> None:
        request.session["cart"] = []

    @app.post("/cart/{item}")
    async def add(request: Request, item: str) -> None:
        request.session["cart"].append(item)

    @app.post("/fill")
    async def fill(request: Request) -> None:
        request.session["big"] = "x" * 5_000

    @app.get("/cart")
    async def cart(request: Request) -> Any:
        return request.session["cart"]

    return TestClient(app, base_url=SITE)


def test_starlettes_sessions_lose_a_change_inside_a_value() -> None:
    browser = browser_with_starlettes_sessions()
    browser.post("/cart")
    browser.post("/cart/tea")

    assert browser.get("/cart").json() == []


def test_starlettes_sessions_send_a_cookie_that_browsers_drop() -> None:
    header = browser_with_starlettes_sessions().post("/fill").headers["set-cookie"]

    assert len(header.partition(";")[0]) > 4_096


def test_a_plain_starlette_application_has_rules_and_sessions() -> None:
    kit = new_kit()

    async def login(request: Request) -> JSONResponse:
        set_session(request, Session(user_id="ada"))
        return JSONResponse(None)

    async def me(request: Request) -> JSONResponse:
        session = await kit.get_session(request)
        return JSONResponse(session and session.user_id)

    routes = [Route("/login", login, methods=["POST"]), Route("/me", me), Route("/admin", me)]
    app = Starlette(routes=routes)
    kit.install(app, guard=RouterGuard([Rule("/admin", role="admin")]))
    browser = client_of(app)
    browser.post("/login")

    assert browser.get("/me").json() == "ada"
    assert browser.get("/admin").status_code == 403
