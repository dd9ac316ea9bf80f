"""Durations as settings: a ``timedelta`` or seconds."""

from datetime import timedelta

from fastapi_sessionkit.errors import ConfigurationError

Duration = timedelta | float
"""A ``timedelta``, or a number of seconds."""

_LONGEST = timedelta(days=36_525).total_seconds()
"""100 years in seconds: a time that far from now is still one that ``datetime`` knows, which ends with 9999."""


def in_seconds(value: Duration, name: str, *, zero: bool = False) -> float:
    """The duration in seconds; ``ConfigurationError`` for none, or one over 100 years. ``name`` is for its text."""
    if isinstance(value, bool) or not isinstance(value, (timedelta, int, float)):
        msg = f"{name} must be a timedelta or a number of seconds, not {value!r}"
        raise ConfigurationError(msg)
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 <= length <= _LONGEST or (length == 0 and not zero):
        msg = f"{name} must be {'zero or ' if zero else ''}more than zero seconds and at most 100 years, not {value!r}"
        raise ConfigurationError(msg)
    return float(length)
