"""What a store says when it fails: which engine, where, and why, and never a key, a value or a secret."""

import asyncio
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from fastapi_sessionkit import Session, SessionKit, StoreUnavailable
from fastapi_sessionkit.errors import SessionKitError
from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.redis.reasons import reason as redis_reason
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.stores.sql.reasons import place
from fastapi_sessionkit.stores.sql.reasons import reason as sql_reason
from fastapi_sessionkit.testing.contract.tools import ContractClock, eventually, key
from tests.stores.postgres_server import PostgresServer
from tests.stores.redis_servers import RedisServer
from tests.support import SECRET

pytestmark = pytest.mark.anyio

PASSWORD = "hunter2"


async def close(store: SQLStore | RedisStore) -> None:
    """Where a file could not be opened a thread ends in its own time, and complains about an event loop that is gone."""
    await store.aclose()

    async def threads_have_ended() -> bool:
        return not any("_connection_worker_thread" in thread.name for thread in threading.enumerate())

    assert await eventually(threads_have_ended)


async def error_of(store: SQLStore | RedisStore) -> str:
    with pytest.raises(StoreError) as caught:
        await store.get(key("a"))
    await close(store)

    assert caught.value.__cause__ is not None
    assert isinstance(caught.value, SessionKitError)
    assert PASSWORD not in str(caught.value)
    assert key("a") not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:///{tmp_path}/missing/x.db")

    assert await error_of(store) == f"SQLite file {tmp_path}/missing/x.db: unable to open database file"


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"something else" * 100)
    store = SQLStore(f"sqlite:///{tmp_path}/x.db")

    assert await error_of(store) == f"SQLite file {tmp_path}/x.db: file is not a database"


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_postgresql_that_refuses_the_connection_is_named(closed_port: int, driver: str) -> None:
    pytest.importorskip(driver)
    store = SQLStore(f"postgresql+{driver}://u:{PASSWORD}@127.0.0.1:{closed_port}/shop")
    text = await error_of(store)

    assert text.startswith(f"PostgreSQL at 127.0.0.1:{closed_port}/shop: ")
    assert "Connection refused" in text


async def test_a_host_that_is_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", unknown)
    text = await error_of(SQLStore(f"postgresql+asyncpg://u:{PASSWORD}@db.invalid/shop"))

    assert text == "PostgreSQL at db.invalid/shop: Name or service not known"


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [({"database": "nowhere"}, 'database "nowhere" does not exist'), ({"username": "nobody"}, "nobody")],
    ids=["database", "user"],
)
async def test_a_postgresql_that_lets_nobody_in_says_why(
    postgres: PostgresServer, driver: str, change: dict[str, str], reason: str
) -> None:
    pytest.importorskip(driver)
    url = postgres.url.set(drivername=f"postgresql+{driver}", password=PASSWORD, **change)  # type: ignore[arg-type]

    assert reason in await error_of(SQLStore(url))


async def test_a_missing_table_is_named(postgres: PostgresServer, table_name: str) -> None:
    store = SQLStore(postgres.url, table_name=table_name, create_table=False)

    assert f'relation "{table_name}" does not exist' in await error_of(store)


async def test_a_value_that_postgresql_refuses_is_not_shown(postgres: PostgresServer, table_name: str) -> None:
    store = SQLStore(postgres.url, table_name=table_name)
    for user_id in ("private" * 100, "private\x00", "private\ud800"):
        with pytest.raises(StoreError) as caught:
            await store.create(key("a"), ContractClock(real=False).record(user_id))

        assert "private" not in str(caught.value)
    await close(store)


class Refused(Exception):
    sqlstate = "23505"


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.IntegrityError("UNIQUE constraint failed: private"),
        asyncpg.DataError("invalid input for query argument $1: 'private'"),
        asyncpg.InternalClientError("private"),
        Refused("Key (key)=(private) already exists"),
        DBAPIError("SELECT 'private'", {"x": "private"}, Refused("private")),
        KeyError("private"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_text_that_may_hold_a_value_is_not_shown(error: Exception) -> None:
    assert "private" not in sql_reason(error)
    assert sql_reason(error)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"postgresql+asyncpg://u:{PASSWORD}@db:5433/shop", "PostgreSQL at db:5433/shop"),
        ("postgresql+asyncpg:///shop?host=/run/pg", "PostgreSQL at /run/pg/shop"),
        ("postgresql+asyncpg://", "PostgreSQL at its default address/"),
        ("postgresql+asyncpg:///shop?host=a:1&host=b:2", "PostgreSQL at a:1, b:2/shop"),
        ("sqlite+aiosqlite:////var/x.db", "SQLite file /var/x.db"),
    ],
)
def test_the_place_is_named_without_a_password(url: str, expected: str) -> None:
    assert place(make_url(url)) == expected


