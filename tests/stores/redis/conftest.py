"""A Redis server for each file of tests, a store on it, and one whose connections break on demand."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing.contract.tools import PATIENCE
from tests.stores.redis_servers import Proxy, RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def look(server: RedisServer) -> Iterator[Any]:
    """A second way into the server, which is empty."""
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
async def store(server: RedisServer, look: Any) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url, timeout=PATIENCE)
    yield store
    await store.aclose()


@pytest.fixture
async def proxy(server: RedisServer, look: Any) -> AsyncIterator[Proxy]:
    async with Proxy(server) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[RedisStore]:
    """A store whose connections can be broken at will."""
    store = RedisStore(proxy.url, timeout=PATIENCE)
    yield store
    await store.aclose()
