import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.stores.sql.core import Connections, CoreConnections
from fastapi_sessionkit.testing import SessionStoreContract


class ThroughTheCore(SQLStore):
    """Takes the way that is left to dialects whose driver this project doesn't know."""

    async def _new_connections(self, loop: asyncio.AbstractEventLoop) -> Connections:
        return CoreConnections(self.engine, owned=False)


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


@pytest.mark.anyio
async def test_a_server_that_says_nothing_is_an_error_in_time_and_closing_works() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"postgresql+asyncpg://nobody@127.0.0.1:{port}/nothing?ssl=disable"
    store = SQLStore(url, connection_timeout=0.1, answer_timeout=0.1)
    async with asyncio.timeout(40):  # asyncpg alone would wait for a minute
        with pytest.raises(StoreError):
            await store.get("0" * 64)
        await store.aclose()

    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()
