"""What a session costs a request, in one process: raw ASGI, no network, candidates in interleaved blocks.

Every figure is a cost on top of the bare endpoint, divided by what the version by hand costs there in the same block.
Time is the thread's own CPU time, so that other processes of the machine disturb less.
"""

import asyncio
import gc
import itertools
import random
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.benchmarks import apps
from tests.benchmarks.figures import Figure, spread

USERS = 4_096
"""Four times what the library remembers: whoever's turn it is was forgotten."""
COOKIE_LENGTH = 600
BEARER = "role, bearer, seen"
"""Versions before 2026-11-27 know no bearer, so ``compare`` leaves it out."""


class Timed:
    """Something that can be done again and again, and takes the thread some nanoseconds."""

    async def serve(self, requests: int) -> None:
        raise NotImplementedError

    async def run(self, requests: int) -> float:
        """What one of them took, on average."""
        gc.collect()
        start = time.thread_time_ns()
        await self.serve(requests)
        return (time.thread_time_ns() - start) / requests

    async def run_each(self, requests: int) -> list[int]:
        """What each of them took."""
        gc.collect()
        ends = [time.thread_time_ns()]
        for _ in range(requests):
            await self.serve(1)
            ends.append(time.thread_time_ns())
        return [end - start for start, end in itertools.pairwise(ends)]


@dataclass
class Candidate(Timed):
    """One application with one way to call it, and its nanoseconds a request, one for each block."""

    name: str
    client: apps.Client
    headers: Iterator[list[tuple[bytes, bytes]]] = field(init=False)
    blocks: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.headers = self.client.cycle()

    async def serve(self, requests: int) -> None:
        app, headers, path = self.client.app, self.headers, apps.PATH
        receive, scope_of = apps.receive, apps.scope_of
        for _ in range(requests):
            await app(scope_of(path, next(headers)), receive, _ignore)


async def _ignore(message: Any) -> None:
    pass


async def candidates(names: Collection[str] = (), users: int = USERS) -> dict[str, Candidate]:
    """Everything that is measured, or these only; checked to answer as it should, and warm."""
    made = {
        "bare": (apps.bare(), 1),
        "by hand": (apps.by_hand(), 1),
        "unused": (apps.unused(), 1),
        "role, cookie, seen": (apps.required(), 1),
        "role, cookie, never seen": (apps.required(), users),
        "role, memory, seen": (apps.required(in_memory=True), 1),
        "role, memory, never seen": (apps.required(in_memory=True), users),
        "gate, cookie, seen": (apps.gate(), 1),
        "gate, cookie, never seen": (apps.gate(), users),
        "gate, memory, seen": (apps.gate(in_memory=True), 1),
        "gate, memory, never seen": (apps.gate(in_memory=True), users),
        "gate, 1,000 rules": (apps.gate(rules=1_000), 1),
    }
    if not names or BEARER in names:
        made[BEARER] = (apps.with_bearer(), 1)
    found = {}
    for name in names or made:
        app, number = made[name]
        found[name] = Candidate(name, await apps.signed_in(app, number, COOKIE_LENGTH))
        await _check(found[name])
        await found[name].run(500)
    gc.collect()
    gc.freeze()  # what stands here stays: the collector's work is then each candidate's own
    return found


async def _check(candidate: Candidate) -> None:
    headers = next(candidate.headers)
    answer = await apps.call(candidate.client.app, apps.PATH, headers)
    if answer[0] != 200 or answer[2] != apps.BODY:
        raise RuntimeError(f"{candidate.name} answers {answer}")
    stranger = [item for item in headers if item[0] not in {b"cookie", b"authorization"}]
    status, _, _ = await apps.call(candidate.client.app, apps.PATH, stranger)
    expected = 200 if candidate.name in {"bare", "unused"} else 401
    if status != expected:
        raise RuntimeError(f"{candidate.name} answers {status} to nobody")


