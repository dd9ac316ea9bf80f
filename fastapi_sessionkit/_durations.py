"""Durations as settings: a ``timedelta`` or seconds."""

import math
from datetime import timedelta

from fastapi_sessionkit.errors import ConfigurationError

Duration = timedelta | float
"""A ``timedelta``, or a number of seconds."""


def in_seconds(value: Duration, name: str, *, zero: bool = False) -> float:
    """The duration in seconds; ``ConfigurationError`` for what is no positive, finite one. ``name`` is for its text."""
    if isinstance(value, bool) or not isinstance(value, (timedelta, int, float)):
        msg = f"{name} must be a timedelta or a number of seconds, not {value!r}"
        raise ConfigurationError(msg)
    length = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not math.isfinite(length) or length < 0 or (length == 0 and not zero):
        msg = f"{name} must be {'zero or ' if zero else ''}more than zero seconds and finite, not {value!r}"
        raise ConfigurationError(msg)
    return length
