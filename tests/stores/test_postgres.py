import asyncio
import gc
import logging
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import sleep
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.stores.sql import postgres as driver
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import PATIENCE, ContractClock, cut_off, eventually, key, together
from tests.stores.postgres_server import ForeignPostgres, PostgresServer

pytestmark = pytest.mark.anyio

Postgres = PostgresServer | ForeignPostgres


@pytest.fixture
def time() -> ContractClock:
    return ContractClock(real=False)


@pytest.fixture
async def store(postgres: Postgres, table_name: str, time: ContractClock) -> AsyncIterator[SQLStore]:
    """A store whose connections call themselves by the table's name."""
    engine = create_async_engine(
        postgres.url, connect_args={"server_settings": {"application_name": table_name}}, hide_parameters=True
    )
    store = SQLStore(
        engine,
        table_name=table_name,
        max_connections=4,
        connection_timeout=PATIENCE,
        answer_timeout=PATIENCE,
        clock=time,
    )
    yield store
    await store.aclose()
    await engine.dispose()


@pytest.fixture
async def server(postgres: Postgres) -> AsyncIterator[Any]:
    """A connection beside the store's."""
    connection = await asyncpg.connect(postgres.url.set(drivername="postgresql").render_as_string(hide_password=False))
    yield connection
    await connection.close()


class TestPostgresStore(SessionStoreContract):
    @pytest.fixture
    async def store(self, clock: Callable[[], float], postgres: Postgres, table_name: str):
        store = SQLStore(postgres.url, table_name=table_name, clock=clock)
        yield store
        await store.aclose()


class TestPostgresStoreInRepeatableRead(SessionStoreContract):
    """Where the server gives up on statements that race (40001), the store runs them again."""

    @pytest.fixture
    async def store(self, clock: Callable[[], float], postgres: Postgres, table_name: str):
        settings = {"default_transaction_isolation": "repeatable read"}
        engine = create_async_engine(postgres.url, connect_args={"server_settings": settings})
        store = SQLStore(engine, table_name=table_name, clock=clock)
        yield store
        await store.aclose()
        await engine.dispose()


async def connections(server: Any, store: SQLStore) -> int:
    """How many connections the server sees from this store."""
    count: int = await server.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", store.table.name
    )
    return count


# connections


async def test_a_burst_uses_no_more_connections_than_allowed(store: SQLStore, server: Any, time: ContractClock) -> None:
    await together([store.create(key(f"k{n}"), time.record()) for n in range(100)])

    assert await connections(server, store) == 4


async def test_one_call_after_another_uses_one_connection(store: SQLStore, server: Any, time: ContractClock) -> None:
    for n in range(10):
        await store.create(key(f"k{n}"), time.record())

    # The table was looked for through the engine's pool, which keeps the connection for the application.
    await store.engine.dispose()
    assert await eventually(lambda: _is(1, connections(server, store)))


async def test_cancelled_calls_leak_no_connections(store: SQLStore, server: Any, time: ContractClock) -> None:
    await store.create(key("a"), time.record())
    for steps in range(60):
        await cut_off(store.get(key("a")), steps % 20)
        await cut_off(store.touch(key("a"), last_seen_at=time(), expires_at=time() + 600 + steps), steps % 20)
    await store.engine.dispose()

    assert await eventually(lambda: _is_at_most(4, connections(server, store)))
    assert await store.get(key("a")) is not None
    await store.aclose()
    assert await eventually(lambda: _is(0, connections(server, store)))


async def test_closing_closes_every_connection(store: SQLStore, server: Any, time: ContractClock) -> None:
    await together([store.create(key(f"k{n}"), time.record()) for n in range(20)])
    await store.aclose()
    await store.engine.dispose()

    assert await eventually(lambda: _is(0, connections(server, store)))


async def test_calls_under_way_while_it_closes_leave_no_connection_behind(
    store: SQLStore, server: Any, time: ContractClock
) -> None:
    await together([store.create(key(f"k{n}"), time.record()) for n in range(4)])
    reads = [asyncio.ensure_future(store.get(key(f"k{n}"))) for n in range(4)]
    await asyncio.sleep(0)
    await store.aclose()
    await asyncio.gather(*reads, return_exceptions=True)
    await store.aclose()
    await store.engine.dispose()

    assert await eventually(lambda: _is(0, connections(server, store)))


