"""Connections: few under load, none left over, one for each event loop."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing.contract.tools import eventually, key
from tests.stores.redis.support import A, B, a_record, has_only
from tests.stores.redis_servers import RedisServer

pytestmark = pytest.mark.anyio


async def test_a_burst_of_a_thousand_reads_shares_one_connection(store: RedisStore, server: RedisServer) -> None:
    before = server.connections()
    record = a_record()
    await store.create(A, record)

    assert await asyncio.gather(*(store.get(A) for _ in range(1000))) == [record] * 1000
    assert len(server.connections() - before) == 1


async def test_a_thousand_sign_ins_at_once_all_succeed(store: RedisStore) -> None:
    answers = await asyncio.gather(*(store.create(key(str(n)), a_record(f"user-{n}")) for n in range(1000)))

    assert answers == [True] * 1000


async def test_opening_and_closing_leaks_no_connection(server: RedisServer, look: Any) -> None:
    before = server.connections()
    store = RedisStore(server.url)
    for _ in range(20):
        await store.get(A)
        await store.aclose()

    assert await eventually(lambda: has_only(server, before))


async def test_cancelled_calls_leak_no_connection(store: RedisStore, server: RedisServer) -> None:
    await store.get(A)
    before = server.connections()
    for turns in range(20):
        call = asyncio.create_task(store.create(A, a_record()))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
    await asyncio.sleep(0)

    assert await store.get(B) is None
    assert server.connections() <= before


async def test_connections_that_broke_are_gone(store: RedisStore, server: RedisServer, look: Any) -> None:
    broken: set[tuple[int, str]] = set()
    for _ in range(10):
        await store.get(A)
        broken |= server.connections()
        look.client_kill_filter(_type="normal", skipme=True)
    await store.get(A)
    [used] = server.connections() - broken

    assert await eventually(lambda: has_only(server, {used}))


def test_a_store_serves_one_event_loop_after_another(server: RedisServer, look: Any) -> None:
    # As a TestClient does that is used without `with`: a loop for each request, and nobody closes the store.
    store, record = RedisStore(server.url), a_record()
    before = server.connections()
    assert asyncio.run(store.create(A, record)) is True

    assert asyncio.run(store.get(A)) == record
    assert [k for k, _ in asyncio.run(store.list_user("ada"))] == [A]
    assert asyncio.run(eventually(lambda: has_only(server, before)))


def test_a_store_serves_two_event_loops_at_once(server: RedisServer, look: Any) -> None:
    store, record = RedisStore(server.url), a_record()
    with asyncio.Runner() as one, asyncio.Runner() as other:
        assert one.run(store.create(A, record)) is True
        assert other.run(store.get(A)) == record
        one.run(store.aclose())
        assert other.run(store.get(A)) == record
        other.run(store.aclose())


async def test_closing_leaves_a_client_of_the_users_own_alone(server: RedisServer, look: Any) -> None:
    before = server.connections()
    client = Redis.from_url(server.url)
    await client.set("mine", "1")
    mine = server.connections() - before
    store = RedisStore(client)
    await store.create(A, a_record())
    await store.aclose()

    assert await eventually(lambda: has_only(server, before | mine))
    assert await client.get("mine") == b"1"
    assert server.connections() >= mine
    await client.aclose()


async def test_calls_under_way_while_it_closes_fail_and_do_not_hang(server: RedisServer, look: Any) -> None:
    store = RedisStore(server.url)
    await store.get(A)
    calls = [asyncio.create_task(store.get(A)) for _ in range(5)]
    await asyncio.sleep(0)
    await store.aclose()
    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert all(answer is None or isinstance(answer, StoreError) for answer in answers)
