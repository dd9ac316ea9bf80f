"""URLs as hosting companies and SQLAlchemy users have them: they work, or are refused when the store is made."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.stores.sql.urls import target
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import ContractClock, key
from tests.stores.certificates import Certificate
from tests.stores.postgres_server import PostgresServer

PASSWORD = "hunter2"
REFUSED = "postgresql://u:hunter2@h/d"


async def works(url: Any, table_name: str) -> Any:
    """Keep a session there and read it; gives what the driver's connections are to the server."""
    store = SQLStore(url, table_name=table_name, clock=ContractClock(real=False))
    record = ContractClock(real=False).record()
    try:
        assert await store.create(key("a"), record) is True
        assert await store.get(key("a")) == record
        async with store.engine.connect() as connection:
            return (await connection.exec_driver_sql("SELECT current_setting('application_name')")).scalar_one()
    finally:
        await store.aclose()


# PostgreSQL


def on(server: PostgresServer, scheme: str, query: str = "") -> str:
    """A URL of that kind for the server of the tests, which listens on a socket in a folder."""
    folder = quote(str(server.url.query["host"]), safe="")
    return f"{scheme}://{server.url.username}:{PASSWORD}@/{server.url.database}?host={folder}{query}"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "postgresql+asyncpg",
        "postgres+asyncpg",
        "postgresql+psycopg2",
        "postgresql+psycopg",
        "postgres+psycopg",
    ],
)
async def test_every_way_to_write_postgresql_works(postgres: PostgresServer, table_name: str, scheme: str) -> None:
    if "psycopg" in scheme:
        pytest.importorskip("psycopg")

    assert await works(on(postgres, scheme, "&application_name=shop"), table_name) == "shop"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query",
    [
        "&sslmode=prefer",
        "&sslmode=disable",
        "&sslmode=allow",
        "&ssl=disable",
        "&ssl=false",
        "&channel_binding=prefer",
        "&pgbouncer=true",
        "&pgbouncer=false",
        "&connect_timeout=10",
        "&connect_timeout=0",
        "&timeout=10",
        "&command_timeout=30",
        "&statement_cache_size=0&prepared_statement_cache_size=0",
        "&target_session_attrs=read-write",
        "&options=-c%20search_path%3Dpublic",
        "&gssencmode=disable&client_encoding=utf8",
        "&sslmode=prefer&channel_binding=prefer&connect_timeout=5&application_name=shop&pgbouncer=true",
    ],
)
async def test_parameters_of_libpq_and_of_hosting_companies_work(
    postgres: PostgresServer, table_name: str, query: str
) -> None:
    name = await works(on(postgres, "postgres", query), table_name)

    assert name == ("shop" if "application_name" in query else "")


@pytest.mark.anyio
@pytest.mark.parametrize("query", ["&pgbouncer=true", "&sslmode=prefer&connect_timeout=5", "&target_session_attrs=any"])
async def test_the_same_through_psycopg(postgres: PostgresServer, table_name: str, query: str) -> None:
    pytest.importorskip("psycopg")

    await works(on(postgres, "postgresql+psycopg", query), table_name)


@pytest.mark.anyio
@pytest.mark.parametrize("around", [" {}", "{}\n", "\t{} "])
async def test_white_space_around_a_url_from_a_file_does_not_count(
    postgres: PostgresServer, table_name: str, around: str
) -> None:
    await works(around.format(on(postgres, "postgres")), table_name)


