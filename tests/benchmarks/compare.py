"""What changed since a commit, with the candidates of ``cost`` measured in both versions of the package.

Two processes take turns, block by block in a random order: one has the package as it stands in the commit, the other as
in the working tree. The benchmark's code is the working tree's in both. Each candidate is a ratio to what the version by
hand costs in the same process. The quickest fiftieth of all requests counts: on a busy machine medians of blocks differ
by 0.1 where nothing changed, these by 0.01. Several pairs of processes follow each other, since where one happens to lie
in memory makes it a little faster or slower for as long as it lives.
"""

import asyncio
import io
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import fastapi_sessionkit
from tests.benchmarks import breakdown, cost
from tests.benchmarks.figures import spread

ROOT = Path(__file__).parents[2]
PACKAGE = fastapi_sessionkit.__name__
ALLOWED = 0.02
USERS = 1_536  # half as many again as are remembered: each pair signs all of them in
PAIRS = cost.GROUPS // 2
DECISIONS = {"a decision, 1 rule, new path": 1, "a decision, 1,000 rules, new path": 1_000}
COSTS = [*(name for name in cost.TARGETS if name != cost.BEARER), "gate, 1,000 rules"]
ROWS = (*COSTS, *DECISIONS)


@dataclass
class Version:
    """The package in a folder, and of each candidate the nanoseconds of all requests and the instructions of one."""

    folder: Path
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    instructions: dict[str, float] = field(default_factory=dict)


def run(revision: str, blocks: int, requests: int) -> bool:
    """Measure and print both versions, a row a candidate; gives whether none became slower than is allowed."""
    before, after = measure(revision, max(1, blocks // PAIRS), requests)
    print("1 is what the version by hand costs over bare in the same process; instructions are Python's own")
    print(f"{'':33} {'before':>7} {'after':>7} {'change':>7}  {'(middle half)':18} instructions")
    return all(list(map(partial(_print_row, before, after), ROWS)))


def _print_row(before: Version, after: Version, name: str) -> bool:
    old, new = (
        cost.ratios(version.times, name, alone=name in DECISIONS, of=cost.quickest_fiftieth)
        for version in (before, after)
    )
    change = spread(name, [late - early for early, late in zip(old, new, strict=True)], ALLOWED)
    certain = change.high <= ALLOWED or change.low > ALLOWED
    verdict = ("no slower" if change.met else "SLOWER") + ("" if certain else ", not certain")
    middle = f"({change.low:+.3f} to {change.high:+.3f})"
    instructions = f"{before.instructions[name]:5.0f} {after.instructions[name] - before.instructions[name]:+5.0f}"
    print(
        f"{name:33} {median(old):7.3f} {median(new):7.3f} {change.median:+7.3f}  {middle:18} {instructions}  {verdict}"
    )
    return change.met is True


def measure(revision: str, blocks: int, requests: int) -> tuple[Version, Version]:
    """Both versions, in so many blocks of each pair of processes."""
    with TemporaryDirectory() as folder:
        before, after = Version(Path(folder, "before")), Version(Path(folder, "after"))
        _unpack(revision, before.folder)
        shutil.copytree(ROOT / PACKAGE, after.folder / PACKAGE)  # what is edited meanwhile doesn't count
        for seed in range(PAIRS):
            with _worker(before, seed, requests) as one, _worker(after, seed, requests) as other:
                _take_turns([(one, before), (other, after)], blocks)
    return before, after


def _unpack(revision: str, folder: Path) -> None:
    command = ["git", "-C", str(ROOT), "archive", revision, PACKAGE]
    packed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


Worker = subprocess.Popen[str]


@contextmanager
def _worker(version: Version, seed: int, requests: int) -> Iterator[Worker]:
    """A process that imports this version, and measures a block of each candidate that it is told."""
    # -P, or the package would be the one in the current folder.
    command = [sys.executable, "-P", "-m", "tests.benchmarks.compare", str(version.folder), str(requests)]
    environment = {**os.environ, "PYTHONPATH": f"{version.folder}{os.pathsep}{ROOT}", "PYTHONHASHSEED": str(seed)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield process


def _take_turns(workers: list[tuple[Worker, Version]], blocks: int) -> None:
    for worker, version in workers:
        version.instructions = _answer(worker)
    for _ in range(blocks):
        for name in random.sample(["bare", "by hand", *ROWS], 2 + len(ROWS)):
            for worker, version in random.sample(workers, len(workers)):
                print(name, file=worker.stdin, flush=True)
                version.times[name] += _answer(worker)


def _answer(worker: Worker) -> Any:
    line = worker.stdout.readline() if worker.stdout else ""
    if not line:
        raise RuntimeError("A process that measures has ended")
    return json.loads(line)


async def _work(folder: Path, requests: int) -> None:
    if not Path(fastapi_sessionkit.__file__).is_relative_to(folder):
        raise RuntimeError(f"{PACKAGE} was imported from {fastapi_sessionkit.__file__}, not from {folder}")
    logging.getLogger(PACKAGE).setLevel(logging.ERROR)
    found: dict[str, cost.Timed] = {**await cost.candidates(["bare", "by hand", *COSTS], users=USERS)}
    for name, rules in DECISIONS.items():
        found[name] = cost.Decisions(rules)
        await found[name].run(2_000)
    counts = {name: (await breakdown.instructions(each)).total() / breakdown.REQUESTS for name, each in found.items()}
    print(json.dumps(counts), flush=True)
    for line in sys.stdin:
        print(await found[line.strip()].run_each(requests), flush=True)


if __name__ == "__main__":
    asyncio.run(_work(Path(sys.argv[1]), int(sys.argv[2])))
