"""One measured ratio, its spread, and what it should be."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A median with its quartiles.

    Attributes:
        name: what was measured.
        median: the middle of all blocks.
        low: the lower quartile.
        high: the upper quartile.
        target: what it should be; ``None`` for a reference.
        at_least: whether the target is a lower bound.
    """

    name: str
    median: float
    low: float
    high: float
    target: float | None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.median >= self.target if self.at_least else self.median <= self.target

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}

    def __str__(self) -> str:
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        bound = "" if self.target is None else f"{'>=' if self.at_least else '<='} {self.target:g}"
        return f"{self.name:52} {self.median:6.3f}  ({self.low:.3f} to {self.high:.3f})  {bound:8} {verdict}"


def spread(name: str, ratios: Sequence[float], target: float | None, *, at_least: bool = False) -> Figure:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Figure(name, round(middle, 4), round(low, 4), round(high, 4), target, at_least)


def environment() -> dict[str, str]:
    packages = ("fastapi", "starlette", "pydantic", "itsdangerous", "uvicorn", "uvloop", "httptools")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
