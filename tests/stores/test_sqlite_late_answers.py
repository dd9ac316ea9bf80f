"""SQLite's threads answer event loops that end meanwhile. pytest makes an error of a thread that dies of it."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_sessionkit.stores.sql import SQLStore

Loop = asyncio.AbstractEventLoop


@pytest.fixture
def store(tmp_path: Path) -> SQLStore:
    return SQLStore(f"sqlite:///{tmp_path}/sessions.db")


@pytest.fixture
def stays(store: SQLStore) -> Iterator[Loop]:
    """An event loop that uses the store for the whole test."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(store.get("a"))
    yield loop
    loop.run_until_complete(store.aclose())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def connections(store: SQLStore) -> Any:
    (shared,) = set(store._connections._of.values())  # noqa: SLF001
    return shared


def keep_busy(store: SQLStore) -> None:
    """Have both threads do something that nobody waits for."""
    for connection in (connections(store)._reader, connections(store)._writer):  # noqa: SLF001
        connection._tx.put_nowait((None, lambda: time.sleep(0.1)))  # noqa: SLF001


def test_a_loop_that_ends_in_the_middle_of_calls_harms_no_other(store: SQLStore, stays: Loop) -> None:
    async def gives_up() -> None:
        await store.get("a")
        keep_busy(store)
        for call in (store.get("a"), store.delete("a")):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.01)

    before = connections(store)
    asyncio.run(gives_up())
    time.sleep(0.2)

    assert stays.run_until_complete(store.get("a")) is None
    assert connections(store) is before
    assert before.are_usable()


def test_connections_are_abandoned_without_an_answer_to_whoever_does_it(store: SQLStore) -> None:
    async def abandons() -> None:
        await store.get("a")
        keep_busy(store)
        found = connections(store)
        found.abandon()
        store._connections._of.clear()  # noqa: SLF001 - as where one of the two threads has died

    asyncio.run(abandons())
    time.sleep(0.2)


def test_a_loop_ends_although_a_thread_has_died(store: SQLStore, stays: Loop) -> None:
    async def ends() -> None:
        await store.get("a")
        reader = connections(store)._reader  # noqa: SLF001
        reader.stop()
        reader._thread.join()  # noqa: SLF001

    started = time.monotonic()
    asyncio.run(ends())

    assert time.monotonic() - started < 5
    assert stays.run_until_complete(store.get("a")) is None


def test_a_thread_that_died_of_another_loop_keeps_nobody_waiting(store: SQLStore, stays: Loop) -> None:
    async def ends() -> None:
        await store.get("a")

    asyncio.run(ends())
    reader = connections(store)._reader  # noqa: SLF001
    reader.stop()
    reader._thread.join()  # noqa: SLF001

    assert stays.run_until_complete(asyncio.wait_for(store.get("a"), 10)) is None


@pytest.mark.parametrize("head_start", [0.0, 0.05])
def test_a_loop_that_ends_while_the_last_one_closes_is_told_nothing(store: SQLStore, head_start: float) -> None:
    async def end_both() -> None:
        await store.get("a")
        shared = connections(store)
        keep_busy(store)
        closing = asyncio.create_task(store.aclose())
        await asyncio.sleep(head_start)
        await shared.settle()
        await closing

    asyncio.run(asyncio.wait_for(end_both(), 8))
