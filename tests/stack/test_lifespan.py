"""Stores open with the first request that asks, and leave no connection behind when the application ends."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psutil  # type: ignore[import-untyped]
import pytest

from fastapi_sessionkit import SessionStore
from tests.conftest import Clock
from tests.stack.application import World
from tests.stack.lifespan import running

pytestmark = pytest.mark.anyio


@pytest.fixture
def connections(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Counts the connections that this process has to the engine, as the engine sees them."""

    async def count() -> int:
        if engine == "memory":
            return 0
        if engine == "sqlite":
            return sum(file.path.startswith(str(tmp_path)) for file in psutil.Process().open_files())
        server = request.getfixturevalue(engine)
        if engine == "postgres":
            return await _of_postgres(server)
        servers = server.servers if engine == "cluster" else [server]
        return sum(_of_redis(each) for each in servers)

    return count


async def _of_postgres(server: Any) -> int:
    connection = await asyncpg.connect(server.url.set(drivername="postgresql").render_as_string(hide_password=False))
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid != pg_backend_pid()"
    )
    await connection.close()
    return count


def _of_redis(server: Any) -> int:
    with server.client() as look:
        return len([client for client in look.client_list() if client["cmd"] not in {"client", "client|list"}])


async def test_a_store_is_opened_by_the_first_request_that_asks_and_closed_with_the_application(
    world: World, connections: Callable[[], Any], engine: str
) -> None:
    before = await settled(connections)
    async with running(world.app):
        await world.browser().get("/me")
        await world.browser().get("/open")
        unopened = await settled(connections)
        browser = await world.signed_in()
        await asyncio.gather(*(browser.post("/raise") for _ in range(50)))
        opened = await connections()
    after = await settled(connections)

    assert unopened == before
    assert (opened > before) is (engine != "memory")
    assert after == before


async def test_an_application_that_is_started_again_finds_its_sessions(
    world: World, connections: Callable[[], Any]
) -> None:
    before = await settled(connections)
    async with running(world.app):
        browser = await world.signed_in()
        await browser.post("/raise")
    async with running(world.app):
        again = await browser.post("/raise")
        session = (await browser.get("/me")).body
    after = await settled(connections)

    assert (again.status, session["n"]) == (200, 2)
    assert after == before


async def test_a_started_application_purges_its_store(store: SessionStore, clock: Clock, engine: str) -> None:
    world = World(store, clock, purge_every=0.002)
    await world.signed_in()
    clock.advance(10_000)
    async with running(world.app), asyncio.timeout(10):
        browser = await world.signed_in()
        while engine in {"sqlite", "postgres"} and await rows(store) > 1:  # noqa: ASYNC110 - nobody else would set an event
            await asyncio.sleep(0.002)

        assert await world.opens(browser.token)


async def rows(store: Any) -> int:
    from sqlalchemy import func, select

    async with store.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(store.table)))


async def settled(connections: Callable[[], Any]) -> int:
    """The count once it stays the same: an engine notices a moment later that a connection was closed."""
    seen: list[int] = []
    for _ in range(60):
        seen.append(await connections())
        if len(seen) > 8 and len(set(seen[-8:])) == 1:
            break
        await asyncio.sleep(0.01)
    return seen[-1]
