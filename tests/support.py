"""What tests of every topic share: a secret, a clock, a model, a store that looks on, and clients over https."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import Field, model_validator

from fastapi_sessionkit import MemoryStore, Session, SessionKit, SessionRecord
from fastapi_sessionkit.testing import FakeClock

SECRET = "a secret of more than thirty-two characters"
SITE = "https://testserver"
Clock = FakeClock
COOKIE = "__Host-session"
"""The name of the session cookie where nothing else is set."""
PASSED: set[str] = set()
"""The tests that have passed in this run, with any of their parameters."""


def is_whole_suite(config: pytest.Config) -> bool:
    """Whether no file was named on the command line."""
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS


class AppSession(Session):
    tier: Literal["free", "premium"] = "free"
    cart: list[str] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)
    note: str = ""
    nickname: Annotated[str, Field(max_length=20)] = ""

    @model_validator(mode="after")
    def guests_are_free(self) -> "AppSession":
        if self.role == "guest" and self.tier == "premium":
            raise ValueError("a guest is on the free tier")
        return self


ADA = AppSession(user_id="ada", role="user")
EDITOR = AppSession(user_id="ada", role="editor", roles=("author",), permissions=("read", "write"))


class RecordingStore(MemoryStore):
    """Remembers every call, waits as an engine does, and breaks on demand.

    Attributes:
        calls: the names of the methods that were called, in their order.
        arguments: what each of these calls was given.
        broken: the names of the methods that fail.
        turns: for how many turns of the loop a call waits, before it does something and again after it.
    """

    def __init__(self, turns: Callable[[], int] = lambda: 0) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.arguments: list[tuple[Any, ...]] = []
        self.broken: set[str] = set()
        self.turns = turns

    @asynccontextmanager
    async def _call(self, name: str, *arguments: Any) -> AsyncIterator[None]:
        self.calls.append(name)
        self.arguments.append(arguments)
        if name in self.broken:
            raise ConnectionError("the engine is gone")
        for _ in range(self.turns()):
            await asyncio.sleep(0)
        yield
        for _ in range(self.turns()):
            await asyncio.sleep(0)

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


def new_kit(**options: Any) -> SessionKit[Session]:
    return SessionKit(**{"secret_key": SECRET, **options})


def app_kit(**options: Any) -> SessionKit[AppSession]:
    return SessionKit(AppSession, **{"secret_key": SECRET, **options})


def client_of(app: Any, **options: Any) -> TestClient:
    """A client over https that shows a redirect instead of following it."""
    return TestClient(app, **{"base_url": SITE, "follow_redirects": False, **options})


def application(kit: SessionKit[Any]) -> tuple[FastAPI, TestClient]:
    """An application that a kit is installed on, and a client of it."""
    app = FastAPI()
    kit.install(app)
    return app, client_of(app)


def holding(client: TestClient, token: str, cookie: str = COOKIE) -> TestClient:
    """The client with this session cookie and no other, wherever the token is from."""
    client.cookies.clear()
    client.cookies.set(cookie, token, domain="testserver.local", path="/")
    return client