class TestBehindPgBouncer(SessionStoreContract):
    """In transactions, and with nothing prepared that outlives one."""

    @pytest.fixture
    async def store(self, clock: ContractClock, postgres: PostgresServer, table_name: str) -> AsyncIterator[SQLStore]:
        store = SQLStore(on(postgres, "postgres", "&pgbouncer=true"), table_name=table_name, clock=clock)
        yield store
        await store.aclose()

    async def test_nothing_stays_prepared(self, store: SQLStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.get(key("a"))
        [connections] = set(store._connections._of.values())  # noqa: SLF001
        async with connections._engine.connect() as connection:  # type: ignore[attr-defined]  # noqa: SLF001
            prepared = await connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")

            assert prepared.scalar_one() == 0


# PostgreSQL over TLS


class EndOfTLS:
    """Stands in front of a PostgreSQL that speaks no TLS, and counts who came in by it and who did not."""

    def __init__(self, server: PostgresServer, certificate: Certificate) -> None:
        self._socket = f"{server.url.query['host']}/.s.PGSQL.5432"
        self._context = certificate.context
        self._served: set[asyncio.Task[None]] = set()
        self.encrypted = self.plain = 0

    async def __aenter__(self) -> str:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    def _accept(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        self._served.add(asyncio.create_task(self._serve(client_in, client_out)))

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if await client_in.readexactly(8) != b"\x00\x00\x00\x08\x04\xd2\x16\x2f":
                self.plain += 1
                client_out.close()
                return
            client_out.write(b"S")
            await client_out.start_tls(self._context)
            self.encrypted += 1
            server_in, server_out = await asyncio.open_unix_connection(self._socket)
            await asyncio.gather(_copy(client_in, server_out), _copy(server_in, client_out))
        client_out.close()


async def _copy(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            drain.write(data)
    finally:
        drain.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path, "127.0.0.1")


@pytest.fixture
def end_of_tls(postgres: PostgresServer, certificate: Certificate) -> EndOfTLS:
    return EndOfTLS(postgres, certificate)


@pytest.fixture(autouse=True)
def _no_authorities_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "encrypted", "outcome"),
    [
        ("?sslmode=require", True, None),
        ("?ssl=true", True, None),
        ("?ssl=require", True, None),
        ("?sslmode=prefer", True, None),
        ("?sslmode=verify-full&sslrootcert={file}", True, None),
        ("?sslmode=verify-ca&sslrootcert={file}", True, None),
        ("?channel_binding=require&sslrootcert={file}", True, None),
        ("?sslmode=disable", False, "closed"),
        ("?sslmode=verify-full", False, "certificate verify failed"),
        ("?sslmode=verify-ca", False, "certificate verify failed"),
        ("?sslmode=verify-full&sslrootcert=system", False, "certificate verify failed"),
        ("?sslmode=require&channel_binding=require", False, "certificate verify failed"),
    ],
)
async def test_what_a_url_says_about_tls_holds(
    postgres: PostgresServer,
    end_of_tls: EndOfTLS,
    certificate: Certificate,
    table_name: str,
    query: str,
    encrypted: bool,
    outcome: str | None,
) -> None:
    async with end_of_tls as address:
        user, database = postgres.url.username, postgres.url.database
        url = f"postgres://{user}@{address}/{database}{query.format(file=quote(str(certificate.file)))}"
        if outcome is None:
            await works(url, table_name)
        else:
            with pytest.raises(StoreError, match=outcome):
                await works(url, table_name)

        assert bool(end_of_tls.encrypted) is encrypted


@pytest.mark.anyio
async def test_an_authority_at_home_is_the_one_that_counts(
    postgres: PostgresServer, end_of_tls: EndOfTLS, certificate: Certificate, table_name: str, tmp_path: Path
) -> None:
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_bytes(certificate.file.read_bytes())
    async with end_of_tls as address:
        await works(
            f"postgres://{postgres.url.username}@{address}/{postgres.url.database}?sslmode=verify-full", table_name
        )


