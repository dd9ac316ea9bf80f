"""The application, the store and the model that the tests of the mutation helpers share."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from pydantic import Field, model_validator

from fastapi_sessionkit import (
    MemoryStore,
    Session,
    SessionKit,
    SessionRecord,
    clear_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in

SECRET = "a secret of more than thirty-two characters"
COOKIE = "__Host-session"


class AppSession(Session):
    tier: Literal["free", "premium"] = "free"
    cart: list[str] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)
    note: Annotated[str, Field(max_length=20)] = ""

    @model_validator(mode="after")
    def guests_are_free(self) -> "AppSession":
        if self.role == "guest" and self.tier == "premium":
            msg = "a guest is on the free tier"
            raise ValueError(msg)
        return self


ADA = AppSession(user_id="ada", role="user")


class Store(MemoryStore):
    """Counts what is asked of it, waits as an engine does, and breaks on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.broken: set[str] = set()

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.broken:
            msg = "the engine is gone"
            raise ConnectionError(msg)

    async def get(self, key: str) -> SessionRecord | None:
        await self._called("get")
        return await super().get(key)

    async def create(self, key: str, record: SessionRecord) -> bool:
        await self._called("create")
        return await super().create(key, record)

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        await self._called("replace")
        return await super().replace(key, record, version=version)

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        await self._called("touch")
        return await super().touch(key, last_seen_at=last_seen_at, expires_at=expires_at)

    async def delete(self, key: str) -> bool:
        await self._called("delete")
        return await super().delete(key)


def application(kit: SessionKit[Any]) -> tuple[FastAPI, TestClient]:
    app = FastAPI()
    kit.install(app)
    return app, TestClient(app, base_url="https://testserver", follow_redirects=False)


def runs(kit: SessionKit[AppSession], change: Callable[[Request], Any], session: AppSession | None = ADA) -> TestClient:
    """A client, signed in, after one request that changed something."""
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        result = change(request)
        if result is not None:
            await result

    if session is not None:
        signed_in(client, kit, session)
    assert client.post("/").status_code == 200
    return client


Change = Callable[[Request], None]


def in_a_dependency(change: Change) -> Callable[[Request], None]:
    async def dependency(request: Request) -> None:
        change(request)

    return dependency  # type: ignore[return-value]


def with_cookie(client: TestClient, token: str) -> TestClient:
    client.cookies.clear()
    client.cookies.set(COOKIE, token, domain="testserver.local", path="/")
    return client


HELPERS: list[Callable[[Request | WebSocket], None]] = [
    lambda connection: set_session(connection, ADA),
    lambda connection: update_session(connection, tier="premium"),
    clear_session,
    regenerate_session,
]
every_helper = pytest.mark.parametrize("helper", HELPERS, ids=["set", "update", "clear", "regenerate"])
