"""``examples/accounts`` in this process, on a database of its own that begins anew with every test."""

import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastapi.testclient import TestClient
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete
from sqlmodel import SQLModel

from fastapi_sessionkit.testing import signed_in

FOLDER = tempfile.TemporaryDirectory(prefix="accounts-")

# Read where the example is imported.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("SESSIONKIT_SECRET_KEY", secrets.token_urlsafe(48))
    patch.setenv("ACCOUNTS_FOLDER", FOLDER.name)
    from examples.accounts import provider, town, users
    from examples.accounts.app import app
    from examples.accounts.door import OUTBOX
    from examples.accounts.sessions import kit, session_for
    from examples.accounts.settings import ISSUER
    from examples.accounts.users import User, database_session, engine

# Argon2 takes long on purpose, and a test needs no such protection.
users.hasher = PasswordHash([Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)])
users.NOBODYS_HASH = users.hasher.hash("nobody's")

PASSWORD = "correct horse battery"
HASH = users.hasher.hash(PASSWORD)
PAGES = {"accept": "text/html"}

Visit = Callable[..., TestClient]


def people() -> dict[str, User]:
    """Ada runs the place, Bob has a password, and Cleo comes by Town ID."""
    return {
        "ada": User(id="ada", email="ada@example.org", name="Ada Moreau", role="admin", password_hash=HASH),
        "bob": User(id="bob", email="bob@example.org", name="Bob Keller", password_hash=HASH),
        "cleo": User(id="cleo", email="cleo@example.com", name="Cleo Adeyemi", town_id="cleo"),
    }


@pytest.fixture(autouse=True)
def outbox() -> Iterator[Path]:
    """Where letters are, and with it three people in the table and nobody signed in."""
    anyio.run(begin_anew)
    OUTBOX.write_text("")
    yield OUTBOX
    anyio.run(engine.dispose)


async def begin_anew() -> None:
    await store().purge()  # makes its table
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.drop_all)
        await connection.run_sync(SQLModel.metadata.create_all)
        await connection.execute(delete(store().table))
    async with database_session() as database:
        database.add_all(people().values())
        await database.commit()
    await engine.dispose()


def store() -> Any:
    return getattr(kit.backend, "store")  # noqa: B009


@pytest.fixture
def visit() -> Visit:
    """``visit("bob")`` is Bob's browser, signed in; ``visit()`` is a stranger's."""

    def browser(user_id: str = "", **headers: str) -> TestClient:
        client = TestClient(app, base_url="https://testserver", headers={**PAGES, **headers}, follow_redirects=False)
        return signed_in(client, kit, session_for(people()[user_id], "a browser")) if user_id else client

    return browser


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A browser at Town ID, which the application reaches without a network."""
    monkeypatch.setitem(town.town.client_kwargs, "transport", httpx2.ASGITransport(app=provider.app))
    return TestClient(provider.app, base_url=ISSUER, follow_redirects=False)


def sign_in_an_hour_ago(user_id: str) -> None:
    """All sessions of that user become an hour old."""

    async def age() -> None:
        for key, record in await store().list_user(user_id):
            old = replace(record, authenticated_at=record.authenticated_at - 3_600, version=record.version + 1)
            await store().replace(key, old, version=record.version)

    anyio.run(age)


def row_of(user_id: str) -> User | None:
    async def found() -> User | None:
        async with database_session() as database:
            return await database.get(User, user_id)

    return anyio.run(found)
