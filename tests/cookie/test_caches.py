"""What caches are told about a response that depends on the session cookie."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    clear_session,
    get_session,
    has_role,
    require_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

TARGETED = ("CDN-Cache-Control", "cloudflare-cdn-cache-control", "Surrogate-Control")
"""What some shared caches obey in place of ``Cache-Control``."""


def caching_site() -> tuple[TestClient, SessionKit[Session]]:
    guard = RouterGuard(
        protect=[Rule("/public/**", public=True), Rule("/gated/**"), Rule("/staff/**", role="staff")],
        login_path="/login",
    )
    kit = new_kit()
    app = FastAPI()
    kit.install(app, guard=guard)

    def reply(request: Request) -> JSONResponse:
        headers = {
            name: request.query_params[name]
            for name in ("cache-control", "vary", *TARGETED)
            if name in request.query_params
        }
        return JSONResponse("ok", headers=headers)

    @app.get("/public/page")
    @app.get("/unasked")
    @app.get("/gated/page")
    @app.get("/staff/page")
    async def plain(request: Request) -> Response:
        return reply(request)

    @app.get("/asked", dependencies=[Depends(get_session)])
    @app.get("/required", dependencies=[Depends(require_session)])
    async def asking(request: Request) -> Response:
        return reply(request)

    @app.get("/role")
    async def asking_for_a_role(request: Request, has: Annotated[bool, Depends(has_role("x"))]) -> Response:
        return reply(request)

    @app.get("/in")
    async def sign_in(request: Request) -> Response:
        set_session(request, Session(user_id="ada"))
        return reply(request)

    @app.get("/out")
    async def sign_out(request: Request) -> Response:
        clear_session(request)
        return reply(request)

    @app.get("/change")
    async def change(request: Request, session: Annotated[Session, Depends(require_session)]) -> Response:
        update_session(request, email="ada@example.com")
        return reply(request)

    @app.get("/stream", dependencies=[Depends(get_session)])
    async def stream() -> Response:
        return StreamingResponse(iter(["a", "b"]))

    return client_of(app), kit


@pytest.mark.parametrize(
    ("path", "someone", "app_says", "told"),
    [
        ("/unasked", True, None, None),
        ("/unasked", False, "max-age=60", "max-age=60"),
        ("/public/page", True, None, None),
        ("/asked", False, None, None),
        ("/asked", True, None, "private, no-cache"),
        ("/asked", True, "max-age=60", "max-age=60"),
        ("/asked", True, "public", "public"),
        ("/asked", True, "no-store", "no-store"),
        ("/asked", False, "max-age=60", "max-age=60"),
        ("/role", True, None, "private, no-cache"),
        ("/required", True, None, "private, no-cache"),
        ("/required", False, None, None),
        ("/gated/page", True, None, "private, no-cache"),
        ("/gated/page", False, None, None),
        ("/staff/page", True, None, "private, no-cache"),
        ("/stream", True, None, "private, no-cache"),
        ("/nowhere", True, None, None),
        ("/in", False, None, "no-store"),
        ("/in", False, "public, max-age=60", "no-store"),
        ("/in", False, "no-cache", "no-store"),
        ("/in", False, "private, max-age=60", "private, max-age=60"),
        ("/in", False, "PRIVATE", "PRIVATE"),
        ("/in", False, "no-store", "no-store"),
        ("/in", False, 'private="x-user", max-age=60', "no-store"),
        ("/in", False, "x-private", "no-store"),
        ("/change", True, None, "no-store"),
        ("/change", True, "max-age=60", "no-store"),
        ("/change", True, "private", "private"),
        ("/out", True, None, "no-store"),
        ("/out", False, "max-age=60", "no-store"),
    ],
)
def test_cache_control(path: str, someone: bool, app_says: str | None, told: str | None) -> None:
    client, kit = caching_site()
    if someone:
        signed_in(client, kit, Session(user_id="ada"))

    response = client.get(path, params=None if app_says is None else {"cache-control": app_says})

    assert response.headers.get("cache-control") == told


@pytest.mark.parametrize("header", TARGETED)
@pytest.mark.parametrize("app_says", [None, "private", "no-store"])
def test_attack_a_cache_that_obeys_a_field_of_its_own_gets_no_cookie(header: str, app_says: str | None) -> None:
    client, _ = caching_site()
    params = {header: "max-age=60", **({} if app_says is None else {"cache-control": app_says})}

    response = client.get("/in", params=params)

    assert "set-cookie" in response.headers
    assert header not in response.headers
    assert response.headers["cache-control"] == (app_says or "no-store")


@pytest.mark.parametrize("header", TARGETED)
def test_what_an_application_says_to_such_a_cache_stands_otherwise(header: str) -> None:
    client, _ = caching_site()

    assert client.get("/asked", params={header: "max-age=60"}).headers[header] == "max-age=60"


@pytest.mark.parametrize("someone", [True, False])
@pytest.mark.parametrize(
    ("path", "app_says", "told"),
    [
        ("/unasked", None, None),
        ("/unasked", "Accept", "Accept"),
        ("/public/page", None, None),
        ("/nowhere", None, None),
        ("/asked", None, "Cookie"),
        ("/asked", "Accept", "Accept, Cookie"),
        ("/asked", "accept-encoding,COOKIE", "accept-encoding,COOKIE"),
        ("/asked", "X-Cookie", "X-Cookie, Cookie"),
        ("/asked", "*", "*"),
        ("/required", None, "Cookie"),
        ("/gated/page", None, "Cookie"),
        ("/staff/page", None, "Cookie"),
        ("/stream", None, "Cookie"),
        ("/in", None, "Cookie"),
        ("/out", None, "Cookie"),
    ],
)
def test_vary(path: str, app_says: str | None, told: str | None, someone: bool) -> None:
    client, kit = caching_site()
    if someone:
        signed_in(client, kit, Session(user_id="ada"))

    response = client.get(path, params=None if app_says is None else {"vary": app_says})

    assert response.headers.get("vary") == told


@pytest.mark.parametrize("path", ["/unasked", "/asked", "/gated/page", "/public/page"])
def test_a_refusal_of_another_origin_depends_on_the_cookie(path: str) -> None:
    """Without the cookie the same request is not refused, so a cache may not give the refusal to others."""
    client, kit = caching_site()
    elsewhere = {"Origin": "https://evil.example"}
    nobodys = client.post("/unasked", headers=elsewhere)

    refused = signed_in(client, kit, Session(user_id="ada")).post(path, headers=elsewhere)

    assert (nobodys.status_code, refused.status_code) == (405, 403)
    assert refused.headers["vary"] == "Cookie"
    assert "cache-control" not in refused.headers


def test_a_sign_in_refused_for_its_origin_depends_on_the_cookie() -> None:
    kit, app = new_kit(), FastAPI()
    kit.install(app)

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, Session(user_id="ada"))

    answer = client_of(app).post("/in", headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert answer.headers["vary"] == "Cookie"
    assert "set-cookie" not in answer.headers


def test_a_redirect_to_login_depends_on_the_cookie() -> None:
    client, _ = caching_site()

    response = client.get("/gated/page", headers={"Sec-Fetch-Mode": "navigate"})

    assert (response.status_code, response.headers["vary"]) == (302, "Cookie")
