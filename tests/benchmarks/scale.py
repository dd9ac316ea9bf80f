"""What a call costs with many sessions, against what it costs with 1,000: ``python -m tests.benchmarks.scale``.

For each engine one small and one large store, measured in turns. Starts servers of its own.
"""

import argparse
import asyncio
import hashlib
import json
import random
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from fastapi_sessionkit import SessionRecord, SessionStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.stores.postgres_server import start_postgres
from tests.stores.redis_servers import RedisServer

FEW = 1_000
SESSIONS_A_USER = 5
AT_ONCE = 200
LIFETIME = 7 * 86_400.0
NOTED = b'"tier":"premium","device":"Firefox on Linux","permissions":["reports:read","reports:write"]'
LIMIT = 2.0


@dataclass
class Place:
    """A store that holds a number of sessions, and the microseconds that each call took, one figure a block."""

    store: SessionStore
    count: int
    size: Callable[[], Awaitable[int]]
    costs: dict[str, list[float]] = field(default_factory=dict)

    async def fill(self) -> None:
        await _at_once(self.store.create(key(n), record(n)) for n in range(self.count))

    def note(self, call: str, seconds: float, calls: int) -> None:
        self.costs.setdefault(call, []).append(seconds / calls * 1e6)


def key(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def record(number: int, lifetime: float = LIFETIME) -> SessionRecord:
    now, user = time.time(), f"user-{number // SESSIONS_A_USER}"
    return SessionRecord(b'{"user_id":"%s",%s}' % (user.encode(), NOTED), user, 1, now, now, now, now + lifetime)


async def block(place: Place, calls: int) -> None:
    """A block of each kind of call, one after the other, about sessions from all over the store."""
    store, numbers = place.store, random.sample(range(place.count), calls)
    start = time.perf_counter()
    found = [await store.get(key(n)) for n in numbers]
    place.note("read", time.perf_counter() - start, calls)
    changed = [replace(old, version=old.version + 1) for old in found if old is not None]
    start = time.perf_counter()
    for n, new in zip(numbers, changed, strict=True):
        await store.replace(key(n), new, version=new.version - 1)
    place.note("write", time.perf_counter() - start, calls)
    start = time.perf_counter()
    for n in numbers:
        if len(await store.list_user(f"user-{n // SESSIONS_A_USER}")) != SESSIONS_A_USER:
            raise RuntimeError("A session is missing")
    place.note("list a user", time.perf_counter() - start, calls)


async def purge_block(place: Place, expired: int) -> None:
    """Purges of as many sessions as in the small store, and of those that a store of this size loses in an hour."""
    numbers = range(place.count, place.count + expired)
    await _at_once(place.store.create(key(n), record(n, -1.0)) for n in numbers)
    await _purge(place, "purge, made together", expired)
    await purge_from_all_over(place, "purge, from all over", expired)
    await purge_from_all_over(place, "purge, an hour's worth", int(place.count * 3600 / LIFETIME))


async def purge_from_all_over(place: Place, call: str, expired: int) -> None:
    """They expire where they are, and are made again afterwards."""
    numbers = random.sample(range(place.count), expired)
    await _at_once(_expire(place.store, key(n)) for n in numbers)
    await _purge(place, call, expired)
    await _at_once(place.store.create(key(n), record(n)) for n in numbers)


async def _expire(store: SessionStore, key: str) -> None:
    old = await store.get(key)
    if old is not None:
        await store.replace(key, replace(old, version=old.version + 1, expires_at=time.time()), version=old.version)


async def _purge(place: Place, call: str, expired: int) -> None:
    start = time.perf_counter()
    if await place.store.purge() == expired:
        place.note(call, time.perf_counter() - start, expired)


async def _at_once(calls: Iterable[Awaitable[object]]) -> None:
    waiting = iter(calls)
    while await asyncio.gather(*islice(waiting, AT_ONCE)):
        pass


async def measure(few: Place, many: Place, blocks: int, calls: int) -> None:
    for turn in range(blocks + 1):
        for place in random.sample([few, many], 2):
            await block(place, calls)
            await purge_block(place, calls)
        if turn == 0:  # warming up
            few.costs.clear(), many.costs.clear()


# Engines


@contextmanager
def sqlite(count: int) -> Iterator[tuple[Place, Place]]:
    with tempfile.TemporaryDirectory() as folder:

        def place(name: str, count: int) -> Place:
            file = Path(folder) / f"{name}.db"

            async def size() -> int:
                return sum(each.stat().st_size for each in Path(folder).glob(f"{name}.db*"))  # noqa: ASYNC240

            return Place(SQLStore(f"sqlite:///{file}"), count, size)

        yield place("few", FEW), place("many", count)


@contextmanager
def postgres(count: int) -> Iterator[tuple[Place, Place]]:
    server = start_postgres()

    def place(count: int) -> Place:
        store = SQLStore(server.url, table_name=f"sessions_{secrets.token_hex(4)}")

        async def size() -> int:
            from sqlalchemy import text

            async with store.engine.connect() as connection:
                relation = {"name": store.table.name}
                return int(await connection.scalar(text("SELECT pg_total_relation_size(:name)"), relation) or 0)

        return Place(store, count, size)

    yield place(FEW), place(count)
    server.remove()


@contextmanager
def redis(count: int) -> Iterator[tuple[Place, Place]]:
    with ExitStack() as stack:

        def place(count: int) -> Place:
            server = RedisServer()
            stack.callback(server.close)

            async def size() -> int:
                with server.client() as look:
                    return int(look.info("memory")["used_memory"])

            return Place(RedisStore(server.url), count, size)

        yield place(FEW), place(count)


ENGINES = {"sqlite": (sqlite, 100_000), "postgres": (postgres, 1_000_000), "redis": (redis, 1_000_000)}


async def run(engine: str, count: int, blocks: int, calls: int) -> dict[str, Any]:
    make, _ = ENGINES[engine]
    this = psutil.Process()
    with make(count) as (few, many):
        empty = await _opened(many)
        start = time.perf_counter()
        await few.fill()
        await many.fill()
        filled = time.perf_counter() - start
        held = await many.size() - empty
        before = this.memory_info().rss
        await measure(few, many, blocks, calls)
        grown = this.memory_info().rss - before
        await few.store.aclose()
        await many.store.aclose()
    return {
        "engine": engine,
        "sessions": count,
        "seconds to fill": round(filled, 1),
        "bytes a session in the engine": round(held / count),
        "MiB that this process grew by": round(grown / 2**20, 1),
        "calls": {call: _compared(few.costs[call], many.costs[call]) for call in few.costs},
    }


async def _opened(place: Place) -> int:
    await place.store.get(key(0))
    return await place.size()


def _compared(few: list[float], many: list[float]) -> dict[str, float]:
    one, other = statistics.median(few), statistics.median(many)
    return {"µs with 1,000": round(one, 1), "µs with many": round(other, 1), "ratio": round(other / one, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("engines", nargs="*", choices=[*ENGINES, []], help="all of them by default")
    parser.add_argument("--sessions", type=int, help="how many; 1,000,000 in PostgreSQL and Redis, 100,000 in SQLite")
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200, help="calls of each kind in a block")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    measured = []
    for engine in given.engines or ENGINES:
        count = given.sessions or ENGINES[engine][1]
        figures = asyncio.run(run(engine, count, given.blocks, given.calls))
        measured.append(figures)
        print(f"\n{engine}: {count:,} sessions")
        for name, value in figures.items():
            if name not in {"engine", "sessions", "calls"}:
                print(f"  {name:32} {value:12,}")
        for call, cost in figures["calls"].items():
            verdict = "met" if cost["ratio"] <= LIMIT else "MISSED"
            print(
                f"  {call:24} {cost['µs with 1,000']:8.1f} µs -> {cost['µs with many']:8.1f} µs   {cost['ratio']:.2f}  <= {LIMIT}  {verdict}"
            )
    if given.json:
        given.json.write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
