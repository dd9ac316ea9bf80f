"""What a call costs: one command to the server, two where a script is taught again."""

from collections.abc import Awaitable
from typing import Any

import pytest

from fastapi_sessionkit.stores.redis import RedisStore
from tests.stores.redis.support import A, a_record

pytestmark = pytest.mark.anyio


async def commands_of(look: Any, call: Awaitable[object]) -> list[str]:
    """The commands that a call sends, without those that a script runs inside the server."""
    with look.monitor() as monitor:
        await call
        look.echo("the end")
        heard = []
        while "the end" not in (command := monitor.next_command())["command"]:
            if command["client_type"] != "lua":
                heard.append(command["command"].split()[0])
        # Newer servers also hear how the connection of `echo` introduces itself.
        return [word for word in heard if word != "CLIENT"]


async def test_a_read_is_one_command(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())

    assert await commands_of(look, store.get(A)) == ["GET"]


async def test_a_change_that_keeps_the_user_is_one_command(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    await store.replace(A, a_record(version=2), version=1)

    assert await commands_of(look, store.replace(A, a_record(version=3), version=2)) == ["EVALSHA"]


async def test_a_touch_is_one_command(store: RedisStore, look: Any) -> None:
    record = a_record()
    await store.create(A, record)
    await store.touch(A, last_seen_at=record.last_seen_at, expires_at=record.expires_at)
    call = store.touch(A, last_seen_at=record.last_seen_at + 1, expires_at=record.expires_at + 60)

    assert await commands_of(look, call) == ["EVALSHA"]


async def test_scripts_are_taught_again_when_the_server_forgot_them(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    look.script_flush()

    assert await commands_of(look, store.replace(A, a_record(version=2), version=1)) == ["EVALSHA", "EVAL"]
