"""Redis over TLS: to a server whose certificate is good the store talks, to any other it says nothing.

In front of Redis stands what ends the TLS, as the Redis of the tests is built without.
"""

import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from redis.asyncio import Redis

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import ContractClock
from tests.stores.certificates import Certificate
from tests.stores.redis.support import A, a_record
from tests.stores.redis_servers import Proxy, RedisServer


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("good"), "127.0.0.1")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("elsewhere"), "127.0.0.2")


@pytest.fixture
async def tls(server: RedisServer, good: Certificate) -> AsyncIterator[Proxy]:
    async with Proxy(server, good.context) as proxy:
        yield proxy


def trusting(url: str, certificate: Certificate) -> str:
    return f"{url}?ssl_ca_certs={quote(str(certificate.file))}"


class TestRedisStoreOverTLS(SessionStoreContract):
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, tls: Proxy, good: Certificate) -> AsyncIterator[RedisStore]:
        store = RedisStore(trusting(tls.url, good), clock=clock, prefix=f"{secrets.token_hex(4)}:")
        yield store
        await store.aclose()


@pytest.mark.anyio
async def test_a_client_of_the_users_own_brings_its_tls_along(tls: Proxy, good: Certificate) -> None:
    client = Redis.from_url(trusting(tls.url, good))
    store = RedisStore(client, prefix=f"{secrets.token_hex(4)}:")
    record = a_record()
    await store.create(A, record)
    found = await store.get(A)
    await store.aclose()
    await client.aclose()

    assert found == record


@pytest.mark.anyio
async def test_a_server_whose_certificate_nobody_signed_is_told_nothing(server: RedisServer, tls: Proxy) -> None:
    store = RedisStore(tls.url)

    await is_told_nothing(store, server)


@pytest.mark.anyio
async def test_a_server_whose_certificate_is_somebody_elses_is_told_nothing(
    server: RedisServer, elsewhere: Certificate
) -> None:
    async with Proxy(server, elsewhere.context) as proxy:
        store = RedisStore(trusting(proxy.url, elsewhere))

        await is_told_nothing(store, server)


@pytest.mark.anyio
async def test_a_server_that_speaks_no_tls_is_told_nothing(server: RedisServer, good: Certificate) -> None:
    store = RedisStore(trusting(server.url.replace("redis://", "rediss://"), good), timeout=1.0)

    await is_told_nothing(store, server)


async def is_told_nothing(store: RedisStore, server: RedisServer) -> None:
    with server.client() as look:
        look.flushall()
        with pytest.raises(StoreError):
            await store.create(A, a_record())
        await store.aclose()

        assert look.dbsize() == 0
