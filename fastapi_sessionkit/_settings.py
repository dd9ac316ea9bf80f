"""Checks of settings: each gives the value, or raises ``ConfigurationError`` with what to write instead."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from typing_extensions import get_protocol_members

from .errors import ConfigurationError

Duration = timedelta | float
"""A ``timedelta``, or a number of seconds."""

CLOCK_SKEW = 10.0
"""Seconds that the clocks of two servers may differ: what another server dated further in the future is not believed."""

_LONGEST = timedelta(days=36_525).total_seconds()
"""100 years in seconds: a time that far from now is still one that ``datetime`` knows, which ends with 9999."""


def in_seconds(value: Duration, name: str, *, zero: bool = False) -> float:
    """The duration in seconds, more than none (or none, with ``zero``) and at most 100 years."""
    if isinstance(value, bool) or not isinstance(value, (timedelta, int, float)):
        raise ConfigurationError(f"{name} must be a timedelta or a number of seconds, not {value!r}")
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 <= length <= _LONGEST or (length == 0 and not zero):
        least = "zero or more" if zero else "more than zero"
        raise ConfigurationError(f"{name} must be {least} seconds and at most 100 years, not {value!r}")
    return float(length)


def require_bool(value: object, name: str) -> None:
    """Refuse what is not ``True`` or ``False``: the text "false", from a file, would count as true."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is True or False, not {value!r}")


def offers(value: object, protocol: type) -> bool:
    """Whether an object has every method of a protocol, looked up as a call looks it up.

    So a wrapper may pass them on by ``__getattr__``, which ``isinstance`` does not see from Python 3.12 on.
    """
    members = get_protocol_members(protocol)
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in members)


def lacking(value: object, protocol: type) -> list[str]:
    """The methods of a protocol that an object does not have, where it has most of them and so is meant to be one."""
    members = sorted(get_protocol_members(protocol))
    missing = [name for name in members if not callable(getattr(value, name, None))]
    return missing if len(missing) < len(members) / 2 else []


def require_text(value: object, name: str) -> None:
    """Refuse what is no string."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} takes strings, not {value!r}")


def require_whole(value: object, name: str) -> None:
    """Refuse what is no whole number of 1 or more; ``True`` would count as one."""
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{name} is a whole number, 1 or more, not {value!r}")


def require_clock(value: object, name: str) -> None:
    """Refuse a clock that can't be asked, such as a time. ``None`` leaves the choice to somebody else."""
    if value is not None and not answers_at_once(value):
        raise ConfigurationError(f"{name} is a function that gives Unix seconds, such as time.time, not {value!r}")


def takes(value: object, count: int) -> bool:
    """Whether it can be called with so many arguments. What has no signature to ask, such as much that is in C, passes.

    Of a function that wraps another one, one of the two has to take them.
    """
    return callable(value) and any(binds(value, count, follow_wrapped=follow) for follow in (False, True))


def is_asynchronous(value: object) -> bool:
    """Whether it is an async function, or an object that is called like one."""
    call = getattr(value, "__call__", None)  # noqa: B004
    return any(map(inspect.iscoroutinefunction, (value, call)))


def answers_at_once(value: object) -> bool:
    """Whether it is a function without arguments that nobody has to await."""
    return takes(value, 0) and not is_asynchronous(value)


def binds(function: Callable[..., Any], count: int, *, follow_wrapped: bool) -> bool:
    """Whether a function, or the one that it wraps, can be called with so many arguments. What has no signature can."""
    try:
        signature = inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def require_list(values: object, name: str, example: str) -> tuple[Any, ...]:
    """The values as a tuple. One string is no list of its letters, and a mapping would give its keys alone."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ConfigurationError(f"{name} takes a list such as {example}, not {values!r}")
    return tuple(values)
