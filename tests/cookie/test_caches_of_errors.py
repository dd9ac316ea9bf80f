"""What caches are told about answers to errors, which are made outside of every middleware."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from fastapi_sessionkit import CookieSettings, MemoryStore, Session, SessionKit, set_session
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

ADA = Session(user_id="ada")


def failing_application(kit: SessionKit[Session]) -> tuple[FastAPI, TestClient]:
    app = FastAPI()
    kit.install(app)

    @app.get("/asked")
    async def asked(session: Annotated[Session | None, Depends(kit.get_session)]) -> None:
        raise RuntimeError(repr(session))

    @app.get("/unasked")
    async def unasked() -> None:
        raise RuntimeError

    @app.get("/signing-in")
    async def signing_in(request: Request) -> None:
        set_session(request, ADA)
        raise RuntimeError

    return app, client_of(app, raise_server_exceptions=False)


async def told(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 500)


def told_in_a_thread(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 500)


class Told:
    async def __call__(self, request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), 500)


async def told_by_a_function(request: Request, error: Exception) -> Any:
    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(str(error), 500)(scope, receive, send)

    return respond


HANDLERS: list[tuple[Any, Any]] = [
    (Exception, told),
    (500, told),
    (Exception, told_in_a_thread),
    (Exception, Told()),
    (Exception, told_by_a_function),
    (None, None),
]


@pytest.mark.parametrize(("key", "handler"), HANDLERS, ids=["Exception", "500", "def", "object", "ASGI", "none"])
def test_an_answer_to_an_error_says_that_it_depends_on_the_session(key: Any, handler: Any) -> None:
    kit = new_kit()
    app, client = failing_application(kit)
    if handler is not None:
        app.add_exception_handler(key, handler)
    nobodys = client.get("/asked")
    adas = signed_in(client, kit, ADA).get("/asked")

    assert nobodys.status_code == adas.status_code == 500
    assert nobodys.headers["vary"] == adas.headers["vary"] == "Cookie"
    assert "cache-control" not in nobodys.headers
    assert adas.headers["cache-control"] == "private, no-cache"


def test_what_the_handler_says_of_caches_itself_stands() -> None:
    kit = new_kit()
    app, client = failing_application(kit)

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> Response:
        return PlainTextResponse("", 200, {"Vary": "Accept, Cookie", "Cache-Control": "max-age=5"})

    answer = signed_in(client, kit, ADA).get("/asked")

    assert answer.headers["vary"] == "Accept, Cookie"
    assert answer.headers["cache-control"] == "max-age=5"


def test_an_error_of_a_request_that_did_not_ask_is_left_alone() -> None:
    kit = new_kit()
    app, client = failing_application(kit)
    app.add_exception_handler(Exception, told)
    signed_in(client, kit, ADA)
    client.get("/asked")
    answer = client.get("/unasked")

    assert "vary" not in answer.headers
    assert "cache-control" not in answer.headers


def test_an_error_after_a_sign_in_carries_no_cookie_and_is_not_stored() -> None:
    kit = new_kit()
    app, client = failing_application(kit)
    app.add_exception_handler(Exception, told)
    answer = client.get("/signing-in")

    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_a_handler_that_asks_for_the_session_itself_says_so() -> None:
    kit = new_kit()
    app, client = failing_application(kit)

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> Response:
        session = await kit.get_session(request)
        return JSONResponse(session and session.user_id, 500)

    answer = signed_in(client, kit, ADA).get("/unasked")

    assert answer.json() == "ada"
    assert answer.headers["vary"] == "Cookie"
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("first", [True, False], ids=["installed first", "installed last"])
def test_with_two_kits_an_answer_to_an_error_depends_on_those_asked(first: bool) -> None:
    kits = [new_kit(), new_kit(name="staff", cookie=CookieSettings(name="staff"))]
    asked, other = kits if first else kits[::-1]
    app = FastAPI()
    for kit in kits:
        kit.install(app)

    @app.get("/")
    async def endpoint(session: Annotated[Session | None, Depends(asked.get_session)]) -> None:
        raise RuntimeError

    client = signed_in(client_of(app, raise_server_exceptions=False), asked, ADA)
    answer = signed_in(client, other, Session(user_id="bob")).get("/")

    assert answer.headers["vary"] == "Cookie"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_the_handler_is_put_into_one_that_marks_once() -> None:
    kit = new_kit()
    app, client = failing_application(kit)
    app.add_exception_handler(Exception, told)
    client.get("/asked")
    outermost: Any = app.middleware_stack
    handler = outermost.handler
    client.get("/asked")

    assert outermost.handler is handler


def test_a_middleware_around_it_changes_nothing() -> None:
    kit = new_kit()
    app, client = failing_application(kit)
    app.add_exception_handler(Exception, told)

    @app.middleware("http")
    async def passing(request: Request, call_next: Callable[[Request], Any]) -> Any:
        return await call_next(request)

    assert signed_in(client, kit, ADA).get("/asked").headers["vary"] == "Cookie"


# What lists a user's sessions


@pytest.mark.parametrize("path", ["/devices", "/elsewhere"])
def test_what_depends_on_the_session_by_kit_sessions_says_so(path: str) -> None:
    kit = new_kit(backend=MemoryStore())
    app = FastAPI()
    kit.install(app)

    @app.get("/devices")
    async def devices(request: Request) -> list[bool]:
        return [active.current for active in await kit.sessions.list("ada", current=request)]

    @app.get("/elsewhere")
    async def elsewhere(request: Request) -> int:
        return await kit.sessions.revoke_user("ada", keep_current=request)

    client = client_of(app)
    nobodys = client.get(path)
    adas = signed_in(client, kit, ADA).get(path)

    assert nobodys.headers["vary"] == adas.headers["vary"] == "Cookie"
    assert "cache-control" not in nobodys.headers
    assert adas.headers["cache-control"] == "private, no-cache"
    assert adas.json() in ([True], 0)


def test_what_asks_for_nobody_in_particular_does_not() -> None:
    kit = new_kit(backend=MemoryStore())
    app = FastAPI()
    kit.install(app)

    @app.get("/")
    async def count() -> int:
        return len(await kit.sessions.list("ada"))

    answer = signed_in(client_of(app), kit, ADA).get("/")

    assert answer.json() == 1
    assert "vary" not in answer.headers
