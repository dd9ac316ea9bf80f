"""Redis over TLS: to a server whose certificate is good the store talks, to any other it says nothing.

In front of Redis stands what ends the TLS, as the Redis of the tests is built without.
"""

import secrets
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis

from fastapi_sessionkit.stores.base import SessionRecord, StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import ContractClock, key
from tests.stores.redis_servers import Proxy, RedisServer

A = key("a")


class Certificate:
    """A server's, signed by itself; who trusts it takes ``file`` for the authority."""

    def __init__(self, folder: Path, address: str) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis of the tests")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False)
            .sign(private, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.file = folder / f"{secrets.token_hex(4)}.pem"
        self.file.write_bytes(certificate.public_bytes(pem))
        kept = folder / f"{secrets.token_hex(4)}.key"
        kept.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.file, kept)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


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


def a_record() -> SessionRecord:
    now = time.time()
    return SessionRecord(b'{"user_id":"ada"}', "ada", 1, now, now, now, now + 600)


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
