"""The index of a user's sessions stays about as long as there are sessions, whoever lists them or not."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from fastapi_sessionkit.stores.base import SessionRecord
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.redis.format import SETTLED_AFTER
from fastapi_sessionkit.testing.contract.tools import PATIENCE, ContractClock, eventually, key
from tests.stores.redis_servers import Proxy, RedisServer

pytestmark = pytest.mark.anyio

GRACE = 610.0


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock(real=False)


@pytest.fixture
async def store(server: RedisServer, look: Any, clock: ContractClock) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url, clock=clock, timeout=PATIENCE)
    yield store
    await store.aclose()


async def rotate(store: RedisStore, clock: ContractClock, old: str, new: str) -> None:
    await store.create(key(new), clock.record(lifetime=86_400))
    pointer = replace(clock.record(version=2, lifetime=GRACE), successor=key(new))
    assert await store.replace(key(old), pointer, version=1) is True


async def test_many_rotations_by_one_user_leave_as_many_entries_as_are_alive(
    store: RedisStore, look: Any, clock: ContractClock
) -> None:
    await store.create(key("0"), clock.record(lifetime=86_400))
    for n in range(300):
        clock.advance(120)  # so 6 pointers are in their grace at any time
        await rotate(store, clock, str(n), str(n + 1))
    await store.aclose()

    assert look.hlen("session:user:ada") < 30
    assert [k for k, _ in await store.list_user("ada")] == [key("300")]


async def test_many_short_sessions_of_one_user_leave_as_many_entries_as_are_alive(
    store: RedisStore, look: Any, clock: ContractClock
) -> None:
    for n in range(300):
        await store.create(key(str(n)), clock.record(lifetime=10))
        look.delete(f"session:{key(str(n - 5))}")  # as Redis itself does it, by its own clock
        clock.advance(2)
    await store.aclose()

    assert look.hlen("session:user:ada") < 30


async def test_sessions_that_moved_to_another_user_leave_the_index(
    store: RedisStore, look: Any, clock: ContractClock
) -> None:
    for n in range(100):
        await store.create(key(str(n)), clock.record("ada"))
        await store.replace(key(str(n)), clock.record("bob", version=2), version=1)
        look.hset("session:user:ada", key(str(n)), b"\0" * 16)  # as if tidying had failed
    await store.create(key("last"), clock.record("ada"))
    for n in range(100):
        await store.create(key(f"more-{n}"), clock.record("ada"))
    await store.aclose()

    assert len(await store.list_user("bob")) == 100
    assert len(await store.list_user("ada")) == 101


async def test_nothing_that_is_alive_is_tidied_away(store: RedisStore, look: Any, clock: ContractClock) -> None:
    for n in range(60):
        await store.create(key(str(n)), clock.record(lifetime=86_400))
        clock.advance(60)
    await store.aclose()

    assert len(await store.list_user("ada")) == 60
    assert look.hlen("session:user:ada") == 60


async def test_a_sign_in_that_took_long_is_in_the_index_all_the_same(
    server: RedisServer, look: Any, clock: ContractClock
) -> None:
    async with Proxy(server) as proxy:
        slow, other = RedisStore(proxy.url, clock=clock), RedisStore(server.url, clock=clock)
        record = clock.record(data=b'{"slow":1}', lifetime=86_400)
        proxy.hold(record.data)
        sign_in = asyncio.create_task(slow.create(key("slow"), record))
        await proxy.sprung.wait()
        clock.advance(100)
        for n in range(50):
            await other.create(key(str(n)), clock.record(lifetime=86_400))
        await other.aclose()
        is_missed = not look.hexists("session:user:ada", key("slow"))
        proxy.release()

        assert is_missed

        assert await sign_in is True
        assert key("slow") in dict(await other.list_user("ada"))
        await slow.aclose()
        await other.aclose()


async def test_a_sign_in_is_two_round_trips_however_many_entries_are_left_over(
    store: RedisStore, look: Any, clock: ContractClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        await store.create(key(str(n)), clock.record(lifetime=10))
    await store.aclose()
    clock.advance(1000)
    tidied = asyncio.Event()

    async def waiting(*_: object) -> None:
        tidied.set()
        await asyncio.sleep(3600)

    monkeypatch.setattr(store, "_tidy", waiting)
    async with asyncio.timeout(PATIENCE):
        assert await store.create(key("new"), clock.record()) is True
        await tidied.wait()
    for task in tuple(store._under_way):  # noqa: SLF001
        task.cancel()


async def test_tidying_that_fails_fails_nothing(store: RedisStore, look: Any, clock: ContractClock) -> None:
    await store.create(key("a"), clock.record(lifetime=10))
    clock.advance(1000)
    look.delete(f"session:{key('a')}")
    look.hset(f"session:{key('a')}", "no", "session")

    assert await store.create(key("b"), clock.record()) is True
    await store.aclose()


async def test_by_the_real_time_as_well(server: RedisServer, look: Any) -> None:
    store = RedisStore(server.url)
    for n in range(200):
        now = time.time()
        await store.create(key(str(n)), SessionRecord(b"{}", "ada", 1, now, now, now, now + 0.01))
        await asyncio.sleep(0.005)

    async def is_short() -> bool:
        now = time.time()
        await store.create(key(f"more-{now}"), SessionRecord(b"{}", "ada", 1, now, now, now, now + 0.01))
        return int(look.hlen("session:user:ada")) < 30

    assert await eventually(is_short)
    await store.aclose()


def test_the_time_to_settle_is_longer_than_a_sign_in_takes() -> None:
    assert SETTLED_AFTER >= 4 * 5.0  # four times the default time-out
