"""One ``SQLStore`` that is first used from several event loops at once, as by test clients in threads."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing.contract.tools import ContractClock, key

THREADS = 8
CALLS = 3
PROMPTLY = 12.0
"""Seconds for all of it on a busy machine, and less than the 15 after which an opening is given up."""


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return make_url(f"sqlite:///{tmp_path}/sessions.db")
    found: URL = request.getfixturevalue("postgres").url
    if request.param == "psycopg":
        pytest.importorskip("psycopg", reason="needs psycopg")
    return found.set(drivername=f"postgresql+{request.param}")


@pytest.fixture
def store(url: URL, table_name: str) -> SQLStore:
    return SQLStore(url, table_name=table_name, clock=ContractClock(real=False))


def in_threads(work: Callable[[int], None]) -> float:
    """Run it in all threads, begun at the same moment; the seconds that it took."""
    gate = threading.Barrier(THREADS, timeout=60)

    def begin(n: int) -> None:
        gate.wait()
        work(n)

    started = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(begin, n) for n in range(THREADS)]:
            done.result()
    return time.monotonic() - started


async def sign_in(store: SQLStore, name: str) -> None:
    record = ContractClock(real=False).record()

    assert await store.create(key(name), record) is True
    assert await store.get(key(name)) == record


async def finish(store: SQLStore) -> int:
    ended = await store.delete_user("ada")
    await store.aclose()
    return ended


def test_several_loops_that_live_at_the_same_time_all_succeed_and_none_waits(store: SQLStore) -> None:
    stay = threading.Barrier(THREADS, timeout=10)

    async def calls(n: int) -> None:
        for call in range(CALLS):
            await sign_in(store, f"{n}-{call}")
        await asyncio.to_thread(stay.wait)
        await sign_in(store, f"{n}-again")
        await asyncio.to_thread(stay.wait)
        await store.aclose()

    took = in_threads(lambda n: asyncio.run(calls(n)))

    assert took < PROMPTLY
    assert asyncio.run(finish(store)) == THREADS * (CALLS + 1)


def test_a_loop_for_each_request_as_without_a_lifespan(store: SQLStore) -> None:
    async def request(n: int, call: int) -> None:
        await sign_in(store, f"{n}-{call}")
        await store.aclose()

    def requests(n: int) -> None:
        for call in range(CALLS):
            asyncio.run(request(n, call))

    took = in_threads(requests)

    assert took < PROMPTLY
    assert asyncio.run(finish(store)) == THREADS * CALLS


def test_loops_that_nobody_closed_the_store_on(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:///{tmp_path}/sessions.db", clock=ContractClock(real=False))

    def requests(n: int) -> None:
        for call in range(CALLS):
            asyncio.run(sign_in(store, f"{n}-{call}"))

    took = in_threads(requests)

    assert took < PROMPTLY
    assert asyncio.run(finish(store)) == THREADS * CALLS


IN_THE_MIDDLE = """
import asyncio, sys, time
from fastapi_sessionkit.stores.sql import SQLStore

store = SQLStore(sys.argv[1])
stays, ends = asyncio.new_event_loop(), asyncio.new_event_loop()
for loop in (stays, ends):
    loop.run_until_complete(store.get("a"))
[shared] = set(store._connections._of.values())
for connection in (shared._reader, shared._writer):
    ends.create_task(connection._execute(time.sleep, 0.1))
ends.run_until_complete(asyncio.sleep(0))
ends.close()
for connection in (shared._reader, shared._writer):
    connection._thread.join()  # it could not give its answer to anybody

async def another():
    await store.get("a")
    await store.aclose()

if sys.argv[2] == "True":
    asyncio.run(another())
stays.run_until_complete(asyncio.wait_for(store.get("a"), 10))
stays.run_until_complete(store.aclose())
print("served")
"""


@pytest.mark.parametrize("another_came", [False, True])
def test_a_loop_that_ends_in_the_middle_of_a_call_leaves_the_others_served(tmp_path: Path, another_came: bool) -> None:
    """In a process of its own: what asyncio and aiosqlite say about such an end is said at any later time."""
    command = [sys.executable, "-c", IN_THE_MIDDLE, f"sqlite:///{tmp_path}/sessions.db", str(another_came)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "served\n", done.stderr
