"""A race inside one statement of PostgreSQL, which no store around it can see."""

import asyncio
import hashlib
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from fastapi_sessionkit.stores.sql import SQLStore
from tests.stack.application import World
from tests.stack.conftest import Make
from tests.support import Clock

pytestmark = pytest.mark.anyio


async def test_a_session_rotated_while_a_revocation_waits_does_not_escape(
    make_store: Make, postgres: Any, clock: Clock
) -> None:
    store = make_store("postgres")
    assert isinstance(store, SQLStore)
    world = World(store, clock)
    browsers = [await world.signed_in(), await world.signed_in()]
    other = await asyncpg.connect(postgres.url.set(drivername="postgresql").render_as_string(hide_password=False))
    # The row that the revocation comes to first: it must not hold the other one while it waits.
    locked = await other.fetchval(f"SELECT key FROM \"{store.table.name}\" WHERE user_id = 'ada' ORDER BY ctid LIMIT 1")  # noqa: S608
    [browser] = [each for each in browsers if key_of(each.token) != locked]
    transaction = other.transaction()
    await transaction.start()
    await other.execute(f'UPDATE "{store.table.name}" SET version = version WHERE key = $1', locked)  # noqa: S608
    # It has taken its snapshot of the table by now: a session that appears later is none of its business.
    revocation = asyncio.ensure_future(world.kit.sessions.revoke_user("ada"))
    await waiting_for_a_lock(postgres)
    assert (await browser.post("/rotate")).status == 200
    await transaction.rollback()
    await other.close()
    ended = await revocation

    assert ended == 2
    assert [await world.opens(token) for token in browser.tokens] == [False, False]
    assert await world.kit.sessions.list("ada") == []
    await store.aclose()


def key_of(token: str | None) -> str:
    session_id, _, _ = (token or "").rpartition(".")
    return hashlib.sha256(session_id.encode()).hexdigest()


async def waiting_for_a_lock(postgres: Any) -> None:
    url = postgres.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - nobody else would set an event
        await asyncio.sleep(0.005)
    await connection.close()