# What is refused


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"{REFUSED}?sslmode=no-verify", "verify-full"),
        (f"{REFUSED}?target_session_attrs=first", "read-write"),
        (f"{REFUSED}?sslnegotiation=now", "direct"),
        (f"{REFUSED}?connect_timeout=soon", "connect_timeout"),
        (f"{REFUSED}?connect_timeout=-1", "connect_timeout"),
        (f"{REFUSED}?timeout=nan", "timeout"),
        (f"{REFUSED}?statement_cache_size=1.5", "statement_cache_size"),
        (f"{REFUSED}?pgbouncer=maybe", "pgbouncer"),
        (f"{REFUSED}?sslmode=verify-full&sslrootcert=/missing/ca.pem", "/missing/ca.pem"),
        (f"{REFUSED}?supa=base-pooler.x", "'supa'"),
        (f"{REFUSED}?connection_limit=1", "'connection_limit'"),
        (f"{REFUSED}?gssencmode=require", "'gssencmode'"),
        (f"{REFUSED}?server_settings=x", "'server_settings'"),
        ("postgresql+psycopg://u:hunter2@h/d?supa=x", "supa"),
        ("postgresql+psycopg://u:hunter2@h/d?sslmode=no-verify", "verify-full"),
        ("postgresql://u:hunter2@h:port/d", "port is no number"),
        ("postgresql://u:hun@ter2@h/d", "percent-encoded"),
        ("postgresql+psycopg3://u:hunter2@h/d", "asyncpg"),
        ("postgis://u:hunter2@h/d", "asyncpg"),
        ("jdbc:postgresql://h/d?user=u&password=hunter2", "asyncpg"),
        ("'postgresql://u:hunter2@h/d'", "asyncpg"),
        ("", "environment"),
        ("  ", "environment"),
        (None, "environment"),
        (b"sqlite:///x.db", "bytes"),
        ("sqlite://sessions.db", "sqlite:///sessions.db"),
        ("sqlite://var/sessions.db", "sqlite:///var/sessions.db"),
        ("sqlite:///x.db?mode=ro", "uri=true"),
        ("sqlite:///x.db?timeout=long", "timeout"),
        ("sqlite:///x.db?cached_statements=x", "cached_statements"),
        ("redis://:hunter2@h", "RedisStore(url)"),
        ("rediss://u:hunter2@h:6379/0", "RedisStore(url)"),
        ("mongodb://u:hunter2@h/d", "no database by the name of mongodb://"),
        ("postgresql://u:hunter2@h:65536/d", "1 to 65535, not 65536"),
        ("postgresql://u:hunter2@h:0/d", "1 to 65535, not 0"),
        ("postgresql+psycopg://u:hunter2@h:99999/d", "1 to 65535, not 99999"),
        ("postgresql://u:hunter2@/d?host=h1:1&host=h2:70000", "1 to 65535, not 70000"),
        ("postgresql://u:hunter2@/d?host=h1,h2&port=1,70000", "1 to 65535, not 70000"),
        ("postgresql://u:hunter2@h1,h2/d", "?host=h1:5432&host=h2:5432"),
        ("postgresql://u:hunter2@h1:5432,h2:5433/d?sslmode=require", "?host=h1:5432&host=h2:5433"),
        ("postgresql://h1,h2:5433", "?host=h1:5432&host=h2:5433"),
        ("postgresql://u:hun,ter2/x@h1:port,h2/d", "percent-encoded"),
        ("postgresql://u:hun,ter2@h:port/d", "percent-encoded"),
        (f"{REFUSED}?pgbouncer=true&connection_limit=3", "max_connections=3"),
        (f"{REFUSED}?pgbouncer=true&pool_timeout=20", "connection_timeout=20"),
        (f"{REFUSED}?socket_timeout=20", "answer_timeout=20"),
        (f"{REFUSED}?schema=web", "options=-c%20search_path%3Dweb"),
        (f"{REFUSED}?currentSchema=web", "options=-c%20search_path%3Dweb"),
        (f"{REFUSED}?schema=a,hunter2", "search_path%3D…"),
        (f"{REFUSED}?sslaccept=strict", "sslmode=verify-full"),
        ("postgresql+psycopg://u:hunter2@h/d?pgbouncer=true&connection_limit=3", "max_connections=3"),
        ("mysql://u:hunter2@h/d", "mysql+aiomysql://"),
        ("mysql+pymysql://u:hunter2@h/d", "mysql+aiomysql://"),
        ("mariadb://u:hunter2@h/d", "mariadb+aiomysql://"),
        ("oracle://u:hunter2@h/d", "oracle+oracledb_async://"),
        ("mssql+pyodbc://u:hunter2@h/d", "mssql+aioodbc://"),
        ("file.db", 'SQLStore("sqlite:///file.db")'),
        ("./data/file.sqlite3", 'Path("./data/file.sqlite3")'),
        ("/var/lib/file.db", 'SQLStore("sqlite:////var/lib/file.db")'),
        (":memory:", "MemoryStore"),
        ("sqlite:file.db", "sqlite:///file.db"),
        ("sqlite:/var/file.db", "sqlite:////var/file.db"),
    ],
)
def test_what_cannot_work_is_refused_when_the_store_is_made(url: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        SQLStore(url)

    assert said in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert "ter2" not in str(refusal.value)


def test_an_engine_that_is_not_asynchronous_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"asynchronous engine, and this one is not.*create_async_engine"):
        SQLStore(create_engine("sqlite:///x.db"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["mysql://u:p@h/d", "mysql+aiomysql://u:p@h/d", "mariadb+asyncmy://u:p@h/d", "oracle://u:p@h/d"]
)
def test_another_database_is_not_blamed_on_the_extra(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pip install [a-z]+($|\))") as refusal:
        SQLStore(url)

    assert "fastapi-sessionkit[sql]" not in str(refusal.value)


def test_several_hosts_as_parameters_are_taken() -> None:
    for scheme in ("postgresql", "postgresql+psycopg"):
        SQLStore(f"{scheme}://u:p@/d?host=h1:5432&host=h2:5433")


def test_an_engine_on_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MemoryStore"):
        SQLStore(create_async_engine("sqlite+aiosqlite://"))


def test_the_last_of_two_values_counts_as_in_libpq() -> None:
    assert target(f"{REFUSED}?sslmode=require&sslmode=disable").connect_args == {"dsn": "postgresql://?sslmode=disable"}


def test_a_socket_with_colons_in_its_name_is_one_host() -> None:
    url = target("postgresql://u:p@/d?host=/cloudsql/project:region:instance").url
    _, options = create_async_engine(url).dialect.create_connect_args(url)

    assert options["host"] == "/cloudsql/project:region:instance"


# SQLite


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///{}",
        "sqlite+aiosqlite:///{}",
        "sqlite+pysqlite:///{}",
        "sqlite:///{}?timeout=10",
        "sqlite:///file:{}?mode=rwc&uri=true",
    ],
)
async def test_every_way_to_write_an_sqlite_file_works(tmp_path: Path, url: str) -> None:
    store = SQLStore(url.format(tmp_path / "sessions.db"))
    await store.purge()
    await store.aclose()

    assert (tmp_path / "sessions.db").exists()


@pytest.mark.anyio
async def test_a_path_is_an_sqlite_file(tmp_path: Path) -> None:
    for name in ("sessions.db", "with ?#% and : in it.db"):
        store = SQLStore(tmp_path / name)
        await store.purge()
        await store.aclose()

        assert (tmp_path / name).exists()


@pytest.mark.anyio
async def test_a_relative_file_lies_where_the_process_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLStore("sqlite:///file.db")
    await store.purge()
    await store.aclose()

    assert (tmp_path / "file.db").exists()


def test_a_url_object_is_taken_as_well() -> None:
    assert SQLStore(make_url("postgres://u:p@h/d")).engine.dialect.driver == "asyncpg"
