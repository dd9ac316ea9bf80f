"""URLs, clients and settings: those that work, and those that are refused."""

from pathlib import Path
from typing import Any

import pytest
from redis import Redis as BlockingRedis

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.redis import RedisStore
from tests.stores.redis.support import A, a_record
from tests.stores.redis_servers import RedisServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@localhost",
        "localhost:6379",
        "user:hunter2@localhost",
        "redis://:hunter2/with-a-slash@localhost",
        "redis://:hunter2@localhost?colour=green",
        "redis+sentinel://:hunter2@localhost",
        "",
        "redis+cluster://:hunter2@localhost/3",
        "redis://:hunter2@localhost?socket_keepalive_options=x&max_connections=many",
    ],
)
def test_a_url_that_can_not_work_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        RedisStore(url)

    # Nor by an error of a URL parser behind it.
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://u:hunter2@h/d", "SQLStore(url)"),
        ("postgresql+asyncpg://u:hunter2@h/d", "SQLStore(url)"),
        ("sqlite:///hunter2.db", "SQLStore(url)"),
        ("redis://:hunter2@h/sessions", "database of a Redis URL is a number"),
        ("redis://:hunter2@h/-1", "database of a Redis URL is a number"),
        ("redis://:hunter2@h/0/1", "database of a Redis URL is a number"),
        ("redis://:hunter2@h?db=-1", "database of a Redis URL is a number"),
        ("unix:///run/redis?db=-1", "database of a Redis URL is a number"),
        ("redis://:hunter2@h:0/1", "1 to 65535"),
        ("redis+cluster://:hunter2@h:0", "1 to 65535"),
        ("redis://:hunter2@h:65536/1", "its port"),
        ("redis://:hunter2@h1,h2/0", "one host"),
        ("redis+cluster://:hunter2@h1,h2", "one host"),
    ],
)
def test_a_url_that_is_meant_for_something_else_is_refused_by_what_to_write(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        RedisStore(url)

    assert said in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_blocking_client_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"asynchronous client, and this one is not.*redis\.asyncio"):
        RedisStore(BlockingRedis())  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_that_never_ends_or_never_waits_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        RedisStore("redis://localhost", timeout=timeout)


async def test_a_unix_socket_works(tmp_path: Path) -> None:
    server = RedisServer(unixsocket=str(tmp_path / "s"))
    store = RedisStore(f"unix://{tmp_path}/s")

    assert await store.create(A, a_record()) is True
    await store.aclose()
    server.close()


async def test_a_database_number_and_a_valkey_url_work(server: RedisServer, look: Any) -> None:
    store = RedisStore(f"valkey://127.0.0.1:{server.port}/3")
    await store.create(A, a_record())
    await store.aclose()

    assert look.dbsize() == 0
    assert look.info("keyspace")["db3"]["keys"] == 2
