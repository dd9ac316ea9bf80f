import logging
from collections.abc import Callable
from typing import Any

import pytest

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.memory import MemoryStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import ContractClock, key

pytestmark = pytest.mark.anyio


@pytest.fixture
def time() -> ContractClock:
    return ContractClock(real=False)


class TestMemoryStore(SessionStoreContract):
    async def make_store(self, clock: Callable[[], float]) -> MemoryStore:
        return MemoryStore(clock=clock)


class TestContractByTheRealTime(TestMemoryStore):
    """How the contract treats engines that keep their own time, shown on a store that also works the other way."""

    can_set_clock = False


async def test_it_never_holds_more_than_its_limit(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=10, clock=time)
    for n in range(50):
        assert await store.create(key(f"k{n}"), time.record())

    assert len(await store.list_user("ada")) == 10


async def test_the_session_unseen_the_longest_makes_room(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=3, clock=time)
    for name in ("first", "second", "third"):
        await store.create(key(name), time.record())
        time.advance(1)
    await store.touch(key("first"), last_seen_at=time(), expires_at=time() + 600)
    await store.create(key("fourth"), time.record())

    assert await store.get(key("second")) is None
    assert {k for k, _ in await store.list_user("ada")} == {key("first"), key("third"), key("fourth")}


async def test_a_write_by_the_user_counts_as_seen(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=2, clock=time)
    await store.create(key("first"), time.record())
    await store.create(key("second"), time.record())
    time.advance(1)
    await store.replace(key("first"), time.record(version=2), version=1)
    await store.create(key("third"), time.record())

    assert await store.get(key("first")) is not None
    assert await store.get(key("second")) is None


async def test_the_expired_make_room_before_the_living(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=20, clock=time)
    await store.create(key("oldest"), time.record(lifetime=1000))
    for n in range(19):
        await store.create(key(f"short-{n}"), time.record(lifetime=10))
    time.advance(10)
    await store.create(key("new"), time.record())

    assert await store.get(key("oldest")) is not None


async def test_being_full_is_logged_once(time: ContractClock, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(max_sessions=2, clock=time)
    for n in range(10):
        await store.create(key(f"k{n}"), time.record())

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "max_sessions" in caplog.text
    assert key("k0") not in caplog.text


async def test_sign_ins_sweep_out_the_expired_without_a_purge(time: ContractClock) -> None:
    store = MemoryStore(clock=time)
    for n in range(1000):
        await store.create(key(f"visitor-{n}"), time.record(lifetime=5))
        time.advance(1)

    assert await store.purge() <= 5


async def test_sessions_that_came_and_went_leave_nothing_behind(time: ContractClock) -> None:
    store = MemoryStore(clock=time)
    for n in range(5000):
        await store.create(key(f"k{n}"), time.record(f"user-{n}"))
        await store.delete(key(f"k{n}"))

    # What finds the due ones would otherwise remember each until it had expired.
    assert sum(len(kept) for kept in vars(store).values() if hasattr(kept, "__len__")) <= 1001


async def test_a_rotated_record_is_swept_when_its_grace_ends(time: ContractClock) -> None:
    store = MemoryStore(clock=time)
    await store.create(key("old"), time.record(lifetime=10_000))
    await store.replace(key("old"), time.record(version=2, lifetime=10, successor=key("new")), version=1)
    time.advance(10)

    assert await store.purge() == 1


async def test_closing_keeps_the_sessions_because_an_application_may_start_again(time: ContractClock) -> None:
    store = MemoryStore(clock=time)
    await store.create(key("a"), time.record())
    await store.aclose()

    assert await store.get(key("a")) is not None


@pytest.mark.parametrize("size", [0, -1, "x", None, True, 1.5])
def test_room_for_nothing_or_for_no_number_is_a_mistake(size: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_sessions"):
        MemoryStore(max_sessions=size)
