import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_sessionkit._contract import SessionStoreContract
from fastapi_sessionkit.stores._core import Connections, CoreConnections
from fastapi_sessionkit.stores.sql import SQLStore


class ThroughTheCore(SQLStore):
    """Takes the way that is left to dialects whose driver this project doesn't know."""

    async def _choose(self, loop: asyncio.AbstractEventLoop) -> Connections:
        return CoreConnections(self.engine, loop)


class TestDialectWithoutReturning(SessionStoreContract):
    @pytest.fixture
    async def store(self, clock: Callable[[], float], postgres, table_name: str):
        engine = create_async_engine(postgres.url)
        engine.dialect.delete_returning = False
        store = ThroughTheCore(engine, table_name=table_name, clock=clock)
        yield store
        await store.aclose()
        await engine.dispose()


class TestPsycopgStore(SessionStoreContract):
    @pytest.fixture
    async def store(self, clock: Callable[[], float], postgres, table_name: str):
        pytest.importorskip("psycopg", reason="needs psycopg")
        store = SQLStore(postgres.url.set(drivername="postgresql+psycopg"), table_name=table_name, clock=clock)
        yield store
        await store.aclose()
