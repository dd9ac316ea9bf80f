"""What caches are told where a middleware is the first to ask, or comes between an error and its handler."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_sessionkit import CookieSettings, MemoryStore, Session, SessionKit, get_session
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

Next = Callable[[Request], Awaitable[Response]]
ADA = Session(user_id="ada")


def read_late(ask: Callable[[Request, SessionKit[Session]], Any], *, user: bool, path: str = "/plain") -> Response:
    """The answer to a request that a middleware asks about after ``call_next``."""
    app, kit = FastAPI(), new_kit(backend=MemoryStore())
    kit.install(app)
    app.get("/plain")(lambda: "page")
    app.get("/cached")(lambda: PlainTextResponse("", headers={"Cache-Control": "max-age=5", "Vary": "Accept"}))

    @app.middleware("http")
    async def look(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        await ask(request, kit)
        response.headers["X-Seen"] = "yes"
        return response

    client = client_of(app)
    answer: Any = (signed_in(client, kit, ADA) if user else client).get(path)
    assert answer.headers["x-seen"] == "yes"
    return answer


async def ask_module(request: Request, kit: SessionKit[Session]) -> None:
    await get_session(request)


async def ask_twice(request: Request, kit: SessionKit[Session]) -> None:
    for _ in range(2):
        await kit.get_session_info(request)


async def ask_list(request: Request, kit: SessionKit[Session]) -> None:
    await kit.sessions.list("ada", current=request)


async def ask_nothing(request: Request, kit: SessionKit[Session]) -> None: ...


@pytest.mark.parametrize("ask", [ask_module, ask_twice, ask_list])
def test_a_middleware_that_asks_first_makes_the_answer_depend_on_the_session(ask: Any) -> None:
    nobodys, adas = read_late(ask, user=False), read_late(ask, user=True)

    assert nobodys.headers["vary"] == adas.headers["vary"] == "Cookie"
    assert "cache-control" not in nobodys.headers
    assert adas.headers["cache-control"] == "private, no-cache"


def test_what_an_answer_says_of_caches_itself_stands_when_a_middleware_asks() -> None:
    answer: Any = read_late(ask_module, user=True, path="/cached")

    assert answer.headers.get_list("vary") == ["Accept", "Cookie"]
    assert answer.headers["cache-control"] == "max-age=5"


def test_a_middleware_that_asks_nothing_leaves_the_answer_alone() -> None:
    assert "vary" not in read_late(ask_nothing, user=True).headers


def test_each_of_two_kits_that_a_middleware_asks_late_is_said() -> None:
    kits = [new_kit(name=name, cookie=CookieSettings(name=name)) for name in ("one", "two")]
    app = FastAPI()
    for kit in kits:
        kit.install(app)

    @app.middleware("http")
    async def look(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        for kit in kits:
            await kit.get_session(request)
        return response

    answer = signed_in(client_of(app), kits[1], ADA).get("/nowhere")

    assert answer.headers["vary"] == "Cookie"
    assert answer.headers["cache-control"] == "private, no-cache"


# Answers to errors


class Copying:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(dict(scope), receive, send)


class CopyingAndRaising(Copying):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except RuntimeError as error:
            raise LookupError from error


class RaisingAfterwards(Copying):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def forget(message: Any) -> None: ...

        await self.app(scope, receive, forget)
        if scope["type"] == "http":
            raise LookupError


def failing_application(middleware: Any, *kits: SessionKit[Session]) -> FastAPI:
    app = FastAPI()
    for kit in kits:
        kit.install(app)
    app.add_middleware(middleware)

    @app.get("/fails")
    async def fail(request: Request) -> None:
        await kits[0].get_session(request)
        raise RuntimeError

    @app.get("/answers")
    async def answer(request: Request) -> None:
        await kits[0].get_session(request)

    @app.exception_handler(Exception)
    async def told(request: Request, error: Exception) -> Response:
        return PlainTextResponse("", 500)

    return app


@pytest.mark.parametrize(
    ("middleware", "path"),
    [(Copying, "/fails"), (CopyingAndRaising, "/fails"), (RaisingAfterwards, "/answers")],
)
@pytest.mark.parametrize("others", [0, 1])
def test_an_answer_to_an_error_is_marked_whatever_a_middleware_does(middleware: Any, path: str, others: int) -> None:
    kits = [new_kit(), new_kit(name="staff", cookie=CookieSettings(name="staff"))][: 1 + others]
    app = failing_application(middleware, *kits)
    client = signed_in(client_of(app, raise_server_exceptions=False), kits[0], ADA)

    for _ in range(2):
        answer = client.get(path)
        assert answer.status_code == 500
        assert answer.headers["vary"] == "Cookie"
        assert answer.headers["cache-control"] == "private, no-cache"
