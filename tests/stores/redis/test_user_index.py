"""The index of a user's sessions: complete whatever happens at the same time, and tidy."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing.contract.tools import key
from tests.stores.redis.support import LIFETIME, A, B, a_record
from tests.stores.redis_servers import Proxy, RedisServer

pytestmark = pytest.mark.anyio


async def test_sessions_that_ended_by_themselves_leave_the_index(server: RedisServer, look: Any) -> None:
    now = time.time()
    store = RedisStore(server.url, clock=lambda: now)
    await store.create(A, a_record(lifetime=10))
    await store.create(B, a_record())
    look.delete(f"session:{A}")
    now += 100

    assert [k for k, _ in await store.list_user("ada")] == [B]
    assert look.hkeys("session:user:ada") == [B.encode()]
    await store.aclose()


async def test_signing_out_leaves_nothing_behind(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    await store.delete(A)

    assert list(look.scan_iter()) == []


async def test_ending_all_sessions_of_a_user_leaves_nothing_behind(store: RedisStore, look: Any) -> None:
    for name in "abc":
        await store.create(key(name), a_record())
    await store.replace(A, replace(a_record(version=2), successor=B), version=1)
    await store.delete_user("ada")

    assert list(look.scan_iter()) == []


async def test_a_sign_in_under_way_is_not_tidied_out_of_the_index(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(B, a_record())
    record = a_record()
    proxy.hold(record.data)
    sign_in = asyncio.create_task(through.create(A, record))
    await proxy.sprung.wait()
    # The index names it already, its record is still on its way.
    assert [k for k, _ in await store.list_user("ada")] == [B]
    await store.delete_user("ada")
    proxy.release()

    assert await sign_in is True
    assert await store.list_user("ada") == [(A, record)]


async def test_a_session_whose_index_was_lost_is_listed_again_once_it_is_extended(store: RedisStore, look: Any) -> None:
    record = a_record()
    await store.create(A, record)
    look.delete("session:user:ada")
    await store.touch(A, last_seen_at=time.time(), expires_at=record.expires_at + 3 * LIFETIME)

    assert [k for k, _ in await store.list_user("ada")] == [A]


async def test_a_session_moved_back_while_it_was_moved_away_stays_listed(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(A, a_record("ada"))
    proxy.hold(b"session:user:ada")
    moving_away = asyncio.create_task(through.replace(A, a_record("bob", version=2), version=1))
    await proxy.sprung.wait()
    # It belongs to bob by now, and ada's index is about to be tidied.
    back = a_record("ada", version=3)
    await store.replace(A, back, version=2)
    proxy.release()
    await moving_away

    assert await store.list_user("ada") == [(A, back)]


async def test_a_session_that_is_rotated_meanwhile_does_not_escape_the_end_of_all(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(A, a_record())
    proxy.hold(f"session:{A}".encode())
    ending = asyncio.create_task(through.delete_user("ada"))
    await proxy.sprung.wait()
    # It has read the index, in which there is only the old key.
    await store.create(B, a_record())
    await store.replace(A, replace(a_record(version=2), successor=B), version=1)
    proxy.release()

    assert await ending == 1
    assert await store.get(B) is None


async def test_ending_all_sessions_happens_whole_when_the_caller_is_cancelled(store: RedisStore) -> None:
    for turns in range(12):
        for name in ("one", "two", "three"):
            await store.create(key(f"{turns}{name}"), a_record())
        ending = asyncio.create_task(store.delete_user("ada"))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait([ending])
        await store.aclose()

        assert await store.list_user("ada") == []


async def test_a_session_rotated_while_it_is_listed_is_listed_under_its_new_key(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a change of rights by an administrator would miss it."""
    await store.create(A, a_record())
    find, rotated = store._find, False  # noqa: SLF001

    async def rotating(keys: Any, user_id: str) -> Any:
        nonlocal rotated
        if not rotated:
            rotated = True
            await store.create(B, a_record())
            assert await store.replace(A, replace(a_record(version=2), successor=B), version=1)
        return await find(keys, user_id)

    monkeypatch.setattr(store, "_find", rotating)

    assert [found for found, _ in await store.list_user("ada")] == [B]
