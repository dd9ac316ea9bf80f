"""A race inside one statement of PostgreSQL, which no store around it can see."""

import asyncio
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from fastapi_sessionkit.stores.sql import SQLStore
from tests.conftest import Clock
from tests.stack.application import World
from tests.stack.conftest import Make

pytestmark = pytest.mark.anyio


async def test_a_session_that_is_rotated_while_the_users_revocation_waits_for_a_lock_does_not_escape(
    make_store: Make, postgres: Any, clock: Clock
) -> None:
    store = make_store("postgres")
    assert isinstance(store, SQLStore)
    world = World(store, clock)
    await world.signed_in()
    browser = await world.signed_in()
    [(locked, _), _] = await store.list_user("ada")
    other = await asyncpg.connect(postgres.url.set(drivername="postgresql").render_as_string(hide_password=False))
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


async def waiting_for_a_lock(postgres: Any) -> None:
    url = postgres.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - nobody else would set an event
        await asyncio.sleep(0.005)
    await connection.close()
