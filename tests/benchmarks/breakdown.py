"""Where a request's time goes: what each function costs on top of the bare endpoint.

Calls and Python's own instructions are counted, so that they are the same each time. The time is an estimate: cProfile's,
less what watching adds, stretched to what a request takes unwatched and undisturbed. What a function calls in C is a
part of its own time.
"""

import asyncio
import cProfile
import gc
import statistics
import sys
import sysconfig
import timeit
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeAlias

from tests.benchmarks import cost

PACKAGE = "fastapi_sessionkit/"
ROOTS = (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), str(Path(__file__).parents[2]))
REQUESTS = 20  # in a block
SHOWN = 0.004  # less of what the version by hand costs is not worth a line
CALL, C_CALL = 25, 11  # what cProfile adds to a call, where it adds 1 to an instruction: measured with CPython 3.11
LOOP = range(10_000)


class Share(NamedTuple):
    """What a request spends in one function, or in several."""

    nanoseconds: float = 0
    calls: float = 0
    instructions: float = 0

    def plus(self, other: "Share", times: float = 1) -> "Share":
        return Share(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))


Shares: TypeAlias = dict[str, Share]


def run(name: str, blocks: int) -> None:
    """Measure and print one candidate."""
    asyncio.run(_run(name, blocks))


async def _run(name: str, blocks: int) -> None:
    found = await cost.candidates(["bare", "by hand", name])
    watched: dict[str, list[Any]] = defaultdict(list)
    for _ in range(blocks):
        for each, candidate in found.items():
            candidate.blocks += await candidate.run_each(REQUESTS)
            watched[each].append(await _watched(candidate))
    unwatched = {each: cost.quickest_fiftieth(candidate.blocks) for each, candidate in found.items()}
    shares = {each: _shares(watched[each], await instructions(found[each])) for each in (name, "bare")}
    stretch = sum(unwatched[each] for each in shares) / sum(_sum(each.values()).nanoseconds for each in shares.values())
    added = {each: share.plus(shares["bare"].get(each, Share()), -1) for each, share in shares[name].items()}
    rows = {each: share._replace(nanoseconds=share.nanoseconds * stretch) for each, share in added.items()}
    total = _sum(rows.values())._replace(nanoseconds=unwatched[name] - unwatched["bare"])
    _print(name, rows, total, unwatched["by hand"] - unwatched["bare"])


def _print(name: str, rows: Shares, total: Share, by_hand: float) -> None:
    print(f"On top of bare; 1 is what the version by hand costs there, {by_hand / 1_000:.1f} µs")
    print(f"{'':7}{'µs':>7}{'calls':>7}{'instructions':>13}")
    shown = [row for row in rows.items() if row[1].instructions and row[1].nanoseconds >= SHOWN * by_hand]
    shown.sort(key=lambda row: -row[1].nanoseconds)
    rest = total.plus(_sum(share for _, share in shown), -1)
    ours = _sum(share for function, share in rows.items() if function.startswith(PACKAGE))
    for label, share in [*shown, ("all others", rest), (f"all of {PACKAGE}", ours), (name, total)]:
        per_request = f"{share.nanoseconds / 1_000:7.2f}{share.calls:7.1f}{share.instructions:13.0f}"
        print(f"{share.nanoseconds / by_hand:7.3f}{per_request}  {label}")


def _sum(shares: Iterable[Share]) -> Share:
    total = Share()
    for share in shares:
        total = total.plus(share)
    return total


async def _watched(candidate: cost.Candidate) -> Any:
    """What cProfile saw during a block."""
    gc.collect()
    profiler = cProfile.Profile()
    profiler.enable()
    await candidate.serve(REQUESTS)
    profiler.disable()
    return profiler.getstats()


def _shares(watched: list[Any], counted: Counter[str]) -> Shares:
    """What each function spends on a request: of its time, the lower quartile of the blocks."""
    unit, times, calls = _added_by_watching(), defaultdict[str, list[float]](list), Counter[str]()
    for entries in watched:
        block: dict[str, float] = defaultdict(float)
        for entry in [entry for entry in entries if isinstance(entry.code, CodeType)]:
            name, called = _name(entry.code), entry.calls or ()
            in_c = [each for each in called if isinstance(each.code, str)]
            c_calls, all_calls = (sum(each.callcount for each in some) for some in (in_c, called))
            # The watching of a call is half in the caller's time, half in the function's.
            adds = unit * (CALL * (entry.callcount + all_calls - c_calls) / 2 + C_CALL * c_calls)
            block[name] += (entry.inlinetime + sum(each.inlinetime for each in in_c)) * 1e9 - adds
            calls[name] += entry.callcount
        for name, nanoseconds in block.items():
            times[name].append(nanoseconds - unit * counted[name])
    return {
        name: Share(
            statistics.quantiles(each, n=4)[0] / REQUESTS,
            calls[name] / len(watched) / REQUESTS,
            counted[name] / REQUESTS,
        )
        for name, each in times.items()
    }


def _added_by_watching() -> float:
    """Nanoseconds that cProfile adds to an instruction."""
    watched = partial(cProfile.Profile().runcall, _loop)
    least, more = (min(timeit.repeat(loop, number=1, repeat=20)) for loop in (_loop, watched))
    return (more - least) * 1e9 / len(LOOP) / 7  # instructions in a turn of the loop


def _loop() -> None:
    total = 0
    for number in LOOP:
        total = total + number


async def instructions(candidate: cost.Timed) -> Counter[str]:
    """How many each function runs in a block."""
    counted = Counter[str]()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            counted[_name(frame.f_code)] += 1
        return trace

    sys.settrace(trace)
    await candidate.serve(REQUESTS)
    sys.settrace(None)
    return counted


def _name(code: CodeType) -> str:
    path = code.co_filename
    for root in ROOTS:
        path = path.removeprefix(f"{root}/")
    return f"{path} {code.co_qualname}"
