"""What a read by `SQLStore` costs, against the driver alone: ``python -m tests.benchmarks.sql_reads``.

The driver alone reads the same row by its key on one kept connection, with a prepared statement where it knows such.
The ratio is ``(store - memory) / driver``, where ``memory`` is what `MemoryStore` takes: 1.2 is what we allow. All three
in turns, in short blocks. Starts a server of its own.
"""

import argparse
import asyncio
import gc
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, TypeVar

import aiosqlite
import asyncpg  # type: ignore[import-untyped]

from fastapi_sessionkit.stores.base import SessionStore
from fastapi_sessionkit.stores.memory import MemoryStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.benchmarks.figures import Figure, spread
from tests.benchmarks.scale import key, record
from tests.stores.postgres_server import start_postgres

SESSIONS = 1_000
CALLS = 50
GROUPS = 10
LIMIT = 1.2
ROW = "SELECT data, user_id, version, created_at, authenticated_at, last_seen_at, expires_at, successor FROM "

Read = Callable[[str], Awaitable[Any]]
Store = TypeVar("Store", bound=SessionStore)


@asynccontextmanager
async def sqlite() -> AsyncIterator[tuple[SQLStore, Read]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sessions.db"
        store = await filled(SQLStore(f"sqlite:///{file}"))
        select = f"{ROW} {store.table.name} WHERE key = ?"
        async with aiosqlite.connect(file) as connection:
            yield store, lambda k: connection.execute_fetchall(select, (k,))
        await store.aclose()


@asynccontextmanager
async def postgres() -> AsyncIterator[tuple[SQLStore, Read]]:
    server = start_postgres()
    store = await filled(SQLStore(server.url))
    connection = await asyncpg.connect(
        server.url.set(drivername="postgresql").render_as_string(hide_password=False),
    )
    prepared = await connection.prepare(f"{ROW} {store.table.name} WHERE key = $1")
    yield store, prepared.fetch
    await connection.close()
    await store.aclose()
    server.remove()


async def filled(store: Store) -> Store:
    for n in range(SESSIONS):
        await store.create(key(n), record(n))
    return store


async def measure(reads: dict[str, Read], clocks: dict[str, Callable[[], float]], blocks: int) -> Any:
    """Seconds a block by clock and candidate."""
    taken: dict[str, dict[str, list[float]]] = {clock: {name: [] for name in reads} for clock in clocks}
    everyone = [key(n) for n in range(SESSIONS)]
    gc.collect()
    gc.freeze()  # what stands here stays: the collector's work is then each candidate's own
    for _ in range(blocks):
        for name in random.sample(list(reads), len(reads)):
            read, keys = reads[name], random.sample(everyone, CALLS)
            start = {clock: now() for clock, now in clocks.items()}
            for k in keys:
                await read(k)
            for clock, now in clocks.items():
                taken[clock][name].append(now() - start[clock])
    gc.unfreeze()
    return taken


def figure(name: str, taken: dict[str, list[float]]) -> Figure:
    """Of ten groups of blocks, the ratio in each of what nine in ten blocks take longer than: others are at work here."""
    blocks = len(taken["driver"])
    groups = [slice(n * blocks // GROUPS, (n + 1) * blocks // GROUPS) for n in range(GROUPS)]
    cost = [{which: quantiles(times[group], n=10)[0] for which, times in taken.items()} for group in groups]
    return spread(name, [(each["store"] - each["memory"]) / each["driver"] for each in cost], LIMIT)


async def run(engine: str, blocks: int) -> None:
    memory = await filled(MemoryStore())
    async with ENGINES[engine]() as (store, driver):
        reads: dict[str, Read] = {"driver": driver, "memory": memory.get, "store": store.get}
        clocks = {"the clock's time": time.perf_counter, "its process' CPU time": time.process_time}
        await measure(reads, clocks, blocks // 10 + 1)  # warming up
        taken = await measure(reads, clocks, blocks)
    for clock, times in taken.items():
        print(figure(f"{engine}, {clock}", times))


ENGINES = {"sqlite": sqlite, "postgres": postgres}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sql_reads", description=__doc__)
    parser.add_argument("engines", nargs="*", choices=[*ENGINES, []], help="both by default")
    parser.add_argument("--blocks", type=int, default=400)
    given = parser.parse_args()
    for engine in given.engines or ENGINES:
        asyncio.run(run(engine, given.blocks))


if __name__ == "__main__":
    main()
