"""Middleware reads the session after ``call_next``; before it, the error says why it can't."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    MemoryStore,
    Session,
    SessionKitError,
    clear_session,
    get_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import application, client_of, new_kit

Next = Callable[[Request], Awaitable[Response]]
ADA = Session(user_id="ada")


def add_routes(app: FastAPI) -> None:
    @app.get("/read")
    async def read(request: Request) -> None:
        await get_session(request)

    @app.get("/plain")
    async def plain() -> None: ...

    @app.get("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, Session(user_id="grace"))

    @app.get("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.get("/change")
    async def change(request: Request) -> None:
        update_session(request, user_id="eve")

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(403)


@pytest.mark.parametrize(
    ("path", "user"),
    [
        ("/read", "ada"),
        ("/plain", "ada"),
        ("/in", "grace"),
        ("/out", None),
        ("/change", "eve"),
        ("/refused", "ada"),
        ("/not-there", "ada"),
    ],
)
def test_after_call_next_a_middleware_reads_what_the_request_ended_with(path: str, user: str | None) -> None:
    kit = new_kit(backend=MemoryStore())
    app, client = application(kit)
    add_routes(app)
    seen: list[Any] = []

    @app.middleware("http")
    async def look(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        for ask in (get_session, kit.get_session):
            session = await ask(request)
            seen.append(None if session is None else session.user_id)
        return response

    signed_in(client, kit, ADA).get(path)

    assert seen == [user, user]


class Looking:
    """A plain ASGI middleware that asks once the application is done."""

    def __init__(self, app: ASGIApp, ask: Callable[[HTTPConnection], Awaitable[None]]) -> None:
        self.app = app
        self.ask = ask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if scope["type"] != "lifespan":
            await self.ask(HTTPConnection(scope))


def test_a_plain_asgi_middleware_reads_it_too() -> None:
    kit = new_kit()
    app, client = application(kit)
    add_routes(app)
    seen: list[Any] = []

    async def ask(connection: HTTPConnection) -> None:
        seen.append(await get_session(connection))

    app.add_middleware(Looking, ask=ask)
    signed_in(client, kit, ADA).get("/plain")
    with client.websocket_connect("wss://testserver/socket"):
        pass

    assert seen == [ADA, ADA]


def test_after_the_application_each_of_two_kits_can_be_read() -> None:
    kits = [new_kit(name=name, cookie=CookieSettings(name=name)) for name in ("one", "two")]
    app = FastAPI()
    for kit in kits:
        kit.install(app)
    seen: list[Any] = []

    async def ask(connection: HTTPConnection) -> None:
        seen.extend([await kit.get_session(connection) for kit in kits])

    app.add_middleware(Looking, ask=ask)
    client = client_of(app)
    for kit, name in zip(kits, ("ada", "grace"), strict=True):
        signed_in(client, kit, Session(user_id=name))
    client.get("/")

    assert [session.user_id for session in seen] == ["ada", "grace"]


def test_after_call_next_a_kit_s_name_reads_its_session_whatever_answered() -> None:
    outer, inner = (new_kit(name=name, cookie=CookieSettings(name=name)) for name in ("outer", "inner"))
    (app, client), (sub, _) = application(outer), application(inner)
    app.mount("/sub", sub)
    add_routes(sub)
    seen: list[Any] = []

    @app.middleware("http")
    async def look(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        seen.append(await outer.get_session(request))
        return response

    signed_in(signed_in(client, outer, ADA), inner, Session(user_id="grace")).get("/sub/read")

    assert seen == [ADA]


def test_after_a_mounted_application_its_session_is_no_longer_the_one_meant() -> None:
    outer, inner = (new_kit(name=name, cookie=CookieSettings(name=name)) for name in ("outer", "inner"))
    (app, client), (sub, _) = application(outer), application(inner)
    app.mount("/sub", sub)
    add_routes(sub)
    seen: list[Any] = []

    async def ask(connection: HTTPConnection) -> None:
        seen.append(await get_session(connection))

    app.add_middleware(Looking, ask=ask)
    signed_in(signed_in(client, outer, ADA), inner, Session(user_id="grace")).get("/sub/read")

    assert seen == [ADA]


def test_after_call_next_it_is_too_late_to_change_anything() -> None:
    kit = new_kit()
    app, client = application(kit)
    add_routes(app)

    @app.middleware("http")
    async def change(request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        with pytest.raises(SessionKitError, match="came too late"):
            clear_session(request)
        return response

    assert "set-cookie" not in signed_in(client, kit, ADA).get("/plain").headers


def early(ask: Callable[[Request], Any]) -> str:
    """What a middleware is told that asks before ``call_next``."""
    app, client = application(new_kit())
    said: list[str] = []

    @app.middleware("http")
    async def look(request: Request, call_next: Next) -> Response:
        with pytest.raises(ConfigurationError) as caught:
            await ask(request)
        said.append(str(caught.value))
        return await call_next(request)

    client.get("/")
    return said[0]


async def change(request: Request) -> None:
    update_session(request, role="user")


@pytest.mark.parametrize(("ask", "name"), [(get_session, "get_session"), (change, "update_session")])
def test_before_call_next_the_error_says_why_not_and_when(ask: Any, name: str) -> None:
    said = early(ask)

    assert said.startswith(f"{name} was called in a middleware before the request reached the kit")
    assert "await call_next(request)" in said
    assert "kit.install" not in said


def test_before_call_next_a_kit_s_own_name_says_the_same() -> None:
    kit = new_kit()
    app, client = application(kit)

    @app.middleware("http")
    async def look(request: Request, call_next: Next) -> Response:
        with pytest.raises(ConfigurationError, match=r"^kit\.get_session was called in a middleware before"):
            await kit.get_session(request)
        return await call_next(request)

    assert client.get("/").status_code == 404


def test_a_kit_that_is_not_installed_is_still_told_apart() -> None:
    other = new_kit(name="other")

    assert early(other.get_session).startswith("kit.get_session found that no SessionKit is installed")