async def test_a_connection_that_lay_idle_for_long_is_replaced(
    store: SQLStore, server: Any, time: ContractClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create(key("a"), time.record())
    first = await _backends(server, store)
    monkeypatch.setattr(driver, "_IDLE_SECONDS", -1.0)
    await store.get(key("a"))

    assert len(await _backends(server, store) - first) == 1
    assert await eventually(lambda: _is(1, connections(server, store)))


async def test_when_all_connections_are_busy_a_call_waits_and_then_fails(
    store: SQLStore, server: Any, time: ContractClock
) -> None:
    narrow = SQLStore(store.engine, table_name=store.table.name, max_connections=1, connection_timeout=1.5, clock=time)
    await narrow.create(key("a"), time.record())
    async with server.transaction():
        await server.execute(f"LOCK TABLE {store.table.name} IN ACCESS EXCLUSIVE MODE")
        stuck = asyncio.ensure_future(narrow.get(key("a")))
        assert await eventually(lambda: _is(1, _waiting(server, store)))
        with pytest.raises(StoreError, match="busy"):
            await narrow.get(key("b"))

    assert await stuck is not None
    assert await narrow.get(key("b")) is None
    await narrow.aclose()


async def test_an_answer_that_never_comes_is_an_error_and_the_statement_is_stopped(
    store: SQLStore, server: Any, time: ContractClock
) -> None:
    hasty = SQLStore(store.engine, table_name=store.table.name, max_connections=1, answer_timeout=1.5, clock=time)
    record = time.record()
    await hasty.create(key("a"), record)
    async with server.transaction():
        await server.execute(f"LOCK TABLE {store.table.name} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError, match="answer"):
            await hasty.replace(key("a"), time.record(version=2), version=1)
        assert await eventually(lambda: _is(0, _waiting(server, store)))

    assert await hasty.get(key("a")) == record
    await hasty.aclose()


async def test_an_answer_that_came_while_this_process_stood_still_counts(store: SQLStore, time: ContractClock) -> None:
    hasty = SQLStore(store.engine, table_name=store.table.name, answer_timeout=0.5, clock=time)
    record = time.record()
    await hasty.create(key("a"), record)
    await hasty.get(key("a"))  # the statement is known from here on: the next read is one trip
    read = asyncio.ensure_future(hasty.get(key("a")))
    for _ in range(5):
        await asyncio.sleep(0)
    sleep(1.5)  # noqa: ASYNC251 - the process stands still, longer than an answer may take

    assert await read == record
    await hasty.aclose()


async def test_a_cancelled_write_that_waits_for_a_lock_is_called_off(
    store: SQLStore, server: Any, time: ContractClock
) -> None:
    record = time.record()
    await store.create(key("a"), record)
    async with server.transaction():
        await server.execute(f"LOCK TABLE {store.table.name} IN ACCESS EXCLUSIVE MODE")
        writes = [asyncio.ensure_future(store.replace(key("a"), time.record(version=2), version=1)) for _ in range(4)]
        assert await eventually(lambda: _is(4, _waiting(server, store)))
        for write in writes:
            write.cancel()
        assert await eventually(lambda: _is(0, _waiting(server, store)))

    assert await store.get(key("a")) == record


def test_it_serves_one_event_loop_after_another(postgres: Postgres, table_name: str, time: ContractClock) -> None:
    store = SQLStore(postgres.url, table_name=table_name, clock=time)
    with warnings.catch_warnings():
        # asyncio's to say about a loop that was closed with connections open.
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(_call(store.create, key("a"), time.record()))
        found = asyncio.run(_call(store.get, key("a")))
        asyncio.run(_call(store.aclose))
        gc.collect()

    assert found is not None


async def test_an_engine_of_the_applications_own_keeps_its_pool_to_itself(store: SQLStore, time: ContractClock) -> None:
    await together([store.create(key(f"k{n}"), time.record()) for n in range(20)])

    assert store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_migration_of_the_table_goes_unnoticed(store: SQLStore, server: Any, time: ContractClock) -> None:
    record = time.record()
    await store.create(key("a"), record)
    await store.get(key("a"))
    await server.execute(f"ALTER TABLE {store.table.name} ALTER COLUMN user_id TYPE text, ADD COLUMN note text")

    assert await store.get(key("a")) == record
    assert await store.list_user("ada") == [(key("a"), record)]


# several processes


async def test_a_counter_raised_by_three_processes_loses_no_step(store: SQLStore, time: ContractClock) -> None:
    await store.create(key("a"), time.record(data=b"0", version=0))
    url = store.engine.url.render_as_string(hide_password=False)
    script = str(Path(__file__).with_name("raise_a_counter.py"))
    command = [sys.executable, script, url, store.table.name, key("a"), "50"]
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(3)]
    codes = await together([process.wait() for process in processes])
    counted = await store.get(key("a"))

    assert codes == [0, 0, 0]
    assert counted is not None
    assert (counted.data, counted.version) == (b"150", 150)


async def test_stores_that_find_no_table_at_the_same_time_all_start(
    postgres: Postgres, table_name: str, time: ContractClock
) -> None:
    stores = [SQLStore(postgres.url, table_name=table_name, clock=time) for _ in range(8)]

    assert await together([store.purge() for store in stores]) == [0] * 8
    await together([store.aclose() for store in stores])


async def test_parallel_purges_share_the_batches(postgres: Postgres, table_name: str, time: ContractClock) -> None:
    stores = [SQLStore(postgres.url, table_name=table_name, purge_batch=10, clock=time) for _ in range(4)]
    await together([stores[0].create(key(f"k{n}"), time.record(lifetime=5)) for n in range(195)])
    alive = time.record()
    await stores[0].create(key("alive"), alive)
    time.advance(5)

    assert sum(await together([store.purge() for store in stores])) == 195
    assert await stores[1].list_user("ada") == [(key("alive"), alive)]
    await together([store.aclose() for store in stores])


async def test_a_purge_goes_around_rows_that_others_hold(store: SQLStore, server: Any, time: ContractClock) -> None:
    await together([store.create(key(f"k{n}"), time.record(lifetime=5)) for n in range(5)])
    time.advance(5)
    async with server.transaction():
        await server.execute(f"SELECT 1 FROM {store.table.name} WHERE key = $1 FOR UPDATE", key("k0"))  # noqa: S608
        assert await store.purge() == 4

    assert await store.purge() == 1


# faults


async def test_a_killed_server_loses_nothing_it_acknowledged_and_serves_again(
    postgres: Postgres, store: SQLStore, time: ContractClock
) -> None:
    acknowledged: list[str] = []
    failed: list[Exception] = []

    async def sign_in(worker: int) -> None:
        for n in range(10_000):
            k = key(f"{worker}-{n}")
            try:
                await store.create(k, time.record(f"user-{worker}"))
            except Exception as error:  # noqa: BLE001 (whichever: the store's callers turn all into a 503)
                failed.append(error)
                return
            acknowledged.append(k)

    workers = [asyncio.ensure_future(sign_in(worker)) for worker in range(8)]
    assert await eventually(lambda: _is_at_least(100, acknowledged))
    await asyncio.to_thread(postgres.kill)
    await asyncio.gather(*workers)
    with pytest.raises(StoreError, match=r"."):
        await store.get(acknowledged[0])
    await asyncio.to_thread(postgres.start)
    kept = await together([store.get(k) for k in acknowledged[:1000]])

    assert len(failed) == 8
    assert None not in kept


async def test_a_restart_while_nobody_asked_goes_unnoticed(
    postgres: Postgres, store: SQLStore, time: ContractClock
) -> None:
    await together([store.create(key(f"k{n}"), time.record()) for n in range(10)])
    await asyncio.to_thread(postgres.kill)
    await asyncio.to_thread(postgres.start)

    assert await store.replace(key("k0"), time.record(version=2), version=1) is True
    assert await store.get(key("k1")) is not None


@pytest.mark.parametrize("safe", [True, False])
async def test_a_statement_that_the_server_cut_off_is_repeated_only_if_safe(
    store: SQLStore, server: Any, time: ContractClock, safe: bool
) -> None:
    await store.create(key("a"), time.record())
    new = time.record(version=2)
    async with server.transaction():
        await server.execute(f"LOCK TABLE {store.table.name} IN ACCESS EXCLUSIVE MODE")
        call = store.get(key("a")) if safe else store.replace(key("a"), new, version=1)
        running = asyncio.ensure_future(call)
        assert await eventually(lambda: _is(1, _waiting(server, store)))
        cut_off = await _backends(server, store)
        await server.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", list(cut_off))
        assert await eventually(lambda: _are_gone(cut_off, server, store))

    if safe:
        assert await running is not None
    else:
        with pytest.raises(StoreError):
            await running
        assert await store.replace(key("a"), new, version=1) is True


async def test_a_user_id_that_does_not_fit_is_an_error_not_somebody_elses(store: SQLStore, time: ContractClock) -> None:
    await store.create(key("a"), time.record("u" * 255))
    with pytest.raises(StoreError):
        await store.create(key("b"), time.record("u" * 256))

    assert [k for k, _ in await store.list_user("u" * 255)] == [key("a")]


# secrets


async def test_logs_at_debug_show_neither_keys_nor_values(
    store: SQLStore, time: ContractClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        await store.create(key("a"), time.record("ada-lovelace", b'{"note":"private"}'))
    await store.get(key("a"))
    await store.delete_user("ada-lovelace", keep=[key("b")])

    for secret in ("ada-lovelace", "private", key("a"), key("b")):
        assert secret not in caplog.text


async def _call(method: Callable[..., Awaitable[object]], *args: object) -> object:
    return await method(*args)


async def _backends(server: Any, store: SQLStore) -> set[int]:
    # Inside a transaction the view would stay as it was first seen.
    await server.execute("SELECT pg_stat_clear_snapshot()")
    rows = await server.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = $1", store.table.name)
    return {pid for (pid,) in rows}


async def _are_gone(backends: set[int], server: Any, store: SQLStore) -> bool:
    return not backends & await _backends(server, store)


async def _waiting(server: Any, store: SQLStore) -> int:
    await server.execute("SELECT pg_stat_clear_snapshot()")
    count: int = await server.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
        store.table.name,
    )
    return count


async def _is(expected: int, count: Any) -> bool:
    return bool(await count == expected)


async def _is_at_most(limit: int, count: Any) -> bool:
    return bool(await count <= limit)


async def _is_at_least(least: int, things: list[str]) -> bool:
    return len(things) >= least
