"""Attack: a refusal by one kit of an application is handed on to the innermost, which may be another application's too."""

import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_sessionkit import NotAuthenticated, RouterGuard, Rule, Session
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit


def test_attack_a_refusal_that_is_handed_to_a_kit_shared_with_the_outside() -> None:
    shared, staff = new_kit(name="shared"), new_kit(name="staff")
    outside, inside = FastAPI(), FastAPI()
    shared.install(outside)
    staff.install(inside, guard=RouterGuard([Rule("/**", role="admin")]))
    shared.install(inside)
    ran = []

    @inside.get("/secret")
    async def secret() -> str:
        ran.append("secret")
        return "secret"

    outside.mount("/inside", inside)
    client = client_of(outside)

    assert client.get("/inside/secret").status_code == 401
    signed_in(client, shared, Session(user_id="ada", role="admin"))
    assert client.get("/inside/secret").status_code == 401
    assert ran == []
    signed_in(client, staff, Session(user_id="ada", role="admin"))
    assert client.get("/inside/secret").json() == "secret"


def test_attack_a_refusal_passes_no_middleware_that_answers_between_two_kits() -> None:
    first, second = new_kit(name="first"), new_kit(name="second")
    app = FastAPI()

    class Answers:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await (PlainTextResponse("secret") if scope["type"] == "http" else self.app)(scope, receive, send)

    first.install(app, guard=RouterGuard([Rule("/**", role="admin")]))
    app.user_middleware.append(Middleware(Answers))
    second.install(app)

    assert client_of(app).get("/").status_code == 401


@pytest.mark.parametrize("guarded", [0, 1], ids=["the outer", "the inner"])
def test_a_handler_may_read_what_was_sent_whichever_kit_refuses(guarded: int) -> None:
    app = FastAPI()
    guard = RouterGuard([Rule("/**", role="admin")])
    for number, name in enumerate(["first", "second"]):
        new_kit(name=name).install(app, guard=guard if number == guarded else None)

    @app.exception_handler(NotAuthenticated)
    async def handler(request: Request, exc: NotAuthenticated) -> Response:
        return PlainTextResponse(await request.body(), exc.status_code)

    assert client_of(app).post("/", content="a draft").text == "a draft"
