"""``StoreBackend`` does what ``SessionBackend`` promises on real engines too, where calls wait and fail in other ways."""

import secrets
from collections.abc import Callable

import pytest

from fastapi_sessionkit import SessionBackend, StoreBackend
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing import SessionBackendContract
from fastapi_sessionkit.testing.contract.tools import PATIENCE
from tests.stores.postgres_server import ForeignPostgres, PostgresServer
from tests.stores.redis_servers import RedisServer


class TestStoreBackendOnRedis(SessionBackendContract):
    purges = False

    @pytest.fixture(autouse=True)
    def _use(self, redis: RedisServer) -> None:
        self.url = redis.url

    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return StoreBackend(RedisStore(self.url, prefix=f"{secrets.token_hex(8)}:", timeout=PATIENCE))


class TestStoreBackendOnPostgres(SessionBackendContract):
    @pytest.fixture(autouse=True)
    def _use(self, postgres: PostgresServer | ForeignPostgres) -> None:
        self.url = postgres.url

    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        name = f"sessions_{secrets.token_hex(8)}"
        return StoreBackend(SQLStore(self.url, table_name=name, connection_timeout=PATIENCE, answer_timeout=PATIENCE))
