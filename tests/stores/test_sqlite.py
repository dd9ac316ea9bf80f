import asyncio
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import MetaData, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import ContractClock, cut_off, eventually, key, together

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def time() -> ContractClock:
    return ContractClock(real=False)


@pytest.fixture
async def store(file: Path, time: ContractClock) -> AsyncIterator[SQLStore]:
    store = SQLStore(f"sqlite+aiosqlite:///{file}", clock=time)
    yield store
    await store.aclose()


class TestSQLiteStore(SessionStoreContract):
    @pytest.fixture
    async def store(self, file: Path, clock: Callable[[], float]):
        store = SQLStore(f"sqlite+aiosqlite:///{file}", clock=clock)
        yield store
        await store.aclose()


# opening


async def test_nothing_is_touched_before_the_first_call(file: Path) -> None:
    SQLStore(f"sqlite+aiosqlite:///{file}")

    assert _files(file) == []


@pytest.mark.parametrize("url", ["sqlite:///{}", "sqlite+aiosqlite:///{}"])
async def test_a_url_without_a_driver_gets_the_asynchronous_one(url: str, file: Path, time: ContractClock) -> None:
    store = SQLStore(url.format(file), clock=time)
    await store.create(key("a"), time.record())
    await store.aclose()

    assert _files(file) == [file.name]


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite+aiosqlite:///file:x?mode=memory&uri=true", "sqlite:///file::memory:"],
)
async def test_a_database_in_memory_is_refused_because_it_ends_with_its_connection(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MemoryStore"):
        SQLStore(url)


@pytest.mark.parametrize(
    "url", ["sessions.db", "sqlite+nothing:///x.db", "mysql+pymysql://localhost/x", "oracle://x/y"]
)
async def test_a_url_that_cannot_be_used_is_refused_with_one_that_can(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sqlite(\+aiosqlite)?:///sessions\.db|SQLite and PostgreSQL"):
        SQLStore(url)


@pytest.mark.parametrize("option", ["max_connections", "purge_batch"])
async def test_options_that_would_allow_nothing_are_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        SQLStore("sqlite:///x.db", **{option: 0})  # type: ignore[arg-type]


async def test_many_first_calls_at_once_open_it_once(store: SQLStore, time: ContractClock) -> None:
    before = _threads()
    await together([store.create(key(f"k{n}"), time.record()) for n in range(20)])

    # The connection that made the table had one too.
    assert await eventually(lambda: _are_new(2, before))


async def test_a_first_call_cancelled_anywhere_leaks_no_connection(file: Path, time: ContractClock) -> None:
    before = _threads()
    for steps in range(60):
        store = SQLStore(f"sqlite:///{file}", clock=time)
        await cut_off(store.get(key("a")), steps)
        await store.aclose()

    assert await eventually(lambda: _are_new(0, before))


async def test_closing_ends_the_threads(store: SQLStore, time: ContractClock) -> None:
    before = _threads()
    await store.create(key("a"), time.record())
    await store.aclose()

    assert await eventually(lambda: _are_new(0, before))


async def test_an_opening_that_failed_is_tried_again(tmp_path: Path, time: ContractClock) -> None:
    folder = tmp_path / "later"
    store = SQLStore(f"sqlite:///{folder}/sessions.db", clock=time)
    with pytest.raises(StoreError, match="unable to open database file"):
        await store.get(key("a"))
    folder.mkdir()

    assert await store.create(key("a"), time.record()) is True
    await store.aclose()


def test_it_serves_one_event_loop_after_another(file: Path, time: ContractClock) -> None:
    store = SQLStore(f"sqlite:///{file}", clock=time)
    asyncio.run(_call(store.create, key("a"), time.record()))

    assert asyncio.run(_call(store.get, key("a"))) is not None
    asyncio.run(_call(store.aclose))


async def _call(method: Callable[..., Awaitable[object]], *args: object) -> object:
    return await method(*args)


async def test_it_survives_a_restart_of_the_application(file: Path, store: SQLStore, time: ContractClock) -> None:
    record = time.record()
    await store.create(key("a"), record)
    await store.aclose()
    again = SQLStore(f"sqlite:///{file}", clock=time)

    assert await again.get(key("a")) == record
    await again.aclose()


# the table


async def test_the_table_can_be_left_to_migrations(file: Path, time: ContractClock) -> None:
    store = SQLStore(f"sqlite:///{file}", table_name="web_sessions", create_table=False, clock=time)
    with pytest.raises(StoreError, match="no such table: web_sessions"):
        await store.get(key("a"))
    metadata = MetaData()
    store.table.to_metadata(metadata)
    async with store.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)

    assert await store.create(key("a"), time.record()) is True
    await store.aclose()


async def test_user_and_expiry_are_indexed(file: Path, store: SQLStore) -> None:
    await store.purge()
    with sqlite3.connect(file) as connection:
        indexes = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"))
        plan = str(
            connection.execute("EXPLAIN QUERY PLAN SELECT * FROM sessionkit_sessions WHERE user_id = 'ada'").fetchall()
        )
    connection.close()

    assert {sql.partition("(")[2].strip(") ") for sql in indexes.values()} == {"user_id", "expires_at"}
    assert "ix_sessionkit_sessions_user_id" in plan


async def test_two_stores_keep_to_their_own_tables(file: Path, time: ContractClock) -> None:
    customers = SQLStore(f"sqlite:///{file}", table_name="customers", clock=time)
    staff = SQLStore(f"sqlite:///{file}", table_name="staff", clock=time)
    await customers.create(key("a"), time.record())

    assert await staff.get(key("a")) is None
    await customers.aclose()
    await staff.aclose()


async def test_an_engine_of_the_applications_own_stays_open(file: Path, time: ContractClock) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    store = SQLStore(engine, clock=time)
    await store.create(key("a"), time.record())
    await store.aclose()
    async with engine.connect() as connection:
        rows = (await connection.execute(store.table.select())).all()

    assert len(rows) == 1
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    await engine.dispose()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has no autocommit=False before Python 3.12")
async def test_an_engine_whose_connections_begin_by_themselves_is_refused(file: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", connect_args={"autocommit": False})
    store = SQLStore(engine, create_table=False)
    with pytest.raises(ConfigurationError, match="autocommit"):
        await store.get(key("a"))
    await engine.dispose()


# the write-ahead log


async def test_commits_reach_the_disk_and_sqlite_copies_the_log_back(file: Path, time: ContractClock) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    opened = []
    event.listen(engine.sync_engine, "connect", lambda connection, _: opened.append(connection.driver_connection))
    store = SQLStore(engine, create_table=False, clock=time)
    with pytest.raises(StoreError, match="no such table"):
        await store.get(key("a"))
    synchronous = [list(await connection.execute_fetchall("PRAGMA synchronous")) for connection in opened[-2:]]
    automatic = [list(await connection.execute_fetchall("PRAGMA wal_autocheckpoint")) for connection in opened[-2:]]
    await store.aclose()
    await engine.dispose()

    assert synchronous == [[(2,)]] * 2
    assert automatic == [[(1000,)]] * 2


async def test_it_uses_the_write_ahead_log(file: Path, store: SQLStore) -> None:
    await store.purge()
    connection = sqlite3.connect(file)
    mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()

    assert mode == ("wal",)


async def test_a_reader_does_not_wait_for_a_writer(file: Path, store: SQLStore, time: ContractClock) -> None:
    await store.create(key("a"), time.record())
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    assert await store.get(key("a")) is not None
    other.rollback()
    other.close()


async def test_the_log_is_copied_back_even_if_writes_never_pause(
    file: Path, store: SQLStore, time: ContractClock
) -> None:
    await store.create(key("a"), time.record())
    first = _start_of_log(file)
    for version in range(1, 1500):
        # SQLite writes no page that would stay as it is, so each version says something else.
        data = (version % 256).to_bytes() * 200_000
        await store.replace(key("a"), time.record(data=data, version=version + 1), version=version)
        if _start_of_log(file) - first >= 2:
            break

    # How soon depends on the disk, and on who gets its turn; without it the log would hold every write.
    assert _start_of_log(file) - first >= 2
    assert _size_of_log(file) < version * 200_000


async def test_closing_leaves_one_file(file: Path, store: SQLStore, time: ContractClock) -> None:
    await store.create(key("a"), time.record())
    await store.aclose()

    assert _files(file) == [file.name]


# several processes


async def test_a_counter_raised_by_four_processes_loses_no_step(
    file: Path, store: SQLStore, time: ContractClock
) -> None:
    await store.create(key("a"), time.record(data=b"0", version=0))
    # SQLite lets in anybody who waits, not who waited longest: on a slow disk five seconds may not be enough.
    arguments = [f"sqlite:///{file}?timeout=60", store.table.name, key("a"), "50"]
    command = [sys.executable, str(Path(__file__).with_name("raise_a_counter.py")), *arguments]
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(4)]
    codes = await together([process.wait() for process in processes])
    counted = await store.get(key("a"))

    assert codes == [0, 0, 0, 0]
    assert counted is not None
    assert (counted.data, counted.version) == (b"200", 200)


def test_processes_that_open_a_new_file_at_once_do_not_trip_each_other(tmp_path: Path) -> None:
    # Each makes the table if it finds none, and switches the file to the write-ahead log; the key is unknown to all.
    script = "import asyncio, sys; from fastapi_sessionkit.stores.sql import SQLStore as S; s = S(sys.argv[1])\n"
    script += "async def main(): await s.purge(); await s.aclose()\nasyncio.run(main())"
    processes = [subprocess.Popen([sys.executable, "-c", script, f"sqlite:///{tmp_path}/new.db"]) for _ in range(4)]

    assert [process.wait() for process in processes] == [0, 0, 0, 0]


async def test_parallel_purges_of_two_stores_share_the_batches(file: Path, time: ContractClock) -> None:
    stores = [SQLStore(f"sqlite:///{file}", purge_batch=10, clock=time) for _ in range(2)]
    await together([stores[0].create(key(f"k{n}"), time.record(lifetime=5)) for n in range(95)])
    alive = time.record()
    await stores[0].create(key("alive"), alive)
    time.advance(5)

    assert sum(await together([store.purge() for store in stores])) == 95
    assert await stores[1].list_user("ada") == [(key("alive"), alive)]
    await together([store.aclose() for store in stores])


# faults


async def test_a_locked_database_is_an_error_and_nothing_is_half_written(file: Path, time: ContractClock) -> None:
    store = SQLStore(f"sqlite:///{file}?timeout=0.05", clock=time)
    old, new = time.record(), time.record("bob", version=2)
    await store.create(key("a"), old)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await store.replace(key("a"), new, version=1)

    assert await store.get(key("a")) == old
    other.rollback()
    other.close()
    assert await store.replace(key("a"), new, version=1) is True
    await store.aclose()


async def test_a_full_disk_is_an_error_and_what_was_kept_stays(file: Path, time: ContractClock) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")

    @event.listens_for(engine.sync_engine, "connect")
    def limit(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.execute("PRAGMA max_page_count = 60")

    store = SQLStore(engine, clock=time)
    record = time.record()
    await store.create(key("a"), record)
    with pytest.raises(StoreError, match="full"):
        await store.replace(key("a"), time.record(data=b"x" * 1_000_000, version=2), version=1)
    with pytest.raises(StoreError, match="full"):
        await store.create(key("b"), time.record(data=b"x" * 1_000_000))

    assert await store.list_user("ada") == [(key("a"), record)]
    assert await store.delete(key("a")) is True
    await store.aclose()
    await engine.dispose()


# secrets


async def test_logs_at_debug_show_neither_keys_nor_values(
    file: Path, time: ContractClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = SQLStore(f"sqlite:///{file}", clock=time)
    await store.create(key("a"), time.record("ada-lovelace", b'{"note":"private"}'))
    await store.create(key("a"), time.record("ada-lovelace", b'{"note":"private"}'))
    await store.get(key("a"))
    await store.delete_user("ada-lovelace", keep=[key("b")])
    await store.aclose()

    assert "SELECT" in caplog.text
    for secret in ("ada-lovelace", "private", key("a"), key("b")):
        assert secret not in caplog.text


async def test_an_error_while_making_the_table_shows_no_values(file: Path, time: ContractClock) -> None:
    _spoil(file)
    store = SQLStore(f"sqlite:///{file}", clock=time)
    with pytest.raises(StoreError, match="not a database") as caught:
        await store.create(key("a"), time.record("ada-lovelace"))

    assert "ada-lovelace" not in str(caught.value)
    assert key("a") not in str(caught.value)


def _spoil(file: Path) -> None:
    file.write_bytes(b"this is no database" * 100)


def _files(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


def _threads() -> set[threading.Thread]:
    return set(threading.enumerate())


async def _are_new(count: int, before: set[threading.Thread]) -> bool:
    """Whether there are so many threads that were not there before; of those, some may just be ending."""
    return len(_threads() - before) == count


def _start_of_log(file: Path) -> int:
    """How often the log has started over (https://www.sqlite.org/fileformat2.html#walformat)."""
    with Path(f"{file}-wal").open("rb") as log:
        return int.from_bytes(log.read(16)[12:])


def _size_of_log(file: Path) -> int:
    return Path(f"{file}-wal").stat().st_size
