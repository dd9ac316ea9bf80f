"""What a thief of the store, or a reader of the logs, holds: nothing that opens a session."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fastapi_sessionkit import MemoryStore, SessionStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.stack.application import IDLE, World
from tests.support import Clock

pytestmark = pytest.mark.anyio


async def dump(store: SessionStore, servers: Iterable[Any], folder: Path) -> bytes:
    """Everything that the engine holds, byte by byte."""
    if isinstance(store, MemoryStore):
        return repr(vars(store)).encode()
    if isinstance(store, SQLStore):
        async with store.engine.connect() as connection:
            rows = (await connection.execute(select(store.table))).all()
        files = [file.read_bytes() for file in folder.glob("*.db*")]  # noqa: ASYNC240
        return b"\n".join([*(repr(tuple(row)).encode() for row in rows), *files])
    return b"\n".join(line for server in servers for line in _dump_of_redis(server))


def _dump_of_redis(server: Any) -> Iterable[bytes]:
    with server.client() as look:
        for key in look.keys("*"):
            yield key
            yield look.get(key) if look.type(key) == b"string" else repr(look.hgetall(key)).encode()


@pytest.fixture
def servers(engine: str, request: pytest.FixtureRequest) -> list[Any]:
    if engine == "redis":
        return [request.getfixturevalue("redis")]
    return request.getfixturevalue("cluster").servers if engine == "cluster" else []


async def test_a_dump_of_the_store_holds_no_id_that_opens_a_session(
    store: SessionStore, world: World, servers: list[Any], tmp_path: Path
) -> None:
    browsers = [await world.signed_in(f"user-{n}") for n in range(5)]
    for browser in browsers:
        await browser.post("/rotate")
    stolen = await dump(store, servers, tmp_path)
    handles = [active.handle for n in range(5) for active in await world.kit.sessions.list(f"user-{n}")]
    tokens = [token for browser in browsers for token in browser.tokens]
    ids = [token.partition(".")[0] for token in tokens]

    assert all(handle.encode() in stolen for handle in handles)
    assert b"user-3" in stolen
    assert [secret for secret in (*tokens, *ids) if secret.encode() in stolen] == []


async def test_presenting_what_a_store_keeps_opens_nothing(world: World, store: SessionStore) -> None:
    browser = await world.signed_in()
    token = str(browser.token)
    [active] = await world.kit.sessions.list("ada")
    real_id, _, signature = token.partition(".")
    forged = [
        active.handle,
        f"{active.handle}.{signature}",
        f"{real_id}.{active.handle}",
        active.handle[:43],
        f"{active.handle[:43]}.{signature}",
        token.swapcase(),
    ]

    assert await world.opens(token)
    assert [attempt for attempt in forged if await world.opens(attempt)] == []


async def test_logs_at_debug_hold_neither_ids_nor_values(
    store: SessionStore, world: World, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = await world.signed_in("lovelace")
    clock.advance(1)
    other = await world.signed_in("lovelace")
    handles = [active.handle for active in await world.kit.sessions.list("lovelace")]
    requests = ["/fields/color/vermilion", "/raise", "/rotate", "/role/countess", "/unseen/color/cerulean"]
    await asyncio.gather(*(browser.post(path) for path in requests))
    handles += [active.handle for active in await world.kit.sessions.list("lovelace")]
    clock.advance(IDLE / 5)
    late = asyncio.ensure_future(world.browser(other.token).post("/slow/fields/color/vermilion"))
    await world.pauses.reached.acquire()
    await world.kit.sessions.revoke(handles[1])
    world.pauses.go.set()
    await late
    await world.kit.sessions.update_user("lovelace", email="lovelace@example.com")
    await browser.get("/me")
    await browser.post("/logout")
    await world.kit.sessions.revoke_user("lovelace")
    await world.kit.sessions.purge()
    ids = [token.partition(".")[0] for token in (*browser.tokens, *other.tokens)]

    assert "dropped" in caplog.text
    secrets = (*ids, *handles, "lovelace", "vermilion", "cerulean", "countess")
    assert [secret for secret in secrets if secret in caplog.text] == []
