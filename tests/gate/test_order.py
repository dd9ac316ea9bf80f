"""The gate comes before the body is read and inside every other middleware, whenever routes were added."""

import pytest
from fastapi import APIRouter, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from fastapi_sessionkit import RouterGuard, Rule
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ADMIN, CUSTOMER, NAVIGATION, never, status, token_of
from tests.support import client_of, new_kit

# Order and time


def test_routes_that_are_added_late_are_behind_the_gate() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/late/**")]))
    late = APIRouter(prefix="/late")
    app.include_router(late)
    client = client_of(app)
    assert client.get("/late/b").status_code == 401

    @app.get("/late/a")
    @late.get("/b")
    async def endpoint() -> None: ...

    app.mount("/late/c", StaticFiles(directory="."))

    for path in ("/late/a", "/late/b", "/late/c/README.md"):
        assert client.get(path).status_code == 401


@pytest.mark.parametrize("install_first", [True, False])
def test_the_gate_is_inside_every_other_middleware_whatever_the_order(install_first: bool) -> None:
    """What an outer middleware makes of the path is what the router will see, so that is what is decided about."""
    kit, app = new_kit(), FastAPI()
    guard = RouterGuard(protect=[Rule("/admin/**")])
    if install_first:
        kit.install(app, guard=guard)

    @app.get("/admin/x")
    async def endpoint() -> None: ...

    @app.middleware("http")
    async def rewriting(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.scope["path"] = request.scope["path"].replace("/alias", "/admin")
        return await call_next(request)

    if not install_first:
        kit.install(app, guard=guard)

    assert client_of(app).get("/alias/x").status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get("/alias/x").status_code == 200


def test_with_base_http_middleware_around_cookies_and_refusals_come_through() -> None:
    kit, app = new_kit(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/admin/**", role="admin")], login_path="/login"))
    seen: list[int] = []

    class Outer(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            response = await call_next(request)
            seen.append(response.status_code)
            return response

    @app.post("/login")
    async def login(request: Request) -> None:
        kit.set_session(request, CUSTOMER)

    app.add_middleware(Outer)
    client = client_of(app)

    assert client.get("/admin/x").status_code == 401
    assert client.get("/admin/x", headers=NAVIGATION).headers["location"] == "/login?next=/admin/x"
    assert "set-cookie" in client.post("/login").headers
    assert client.get("/admin/x").status_code == 403
    assert seen == [401, 302, 200, 403]


# The body


@pytest.mark.parametrize(("headers", "expected"), [({}, 401), (NAVIGATION, 303), ({"HX-Request": "true"}, 401)])
@pytest.mark.anyio
async def test_the_body_of_somebody_who_is_not_let_in_is_never_read(headers: dict[str, str], expected: int) -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/upload")], login_path="/login"))

    @app.post("/upload")
    async def upload(body: dict[str, int]) -> None: ...

    assert await status(app, "/upload", method="POST", headers=headers, receive=never) == expected


@pytest.mark.anyio
async def test_the_body_of_a_forged_request_is_never_read() -> None:
    kit, app = new_kit(), FastAPI()
    kit.install(app)

    @app.post("/upload")
    async def upload(body: dict[str, int]) -> None: ...

    forged = {"Origin": "https://evil.example"}

    assert await status(app, "/upload", method="POST", headers=forged, cookie=token_of(kit, ADMIN)) == 403


def test_malformed_json_of_somebody_who_is_not_let_in_is_401_and_not_422() -> None:
    kit, app = new_kit(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/upload")]))

    @app.post("/upload")
    async def upload(body: dict[str, int]) -> None: ...

    assert client_of(app).post("/upload", content=b"{").status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).post("/upload", content=b"{").status_code == 422
