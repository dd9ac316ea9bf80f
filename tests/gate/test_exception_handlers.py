"""The application's exception handlers and what the gate refuses."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fastapi_sessionkit import (
    Forbidden,
    NotAuthenticated,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    SessionTooLarge,
    get_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import CUSTOMER, NAVIGATION
from tests.support import SECRET, client_of, new_kit


@pytest.mark.parametrize("way", ["gate", "router"])
@pytest.mark.parametrize("key", ["class", "base", "status"])
def test_the_application_s_exception_handlers_see_what_the_guard_refuses(way: str, key: str) -> None:
    kit, app = new_kit(), FastAPI()
    guard = RouterGuard(protect=[Rule("/admin/**", role="admin")])
    kit.install(app, guard=guard if way == "gate" else None)
    seen: list[type] = []

    async def handler(request: Request, exc: Exception) -> Response:
        seen.append(type(exc))
        return PlainTextResponse("mine", status_code=418)

    keys: dict[str, list[Any]] = {"class": [NotAuthenticated, Forbidden], "base": [HTTPException], "status": [401, 403]}
    for each in keys[key]:
        app.add_exception_handler(each, handler)

    @app.get("/admin/x", dependencies=[Depends(guard)] if way == "router" else [])
    async def endpoint() -> None: ...

    assert client_of(app).get("/admin/x").status_code == 418
    assert signed_in(client_of(app), kit, CUSTOMER).get("/admin/x").text == "mine"
    assert seen == [NotAuthenticated, Forbidden]


def test_an_exception_handler_that_is_added_late_is_used() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin")]))

    @app.exception_handler(NotAuthenticated)
    def handler(request: Request, exc: NotAuthenticated) -> Response:
        return PlainTextResponse("mine", status_code=418)

    assert client_of(app).get("/admin").text == "mine"


def test_an_exception_handler_may_read_what_was_sent() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin")]))

    @app.exception_handler(NotAuthenticated)
    async def handler(request: Request, exc: NotAuthenticated) -> Response:
        return PlainTextResponse(await request.body(), exc.status_code)

    assert client_of(app).post("/admin", content="a draft").text == "a draft"


@pytest.mark.parametrize("way", ["gate", "router"])
def test_a_handler_for_http_exceptions_does_not_turn_a_redirect_into_a_page(way: str) -> None:
    app = FastAPI()
    guard = RouterGuard(protect=[Rule("/admin")], login_path="/login")
    new_kit().install(app, guard=guard if way == "gate" else None)

    @app.exception_handler(HTTPException)
    async def page(request: Request, exc: HTTPException) -> Response:
        return PlainTextResponse("an error page", status_code=exc.status_code)

    @app.get("/admin", dependencies=[Depends(guard)] if way == "router" else [])
    async def endpoint() -> None: ...

    response = client_of(app).get("/admin", headers=NAVIGATION)

    assert (response.status_code, response.headers.get("location")) == (302, "/login?next=/admin")


def test_a_handler_for_every_exception_leaves_refusals_alone() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin")]))

    @app.exception_handler(Exception)
    async def oops(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("oops", status_code=500)

    assert client_of(app).get("/admin").status_code == 401


def test_a_handler_for_every_exception_hides_no_failed_commit_from_the_log() -> None:
    class Cart(Session):
        items: list[str] = []  # noqa: RUF012 - Pydantic copies it

    kit, app = SessionKit(Cart, secret_key=SECRET), FastAPI()
    kit.install(app)

    @app.exception_handler(Exception)
    async def oops(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("oops", status_code=500)

    @app.post("/fill")
    async def fill(session: Annotated[Cart, Depends(get_session)]) -> None:
        session.items.append("x" * 5_000)

    with pytest.raises(SessionTooLarge):
        signed_in(client_of(app), kit, Cart(user_id="u")).post("/fill")
    quiet = signed_in(client_of(app, raise_server_exceptions=False), kit, Cart(user_id="u"))
    assert (quiet.post("/fill").status_code, quiet.post("/fill").text) == (500, "oops")
