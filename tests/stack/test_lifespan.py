"""Stores open with the first request that asks, and leave no connection behind when the application ends."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psutil  # type: ignore[import-untyped]
import pytest

from fastapi_sessionkit import SessionStore
from fastapi_sessionkit.testing.contract.tools import eventually
from tests.stack.application import World
from tests.stack.lifespan import running
from tests.support import Clock

pytestmark = pytest.mark.anyio


Connections = Callable[[], Awaitable[set[object]]]


@pytest.fixture
def connections(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Connections:
    """The connections that there are to the engine, as the engine sees them, without those of the asking."""

    async def found() -> set[object]:
        if engine == "memory":
            return set()
        if engine == "sqlite":
            return {
                (file.path, file.fd) for file in psutil.Process().open_files() if tmp_path in Path(file.path).parents
            }
        server = request.getfixturevalue(engine)
        return await _of_postgres(server) if engine == "postgres" else set(server.connections())

    return found


async def _of_postgres(server: Any) -> set[object]:
    url = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url, server_settings={"application_name": "asking"})
    rows = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name != 'asking'"
    )
    await connection.close()
    return {pid for (pid,) in rows}


async def none_is_new(connections: Connections, before: set[object]) -> bool:
    """An engine notices a moment later that a connection was closed."""
    return await connections() <= before


async def test_a_store_is_opened_when_first_asked_and_closed_with_the_application(
    world: World, connections: Connections, engine: str
) -> None:
    before = await connections()
    async with running(world.app):
        await world.browser().get("/me")
        await world.browser().get("/open")
        await asyncio.sleep(0.05)  # for one who would open it in the background
        unopened = await connections()
        browser = await world.signed_in()
        await asyncio.gather(*(browser.post("/raise") for _ in range(50)))
        opened = await connections()

    assert unopened <= before
    assert bool(opened - before) is (engine != "memory")
    assert await eventually(lambda: none_is_new(connections, before))


async def test_an_application_that_is_started_again_finds_its_sessions(world: World, connections: Connections) -> None:
    before = await connections()
    async with running(world.app):
        browser = await world.signed_in()
        await browser.post("/raise")
    async with running(world.app):
        again = await browser.post("/raise")
        session = (await browser.get("/me")).body

    assert (again.status, session["n"]) == (200, 2)
    assert await eventually(lambda: none_is_new(connections, before))


async def test_a_started_application_purges_its_store(store: SessionStore, clock: Clock, engine: str) -> None:
    world = World(store, clock, purge_every=0.002)
    await world.signed_in()
    clock.advance(10_000)
    async with running(world.app), asyncio.timeout(60):
        browser = await world.signed_in()
        while engine in {"sqlite", "postgres"} and await rows(store) > 1:  # noqa: ASYNC110 - nobody else would set an event
            await asyncio.sleep(0.002)

        assert await world.opens(browser.token)


async def rows(store: Any) -> int:
    from sqlalchemy import func, select

    async with store.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(store.table)))
