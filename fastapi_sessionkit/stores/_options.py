"""Checks of what the stores are made with: each refuses a wrong value and says what to write instead."""

import math

from ..errors import ConfigurationError


def require_whole(value: object, name: str) -> None:
    """Refuse what is no whole number of 1 or more; ``True`` would count as one."""
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{name} is a whole number, 1 or more, not {value!r}")


def require_seconds(value: object, name: str) -> None:
    """Refuse what is no number of seconds above 0, or one that never ends."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ConfigurationError(f"{name} is a number of seconds above 0, not {value!r}")


def require_clock(value: object, name: str) -> None:
    """Refuse a clock that can't be asked, such as a time."""
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} is a function that gives Unix seconds, such as time.time, not {value!r}")
