"""The application, the store and the backends that the tests of backends share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import Field

from fastapi_sessionkit import (
    CookieBackend,
    MemoryStore,
    Session,
    SessionBackend,
    SessionKit,
    SessionRecord,
    StoreBackend,
    clear_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.conftest import Clock

SECRET = "a secret of more than thirty-two characters"
COOKIE = "__Host-session"
DAY = 86_400


class AppSession(Session):
    note: str = ""
    cart: list[str] = Field(default_factory=list)


ADA = AppSession(user_id="ada", role="user")


class Recording(MemoryStore):
    """Remembers every call, and waits before and behind each as an engine does: for a number of turns of the loop."""

    def __init__(self, turns: Callable[[], int] = lambda: 0) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.turns = turns

    @asynccontextmanager
    async def _call(self, name: str, *arguments: Any) -> AsyncIterator[None]:
        self.calls.append((name, arguments))
        for _ in range(self.turns()):
            await asyncio.sleep(0)
        yield
        for _ in range(self.turns()):
            await asyncio.sleep(0)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    async def get(self, key: str) -> SessionRecord | None:
        async with self._call("get", key):
            return await super().get(key)

    async def create(self, key: str, record: SessionRecord) -> bool:
        async with self._call("create", key, record):
            return await super().create(key, record)

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        async with self._call("replace", key, record):
            return await super().replace(key, record, version=version)

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        async with self._call("touch", key):
            return await super().touch(key, last_seen_at=last_seen_at, expires_at=expires_at)

    async def delete(self, key: str) -> bool:
        async with self._call("delete", key):
            return await super().delete(key)


BACKENDS: dict[str, Callable[[MemoryStore], SessionBackend]] = {
    "plain": lambda _: CookieBackend(),
    "encrypted": lambda _: CookieBackend(encrypt=True),
    "store": StoreBackend,
}
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
every_cookie_backend = pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "encrypted"])
Make = Callable[[MemoryStore], SessionBackend]


def make(backend: SessionBackend | MemoryStore, clock: Clock, **settings: Any) -> SessionKit[AppSession]:
    return SessionKit(AppSession, **{"secret_key": SECRET, "backend": backend, "clock": clock, **settings})


def application(kit: SessionKit[AppSession]) -> FastAPI:
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
    client = TestClient(application(kit), base_url="https://testserver")
    return client if session is None else signed_in(client, kit, session)


def holding(kit: SessionKit[AppSession], token: str, cookie: str | None = None) -> TestClient:
    """A client that holds a token, wherever it has it from."""
    client = browser(kit, None)
    client.cookies.set(cookie or kit.cookie_name, token, domain="testserver.local", path="/")
    return client


def opened(kit: SessionKit[AppSession], token: str) -> AppSession | None:
    """The session that a token opens."""
    return session_of(holding(kit, token), kit)