async def test_a_redis_that_refuses_the_connection_is_named(closed_port: int) -> None:
    text = await error_of(RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{closed_port}/0"))

    assert text.startswith(f"Redis at 127.0.0.1:{closed_port}: ")
    assert "refused" in text or "Connect call failed" in text


async def test_a_redis_cluster_that_refuses_the_connection_is_named(closed_port: int) -> None:
    assert (await error_of(RedisStore(f"redis+cluster://:{PASSWORD}@127.0.0.1:{closed_port}"))).startswith(
        "Redis Cluster: "
    )


@pytest.fixture
def locked() -> Iterator[RedisServer]:
    server = RedisServer(requirepass="another")
    yield server
    server.close()


async def test_a_redis_that_lets_nobody_in_says_why(locked: RedisServer) -> None:
    wrong = await error_of(RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{locked.port}/0"))
    none = await error_of(RedisStore(f"redis://127.0.0.1:{locked.port}/0"))

    assert "invalid username-password pair" in wrong
    assert "Authentication required" in none


async def test_a_redis_that_is_silent_says_for_how_long(locked: RedisServer) -> None:
    locked.freeze()
    text = await error_of(RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{locked.port}/0", timeout=0.3))
    locked.thaw()

    assert text == f"Redis at 127.0.0.1:{locked.port}: no connection to 127.0.0.1:{locked.port} within 0.3 seconds"


async def test_a_redis_database_that_is_not_there_is_the_cause_that_is_named() -> None:
    server, node = RedisServer(databases="4"), RedisServer(cluster=True)
    missing = await error_of(RedisStore(f"redis://127.0.0.1:{server.port}/4"))
    of_cluster = await error_of(RedisStore(f"redis://127.0.0.1:{node.port}/1"))
    server.close()
    node.close()

    assert missing == (
        f"Redis at 127.0.0.1:{server.port}: it has no database of that number (its setting databases, 16 unless changed)"
    )
    assert "redis+cluster://" in of_cluster


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ResponseError("unknown command 'EVALSHA', with args beginning with: 'private'"), "ResponseError"),
        (ResponseError("user_script:5: -OOM command not allowed"), "it is full (OOM, maxmemory)"),
        (NoPermissionError("No permissions to access private", status_code="NOPERM"), "NOPERM"),
        (ResponseError("MISCONF Redis is configured to save private"), "MISCONF"),
        (RedisError("said by this library"), "said by this library"),
        (KeyError("private"), "KeyError"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__ + str(len(str(value))),
)
def test_a_reply_of_redis_is_not_repeated(error: Exception, text: str) -> None:
    assert text in redis_reason(error)
    assert "private" not in redis_reason(error)


@pytest.mark.parametrize(
    ("module", "missing"),
    [("redis", "redis"), ("redis", "hiredis"), ("sql", "sqlalchemy"), ("sql", "greenlet")],
)
async def test_a_missing_extra_is_named_when_the_store_is_imported(module: str, missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"try:\n    import fastapi_sessionkit.stores.{module}\n"
        "except ImportError as error:\n    print(error)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()

    assert f"pip install 'fastapi-sessionkit[{module}]'" in printed.decode()


async def test_cancelling_and_mistakes_stay_what_they_are(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:///{tmp_path}/x.db")
    call = asyncio.ensure_future(store.get(key("a")))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await close(store)


async def test_a_kit_logs_the_cause_and_answers_503(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SQLStore(tmp_path / "missing" / "x.db")
    kit = SessionKit(Session, secret_key=SECRET, backend=store)
    with pytest.raises(StoreUnavailable) as refusal:
        await kit.sessions.list("private")
    await close(store)

    assert refusal.value.status_code == 503
    logged = f"Session store failed: SQLite file {tmp_path}/missing/x.db: unable to open database file"
    assert [record.getMessage() for record in caplog.records] == [logged]
