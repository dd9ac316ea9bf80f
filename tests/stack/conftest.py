"""Every store behind one name: the tests of this folder ask for ``store``, and run once on each."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_sessionkit import MemoryStore, SessionStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing.contract.tools import PATIENCE
from tests.stack.application import World
from tests.stores.postgres_server import ForeignPostgres, PostgresServer, start_postgres
from tests.stores.redis_servers import RedisCluster, RedisServer
from tests.support import Clock

ENGINES = ("memory", "sqlite", "postgres", "redis", "cluster")

Make = Callable[[str], SessionStore]
"""From an engine's name to an empty store on it, which goes by the test's clock."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer | ForeignPostgres]:
    server = start_postgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """Keeps what it acknowledged: it syncs every write to its file."""
    server = RedisServer(durable=True)
    yield server
    server.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[RedisCluster]:
    cluster = RedisCluster()
    yield cluster
    cluster.close()


@pytest.fixture
def make_store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Make:
    def make(engine: str) -> SessionStore:
        name = secrets.token_hex(8)
        if engine == "memory":
            return MemoryStore(clock=clock)
        if engine == "sqlite":
            return SQLStore(f"sqlite:///{tmp_path / name}.db", clock=clock)
        server: Any = request.getfixturevalue(engine)
        if engine == "postgres":
            return SQLStore(
                server.url,
                table_name=f"sessions_{name}",
                connection_timeout=PATIENCE,
                answer_timeout=PATIENCE,
                clock=clock,
            )
        return RedisStore(server.url, prefix=f"{name}:", clock=clock, timeout=PATIENCE)

    return make


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def store(engine: str, make_store: Make) -> AsyncIterator[SessionStore]:
    store = make_store(engine)
    yield store
    await store.aclose()


@pytest.fixture
def world(store: SessionStore, clock: Clock) -> World:
    return World(store, clock)