async def measure(blocks: int, requests: int) -> dict[str, Candidate]:
    found = await candidates()
    order = list(found.values())
    for _ in range(blocks):
        random.shuffle(order)
        for candidate in order:
            candidate.blocks.append(await candidate.run(requests))
    gc.unfreeze()
    return found


GROUPS = 10

TARGETS = {
    "unused": 0.1,
    "role, cookie, seen": 0.4,
    "role, bearer, seen": 0.4,
    "role, memory, seen": 0.4,
    "role, cookie, never seen": 0.8,
    "role, memory, never seen": 0.8,
    "gate, cookie, seen": 0.2,
    "gate, memory, seen": 0.2,
    "gate, cookie, never seen": 0.6,
    "gate, memory, never seen": 0.6,
}


Blocks: TypeAlias = Mapping[str, Sequence[float]]
"""Nanoseconds a request by name, one for each block."""


def ratios(
    blocks: Blocks,
    name: str,
    reference: str = "by hand",
    *,
    alone: bool = False,
    of: Callable[[Sequence[float]], float] = statistics.median,
) -> list[float]:
    """What a candidate costs over bare, relative to another, in each of ten groups of blocks.

    Args:
        blocks: what was measured.
        name: the candidate.
        reference: what it is relative to.
        alone: whether it is no whole request, so that nothing of bare's is in it.
        of: what represents a group.
    """
    whole, costs, bare = (_by_group(blocks[each], of) for each in (reference, name, "bare"))
    over = [0.0] * GROUPS if alone else bare
    return [(costs[i] - over[i]) / (whole[i] - bare[i]) for i in range(GROUPS)]


def quickest_fiftieth(times: Sequence[float]) -> float:
    """The slowest of the quickest fiftieth: what a request takes while nobody disturbs it."""
    return statistics.quantiles(times, n=50)[0]


def _by_group(blocks: Sequence[float], of: Callable[[Sequence[float]], float]) -> list[float]:
    size = max(1, len(blocks) // GROUPS)
    return [of(blocks[start : start + size]) for start in range(0, size * GROUPS, size)]


def figures(found: dict[str, Candidate]) -> list[Figure]:
    blocks = {name: candidate.blocks for name, candidate in found.items()}
    made = [spread(name, ratios(blocks, name), target) for name, target in TARGETS.items()]
    flat = spread("1,000 rules against 1: the gate", ratios(blocks, "gate, 1,000 rules", "gate, cookie, seen"), 1.25)
    return [Figure("by hand", 1.0, 1.0, 1.0, None), *made, flat]


class Decisions(Timed):
    """``RouterGuard.decide`` alone, each time on a path that it never saw."""

    def __init__(self, rules: int) -> None:
        self.guard = apps.guard_of(rules)
        self.session = apps.AppSession(**apps.user(1))
        self.numbers = itertools.count()

    async def serve(self, requests: int) -> None:
        for number in itertools.islice(self.numbers, requests):
            decision = await self.guard.decide("GET", f"{apps.PATH}/{number}", self.session)
            if not decision.allowed:
                raise RuntimeError(decision.reason)


async def deciding(blocks: int) -> Figure:
    """A decision with 1,000 rules against one with a single rule."""
    few, many = Decisions(1), Decisions(1_000)
    await few.run(1_000), await many.run(1_000)
    ratios = [await many.run(1_000) / await few.run(1_000) for _ in range(blocks)]
    return spread("1,000 rules against 1: the decision, path never seen", ratios, 1.25)


def run(blocks: int, requests: int) -> dict[str, Any]:
    """Measure everything; gives what is written as JSON."""
    found = asyncio.run(measure(blocks, requests))
    everything = [*figures(found), asyncio.run(deciding(max(5, blocks // 10)))]
    return {
        "blocks": blocks,
        "requests_a_block": requests,
        "microseconds_a_request": {name: round(statistics.median(c.blocks) / 1_000, 2) for name, c in found.items()},
        "figures": [figure.as_dict() for figure in everything],
    }
