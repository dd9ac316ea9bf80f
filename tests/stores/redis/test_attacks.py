"""What a thief of a dump and an inventor of names get: nothing."""

import hashlib
import secrets
from dataclasses import replace
from typing import Any

import pytest

from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing.contract.tools import key
from tests.stores.redis.support import A, a_record
from tests.stores.redis_servers import RedisServer

pytestmark = pytest.mark.anyio


async def test_a_dump_contains_no_id_that_opens_a_session(store: RedisStore, look: Any) -> None:
    session_id, successor_id = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    old, new = (hashlib.sha256(each.encode()).hexdigest() for each in (session_id, successor_id))
    await store.create(old, a_record())
    await store.create(new, a_record())
    await store.replace(old, replace(a_record(version=2), successor=new), version=1)
    dump = b"".join(
        name + (look.get(name) if look.type(name) == b"string" else repr(look.hgetall(name)).encode())
        for name in look.scan_iter()
    )

    assert old.encode() in dump
    assert session_id.encode() not in dump
    assert successor_id.encode() not in dump


async def test_a_user_id_made_to_look_like_a_session_reaches_no_session(store: RedisStore) -> None:
    record = a_record("ada")
    await store.create(A, record)
    for user in (A, f"../{A}", "x\r\nDEL session:" + A, "{" + A + "}"):
        await store.create(key(user), a_record(user))
        await store.delete_user(user)

    assert await store.get(A) == record


async def test_stores_with_different_prefixes_do_not_see_each_other(server: RedisServer, store: RedisStore) -> None:
    other = RedisStore(server.url, prefix="staff:")
    await store.create(A, a_record())

    assert await other.get(A) is None
    assert await other.delete_user("ada") == 0
    assert await store.get(A) is not None
    await other.aclose()
