"""What one ``SQLStore`` leaves behind in an event loop that ends without having closed it."""

import asyncio
import gc
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from sqlalchemy import URL, make_url

from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing.contract.tools import ContractClock, key


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def store(request: pytest.FixtureRequest, tmp_path: Path, table_name: str) -> SQLStore:
    url = make_url(f"sqlite:///{tmp_path}/sessions.db")
    if request.param != "sqlite":
        server: URL = request.getfixturevalue("postgres").url
        url = server.set(drivername=f"postgresql+{request.param}")
    if request.param == "psycopg":
        pytest.importorskip("psycopg", reason="needs psycopg")
    return SQLStore(url, table_name=table_name, clock=ContractClock(real=False))


async def use(store: SQLStore, name: str) -> None:
    record = ContractClock(real=False).record()

    assert await store.create(key(name), record) is True
    assert await store.get(key(name)) == record


def held() -> int:
    """How many files and sockets this process has open."""
    gc.collect()  # pytest makes an error of what complains now that it was not closed
    return psutil.Process().num_fds()


def comes_down_to(most: int) -> bool:
    until = time.monotonic() + 10
    while held() > most and time.monotonic() < until:
        time.sleep(0.01)  # a thread that was told to end, ends in its own time
    return held() <= most


def test_a_loop_that_ends_closes_what_it_opened(store: SQLStore) -> None:
    asyncio.run(asyncio.sleep(0))
    before = held()
    for name in ("a", "b", "c"):
        asyncio.run(use(store, name))

        assert comes_down_to(before)


def test_a_loop_that_ends_leaves_those_of_another(store: SQLStore) -> None:
    async def both() -> None:
        await use(store, "here")
        await asyncio.to_thread(asyncio.run, use(store, "there"))
        await use(store, "here again")
        await store.aclose()

    asyncio.run(both())


def test_a_loop_that_is_closed_by_its_owner_can_be_followed_by_another(store: SQLStore) -> None:
    """Without asyncio.run nobody tells the store."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(store, "a"))
    loop.run_until_complete(store.aclose())
    loop.run_until_complete(use(store, "b"))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()

    asyncio.run(use(store, "c"))


def test_a_store_that_was_closed_serves_its_loop_again(store: SQLStore) -> None:
    async def again() -> None:
        await use(store, "a")
        await store.aclose()
        await store.aclose()
        await use(store, "b")

    asyncio.run(again())


def test_tasks_that_are_still_running_come_first(store: SQLStore) -> None:
    """A request that is cut off by the end of the loop may still sign somebody out."""
    ended: list[bool] = []

    async def request() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(await store.delete(key("a")))

    async def main() -> asyncio.Task[None]:
        await use(store, "a")
        task = asyncio.create_task(request())
        await asyncio.sleep(0)
        return task

    task = asyncio.run(main())

    assert task.cancelled()
    assert ended == [True]


def test_what_a_loop_left_that_was_closed_at_once_is_dropped_by_aclose(store: SQLStore) -> None:
    """Such a loop closes no generators, so nothing could be closed in order."""
    if store.engine.dialect.name != "sqlite":
        pytest.skip("asyncio itself complains about sockets in such a loop")
    before = held()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(store, "a"))
    loop.close()
    asyncio.run(store.aclose())

    assert comes_down_to(before)
