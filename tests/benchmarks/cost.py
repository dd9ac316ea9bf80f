"""What a session costs a request, in one process: raw ASGI, no network, candidates in interleaved blocks.

Every figure is a cost on top of the bare endpoint, divided by what the version by hand costs there in the same block.
Time is the thread's own CPU time, so that other processes of the machine disturb less.
"""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks import apps
from tests.benchmarks.figures import Figure, spread

USERS = 4_096
"""Four times what the library remembers: whoever's turn it is was forgotten."""
COOKIE_LENGTH = 600


@dataclass
class Candidate:
    """One application with one way to call it, and its nanoseconds a request, one for each block."""

    name: str
    client: apps.Client
    headers: Iterator[list[tuple[bytes, bytes]]] = field(init=False)
    blocks: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.headers = self.client.cycle()

    async def run(self, requests: int) -> float:
        app, headers, path = self.client.app, self.headers, apps.PATH
        receive, scope_of = apps.receive, apps.scope_of
        gc.collect()
        start = time.thread_time_ns()
        for _ in range(requests):
            await app(scope_of(path, next(headers)), receive, _ignore)
        return (time.thread_time_ns() - start) / requests


async def _ignore(message: Any) -> None:
    pass


async def candidates() -> dict[str, Candidate]:
    """Everything that is measured, checked to answer as it should."""
    made = {
        "bare": (apps.bare(), 1),
        "by hand": (apps.by_hand(), 1),
        "unused": (apps.unused(), 1),
        "role, cookie, seen": (apps.required(), 1),
        "role, cookie, never seen": (apps.required(), USERS),
        "role, memory, seen": (apps.required(in_memory=True), 1),
        "role, memory, never seen": (apps.required(in_memory=True), USERS),
        "gate, cookie, seen": (apps.gate(), 1),
        "gate, cookie, never seen": (apps.gate(), USERS),
        "gate, memory, seen": (apps.gate(in_memory=True), 1),
        "gate, memory, never seen": (apps.gate(in_memory=True), USERS),
        "gate, 1,000 rules": (apps.gate(rules=1_000), 1),
    }
    found = {}
    for name, (app, users) in made.items():
        found[name] = Candidate(name, await apps.signed_in(app, users, COOKIE_LENGTH))
        await _check(found[name])
    return found


async def _check(candidate: Candidate) -> None:
    headers = next(candidate.headers)
    answer = await apps.call(candidate.client.app, apps.PATH, headers)
    if answer[0] != 200 or answer[2] != apps.BODY:
        raise RuntimeError(f"{candidate.name} answers {answer}")
    stranger = [item for item in headers if item[0] != b"cookie"]
    status, _, _ = await apps.call(candidate.client.app, apps.PATH, stranger)
    expected = 200 if candidate.name in {"bare", "unused"} else 401
    if status != expected:
        raise RuntimeError(f"{candidate.name} answers {status} to nobody")


async def measure(blocks: int, requests: int) -> dict[str, Candidate]:
    found = await candidates()
    order = list(found.values())
    for candidate in order:
        await candidate.run(500)
    gc.collect()
    gc.freeze()  # what stands here stays: the collector's work is then each candidate's own
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
    "role, memory, seen": 0.4,
    "role, cookie, never seen": 0.8,
    "role, memory, never seen": 0.8,
    "gate, cookie, seen": 0.2,
    "gate, memory, seen": 0.2,
    "gate, cookie, never seen": 0.6,
    "gate, memory, never seen": 0.6,
}


def ratios(found: dict[str, Candidate], name: str, reference: str = "by hand") -> list[float]:
    """What a candidate costs over bare, relative to another: of ten groups of blocks, the medians' ratio in each."""
    whole, costs, bare = (_medians(found[each].blocks) for each in (reference, name, "bare"))
    return [(cost - base) / (all_of_it - base) for cost, all_of_it, base in zip(costs, whole, bare, strict=True)]


def _medians(blocks: list[float]) -> list[float]:
    size = max(1, len(blocks) // GROUPS)
    return [statistics.median(blocks[start : start + size]) for start in range(0, size * GROUPS, size)]


def figures(found: dict[str, Candidate]) -> list[Figure]:
    made = [spread(name, ratios(found, name), target) for name, target in TARGETS.items()]
    flat = spread("1,000 rules against 1: the gate", ratios(found, "gate, 1,000 rules", "gate, cookie, seen"), 1.25)
    return [Figure("by hand", 1.0, 1.0, 1.0, None), *made, flat]


def deciding(blocks: int) -> Figure:
    """``RouterGuard.decide`` alone on paths never seen before, 1,000 rules against one."""
    session = apps.AppSession(**apps.user(1))
    few, many = (_decider(apps.guard_of(rules), session) for rules in (1, 1_000))
    few(0), many(0)
    ratios = [many(block) / few(block) for block in range(1, blocks + 1)]
    return spread("1,000 rules against 1: the decision, path never seen", ratios, 1.25)


def _decider(guard: Any, session: Any) -> Callable[[int], float]:
    def run(block: int) -> float:
        paths = [f"{apps.PATH}/{block}/{number}" for number in range(1_000)]
        gc.collect()
        start = time.thread_time_ns()
        for path in paths:
            try:
                guard.decide("GET", path, session).send(None)
            except StopIteration as done:
                if not done.value.allowed:
                    raise RuntimeError(path) from None
        return time.thread_time_ns() - start

    return run


def run(blocks: int, requests: int) -> dict[str, Any]:
    """Measure everything; gives what is written as JSON."""
    found = asyncio.run(measure(blocks, requests))
    everything = [*figures(found), deciding(max(5, blocks // 10))]
    return {
        "blocks": blocks,
        "requests_a_block": requests,
        "microseconds_a_request": {name: round(statistics.median(c.blocks) / 1_000, 2) for name, c in found.items()},
        "figures": [figure.as_dict() for figure in everything],
    }
