"""What tests of the Redis store share: two keys, a record, and a look at who is connected."""

import time

from fastapi_sessionkit.stores.base import SessionRecord
from fastapi_sessionkit.testing.contract.tools import key
from tests.stores.redis_servers import RedisServer

A, B = key("a"), key("b")
LIFETIME = 600.0


def a_record(user_id: str | None = "ada", *, version: int = 1, lifetime: float = LIFETIME) -> SessionRecord:
    now = time.time()
    return SessionRecord(b'{"user_id":"ada"}', user_id, version, now, now, now, now + lifetime)


async def has_only(server: RedisServer, kept: set[tuple[int, str]]) -> bool:
    """Whether every other connection is gone."""
    return server.connections() <= kept
