"""Each target of the fuzzer on its seeds and on some changed at random, so that the fuzzer works when it is wanted."""

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.fuzz.targets import COVERED, Target, target

_CHANGED = 300


@pytest.fixture(params=COVERED)
def fuzzed(request: pytest.FixtureRequest) -> Target:
    return target(request.param)


def changed(seeds: list[bytes], at_random: random.Random) -> Iterator[bytes]:
    """Seeds with a piece of another in them, a byte changed, or a part missing."""
    for _ in range(_CHANGED):
        data, other = bytearray(at_random.choice(seeds)), at_random.choice(seeds)
        for _ in range(at_random.randrange(1, 4)):
            at, end = sorted((at_random.randrange(len(data) + 1), at_random.randrange(len(data) + 1)))
            piece = other[at_random.randrange(len(other)) :][: at_random.randrange(20)]
            data[at:end] = at_random.choice([piece, bytes([at_random.randrange(256)]), bytes(data[at:end]) * 2])
        yield bytes(data)


def test_every_seed_keeps_the_promises(fuzzed: Target) -> None:
    for seed in fuzzed.seeds:
        fuzzed.try_out(seed)


def test_seeds_that_are_changed_at_random_keep_the_promises(fuzzed: Target) -> None:
    for data in changed(fuzzed.seeds, random.Random(0)):  # noqa: S311 - the same in every run
        fuzzed.try_out_with_long_one(data)


@pytest.mark.parametrize("data", [b"", b"\n", b"\x00", b"\xff" * 3, b"D", b"T", b"R", b"S"])
def test_the_least_of_inputs_keep_the_promises(fuzzed: Target, data: bytes) -> None:
    fuzzed.try_out(data)


def test_without_atheris_it_says_what_to_install() -> None:
    without = "import sys; sys.modules['atheris'] = None; import runpy; sys.argv = ['x', 'cookie']; "
    program = without + "runpy.run_module('tests.fuzz', run_name='__main__')"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "Fuzzing needs atheris: pip install -e '.[fuzz]' (Linux, Python 3.13 or older)"
    ]
