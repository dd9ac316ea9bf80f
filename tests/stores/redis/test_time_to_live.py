"""Whatever the store writes leaves Redis by itself, and no sooner than its session ends."""

import time
from typing import Any

import pytest

from fastapi_sessionkit.stores.base import SessionRecord
from fastapi_sessionkit.stores.redis import RedisStore
from tests.stores.redis.support import LIFETIME, A, B, a_record
from tests.stores.redis_servers import RedisServer

pytestmark = pytest.mark.anyio


def keys_without_an_end(look: Any) -> list[bytes]:
    return [name for name in look.scan_iter() if look.pttl(name) < 0]


async def test_every_key_has_a_time_to_live(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record("ada"))
    await store.create(B, a_record(None))
    await store.replace(A, a_record("bob", version=2, lifetime=9 * LIFETIME), version=1)
    await store.touch(A, last_seen_at=time.time(), expires_at=time.time() + 99 * LIFETIME)
    await store.list_user("ada")
    await store.replace(B, a_record("bob", version=2), version=1)

    assert {bytes(name) for name in look.scan_iter()} == {
        f"session:{A}".encode(),
        f"session:{B}".encode(),
        b"session:user:bob",
    }
    assert keys_without_an_end(look) == []


async def test_the_time_to_live_counts_from_the_stores_clock(server: RedisServer, look: Any) -> None:
    store = RedisStore(server.url, clock=lambda: 1000.0)
    await store.create(A, SessionRecord(b"{}", "ada", 1, 1000.0, 1000.0, 1000.0, 7000.0))
    await store.aclose()

    assert 5_900_000 < look.pttl(f"session:{A}") <= 6_000_000


async def test_a_record_shortened_by_replace_leaves_redis_earlier(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    await store.replace(A, a_record(version=2, lifetime=10), version=1)

    assert look.pttl(f"session:{A}") <= 10_000


async def test_a_touched_record_stays_in_redis_longer(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record(lifetime=60))
    await store.touch(A, last_seen_at=time.time(), expires_at=time.time() + 1000)

    assert look.pttl(f"session:{A}") > 900_000


async def test_the_index_outlives_a_session_that_is_touched_again_and_again(store: RedisStore, look: Any) -> None:
    record = a_record(lifetime=10)
    await store.create(A, record)
    for seconds in (15, 25, 60, 3600):
        await store.touch(A, last_seen_at=record.last_seen_at, expires_at=record.expires_at + seconds)

        assert look.pttl("session:user:ada") >= look.pttl(f"session:{A}")


async def test_the_index_outlives_a_session_that_a_change_makes_live_longer(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record(lifetime=10))
    for version, lifetime in ((1, 15), (2, 60), (3, 3600)):
        assert await store.replace(A, a_record(version=version + 1, lifetime=lifetime), version=version) is True
        assert look.pttl("session:user:ada") >= look.pttl(f"session:{A}")


async def test_a_short_session_does_not_cut_the_index_of_a_long_one(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record(lifetime=1000))
    await store.create(B, a_record(lifetime=1))

    assert look.pttl("session:user:ada") > 900_000
