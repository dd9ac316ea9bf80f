"""Backends, the application on top of them, and browsers of it."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import (
    CookieBackend,
    MemoryStore,
    SessionBackend,
    SessionKit,
    StoreBackend,
    clear_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import ADA, AppSession, Clock, app_kit, client_of, holding

DAY = 86_400


BACKENDS: dict[str, Callable[[MemoryStore], SessionBackend]] = {
    "plain": lambda _: CookieBackend(),
    "encrypted": lambda _: CookieBackend(encrypt=True),
    "store": StoreBackend,
}
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
every_cookie_backend = pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "encrypted"])
Make = Callable[[MemoryStore], SessionBackend]


def make(backend: SessionBackend | MemoryStore, clock: Clock, **settings: Any) -> SessionKit[AppSession]:
    return app_kit(backend=backend, clock=clock, **settings)


def changing_application(kit: SessionKit[AppSession]) -> FastAPI:
    """An application that signs in and out, and changes the session by path."""
    app = FastAPI()
    kit.install(app)

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA)

    @app.post("/in/as-grace")
    async def sign_in_as_grace(request: Request) -> None:
        set_session(request, AppSession(user_id="grace"))

    @app.post("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="admin")

    @app.post("/set/{name}")
    async def change(request: Request, name: str, session: Annotated[Any, Depends(kit.require_session)]) -> None:
        update_session(request, **{name: "set"})

    @app.get("/")
    async def read(session: Annotated[AppSession | None, Depends(kit.get_session)]) -> dict[str, Any] | None:
        return None if session is None else session.model_dump()

    return app


def browser(kit: SessionKit[AppSession], session: AppSession | None = ADA) -> TestClient:
    client = client_of(changing_application(kit))
    return client if session is None else signed_in(client, kit, session)


def browser_with(kit: SessionKit[AppSession], token: str, cookie: str | None = None) -> TestClient:
    """A client that holds a token, wherever it has it from."""
    return holding(browser(kit, None), token, cookie or kit.cookie_name)


def opened(kit: SessionKit[AppSession], token: str) -> AppSession | None:
    """The session that a token opens."""
    return session_of(browser_with(kit, token), kit)
