"""What copying SQLite's log back costs a write: in a thread of its own, as `SQLStore` does it, or automatically.

``python -m tests.benchmarks.checkpoints``. Two stores that are written to in turns, one write after the other; one of
them leaves the checkpoints to SQLite, which does one within the write that fills the log. A checkpoint met a write if
the thread was at it, or if the database's file changed meanwhile, which nothing else does.
"""

import argparse
import asyncio
import random
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, quantiles

from fastapi_sessionkit.stores._sqlite import SQLiteConnections
from fastapi_sessionkit.stores.sql import SQLStore
from tests.benchmarks.scale import key, record

SESSIONS = 1_000
AT_A_TIME = 100
PAGES = 1_000
"""Between two checkpoints; SQLite's own number, and this store's."""


@dataclass
class Place:
    """A store, and the milliseconds that its writes took."""

    name: str
    file: Path
    automatic: bool
    store: SQLStore = field(init=False)
    took: list[float] = field(default_factory=list)
    met: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = SQLStore(f"sqlite:///{self.file}")
        self.versions = [1] * SESSIONS

    async def open(self) -> None:
        for n in range(SESSIONS):
            await self.store.create(key(n), record(n))
        if self.automatic:
            connections = self._connections()
            connections._start_checkpoint = lambda: None  # type: ignore[method-assign]  # noqa: SLF001
            await connections._writer.execute_fetchall(f"PRAGMA wal_autocheckpoint = {PAGES}")  # noqa: SLF001

    def _connections(self) -> SQLiteConnections:
        connections = self.store._connections  # noqa: SLF001
        if not isinstance(connections, SQLiteConnections):
            raise TypeError(connections)
        return connections

    def _is_copying(self) -> bool:
        checkpoint = self._connections()._checkpoint  # noqa: SLF001
        return checkpoint is not None and not checkpoint.done()

    async def write(self) -> None:
        n = random.randrange(SESSIONS)  # noqa: S311 (nothing secret)
        version = self.versions[n]
        self.versions[n] += 1
        new = replace(record(n), version=version + 1)
        before, busy = self.file.stat().st_mtime_ns, self._is_copying()
        start = time.perf_counter()
        if not await self.store.replace(key(n), new, version=version):
            raise RuntimeError("A write was lost")
        milliseconds = (time.perf_counter() - start) * 1e3
        self.took.append(milliseconds)
        if busy or self.file.stat().st_mtime_ns != before:
            self.met.append(milliseconds)

    def __str__(self) -> str:
        cuts = quantiles(self.took, n=1_000)
        all_of_them = f"mean {fmean(self.took):.2f}, median {cuts[499]:.2f}, p99 {cuts[989]:.1f}, p99.9 {cuts[998]:.1f}"
        low, middle, high = quantiles(self.met, n=4)
        met = f"met by a checkpoint {len(self.met)}: {middle:.1f} ({low:.1f} to {high:.1f})"
        return f"{self.name:24} ms a write: {all_of_them}, longest {max(self.took):.0f}; {met}"


async def run(writes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = [
            Place("in a thread of its own", Path(folder) / "own.db", automatic=False),
            Place("automatic", Path(folder) / "automatic.db", automatic=True),
        ]
        for place in places:
            await place.open()
        for _ in range(writes // AT_A_TIME):
            for place in random.sample(places, len(places)):
                for _ in range(AT_A_TIME):
                    await place.write()
        for place in places:
            await place.store.aclose()
            print(place)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--writes", type=int, default=20_000, help="to each of the two")
    asyncio.run(run(parser.parse_args().writes))


if __name__ == "__main__":
    main()
