"""A ``user_id`` that no session can have: the answer is nobody, and no engine is asked."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fastapi_sessionkit import Session, SessionKit, SessionStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.stores.redis_servers import RedisServer
from tests.support import SECRET

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, table_name: str) -> AsyncIterator[SessionStore]:
    store: SessionStore
    match request.param:
        case "sqlite":
            store = SQLStore(tmp_path / "sessions.db")
        case "postgres":
            store = SQLStore(request.getfixturevalue("postgres").url, table_name=table_name)
        case _:
            store = RedisStore(request.getfixturevalue("redis").url)
    yield store
    await store.aclose()


@pytest.mark.parametrize("user_id", ["a\x00", "\x00", "a\ud800", "\udfff"], ids=ascii)
async def test_nobody_is_found_listed_changed_or_ended(store: SessionStore, user_id: str) -> None:
    sessions = SessionKit(Session, secret_key=SECRET, backend=store).sessions

    assert await sessions.list(user_id) == []
    assert await sessions.revoke_user(user_id) == 0
    assert await sessions.update_user(user_id, role="admin") == 0
    assert await sessions.revoke("0" * 64, user_id=user_id) is False
