"""A primary that Sentinel watches, through the user's own client: the store follows it to wherever it moves."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
from redis.asyncio.sentinel import Sentinel

from fastapi_sessionkit.stores.base import SessionRecord, StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import ContractClock
from tests.stores.redis.support import A, a_record
from tests.stores.redis_servers import RedisSentinel, RedisServer

PATIENCE = 30.0
T = TypeVar("T")


class Watched:
    """A primary, its replica, and the Sentinel over both."""

    def __init__(self) -> None:
        self.primary = RedisServer()
        self.replica = RedisServer()
        with self.replica.client() as client:
            client.replicaof("127.0.0.1", self.primary.port)
        self.sentinel = RedisSentinel(self.primary)

    def close(self) -> None:
        for server in (self.sentinel, self.replica, self.primary):
            server.close()


@pytest.fixture(scope="module")
def calm() -> Iterator[Watched]:
    """Where nothing fails over."""
    watched = Watched()
    yield watched
    watched.close()


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    watched = await asyncio.to_thread(Watched)
    await eventually(watched.sentinel.knows_replica)
    yield watched
    watched.close()


async def following(sentinel: RedisSentinel) -> AsyncIterator[Sentinel]:
    client = Sentinel([("127.0.0.1", sentinel.port)], socket_timeout=1.0)  # type: ignore[no-untyped-call]
    yield client
    for each in client.sentinels:
        await each.aclose()


@pytest.fixture
async def store(watched: Watched) -> AsyncIterator[RedisStore]:
    async for sentinel in following(watched.sentinel):
        store = RedisStore(sentinel.master_for("main"))
        yield store
        await store.aclose()


class TestRedisStoreBehindSentinel(SessionStoreContract):
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, calm: Watched) -> AsyncIterator[RedisStore]:
        async for sentinel in following(calm.sentinel):
            store = RedisStore(sentinel.master_for("main"), clock=clock, prefix=f"{secrets.token_hex(4)}:")
            yield store
            await store.aclose()


async def replicated(watched: Watched, store: RedisStore) -> SessionRecord:
    """A session that has reached the replica: what had not may be lost."""
    record = a_record()
    await store.create(A, record)
    with watched.replica.client() as client:
        await eventually(lambda: bool(client.exists(f"session:{A}")))
    return record


class Reader:
    """Asks for the session without a pause, and keeps what it was told."""

    def __init__(self, store: RedisStore) -> None:
        self.seen: list[SessionRecord | None] = []
        self.errors = 0
        self._task = asyncio.ensure_future(self._read(store))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _read(self, store: RedisStore) -> None:
        while True:
            try:
                self.seen.append(await store.get(A))
            except StoreError:
                self.errors += 1
            await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_when_the_primary_dies_the_store_follows_to_the_replica(watched: Watched, store: RedisStore) -> None:
    record = await replicated(watched, store)
    reader = Reader(store)
    await eventually(lambda: bool(reader.seen))
    await asyncio.to_thread(watched.primary.kill)
    with pytest.raises(StoreError):
        await store.replace(A, record, version=9)
    await eventually(lambda: watched.sentinel.primary() == watched.replica.port)
    before = len(reader.seen)
    await eventually(lambda: len(reader.seen) > before)
    await reader.stop()

    assert reader.errors > 0
    assert set(reader.seen) == {record}  # never None, which would be "nobody signed in"
    assert await succeeds(lambda: store.delete(A)) is True
    assert await store.get(A) is None


@pytest.mark.anyio
async def test_when_primary_and_replica_change_places_the_store_follows(watched: Watched, store: RedisStore) -> None:
    record = await replicated(watched, store)
    with watched.primary.client() as client:
        # Sentinel tells a primary some ten seconds later that it is none: without this it takes writes until then.
        client.config_set("min-replicas-to-write", 1)
    reader = Reader(store)
    await asyncio.to_thread(watched.sentinel.fail_over)
    await eventually(lambda: watched.sentinel.primary() == watched.replica.port)
    with pytest.raises(StoreError, match="NOREPLICAS"):
        await store.replace(A, record, version=1)
    with watched.primary.client() as client:
        client.replicaof("127.0.0.1", watched.replica.port)
    changed = replace(record, data=b'{"user_id":"ada","n":1}', version=2)
    assert await succeeds(lambda: store.replace(A, changed, version=1)) is True
    await reader.stop()
    there = RedisStore(watched.replica.url)
    last = await there.get(A)
    await there.aclose()

    assert last == changed
    assert None not in reader.seen


async def succeeds(call: Callable[[], Awaitable[T]]) -> T:
    """What a call gives once it gets through: which the first after a failover need not."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except StoreError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
