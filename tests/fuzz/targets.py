"""What can be fuzzed, and how long one input may take."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

COVERED = {
    "cookie": ["fastapi_sessionkit.cookie", "fastapi_sessionkit._application.middleware"],
    "token": ["fastapi_sessionkit.backends", "fastapi_sessionkit._request"],
    "pattern": ["fastapi_sessionkit._paths"],
    "redirect": ["fastapi_sessionkit._paths"],
    "redis_replies": ["fastapi_sessionkit.stores.redis"],
}
"""The modules beside this one that have ``SEEDS`` and ``check``, each with the code whose branches inputs are made for."""

_LONGEST = 1.0
"""Seconds of processor time for one input. What takes quadratic time takes more for the longest of them."""
_LONG = 20_000
"""Bytes that an input is repeated to, so that a short one shows what a long one of its kind would take."""


@dataclass(frozen=True, slots=True)
class Target:
    """One of what can be fuzzed.

    Attributes:
        seeds: inputs to begin with.
        check: raises ``AssertionError`` for an input that breaks a promise.
    """

    seeds: list[bytes]
    check: Callable[[bytes], None]

    def try_out(self, data: bytes) -> None:
        """Check an input within a bound on time."""
        began = time.thread_time()
        self.check(data)
        took = time.thread_time() - began
        assert took < _LONGEST, f"{len(data)} bytes took {took:.1f} seconds"

    def try_out_with_long_one(self, data: bytes) -> None:
        """Check an input, and for some of them what it is when it is repeated behind its first byte."""
        self.try_out(data)
        if len(data) % 16 == 1:
            self.try_out(data[:1] + data[1:] * (_LONG // len(data)))


def target(name: str) -> Target:
    """The target of that name."""
    module = import_module(f"tests.fuzz.{name}")
    return Target(module.SEEDS, module.check)
