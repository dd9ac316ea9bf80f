"""The Redis store does what ``SessionStore`` promises, by a clock of its own and by the server's, whatever client it has."""

import secrets
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import PATIENCE, ContractClock
from tests.stores.redis_servers import RedisServer


class TestRedisStore(SessionStoreContract):
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, server: RedisServer) -> AsyncIterator[RedisStore]:
        store = RedisStore(server.url, clock=clock, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()


class TestRedisStoreByTheRealTime(SessionStoreContract):
    can_set_clock = False
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, server: RedisServer) -> AsyncIterator[RedisStore]:
        store = RedisStore(server.url, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()


class TestRedisStoreWithAClientThatDecodes(SessionStoreContract):
    """Its replies come in version 3 of the protocol, and as text where a command is not told otherwise."""

    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, server: RedisServer) -> AsyncIterator[RedisStore]:
        client = Redis.from_url(server.url, decode_responses=True, protocol=3)
        store = RedisStore(client, clock=clock, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()
        await client.aclose()
