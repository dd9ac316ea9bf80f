"""Why Redis failed, in words that may be logged."""

import re

from redis.exceptions import (
    BusyLoadingError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import TimeoutError as TimedOut

_MEANINGS = {
    "OOM": "it is full (OOM, maxmemory)",
    "READONLY": "it is a replica and takes no writes (READONLY)",
    "MISCONF": "it can't write to its disk (MISCONF)",
    "NOREPLICAS": "it has too few replicas to take writes (NOREPLICAS)",
    "NOPERM": "its user may not run a command, or not on these keys (NOPERM)",
    "LOADING": "it is loading its data (LOADING)",
    "BUSY": "it is busy with a script (BUSY)",
    "MASTERDOWN": "it has lost its primary (MASTERDOWN)",
    "CLUSTERDOWN": "the cluster is down (CLUSTERDOWN)",
    "TRYAGAIN": "a slot is moving (TRYAGAIN)",
    "WRONGTYPE": "a key holds something else than this library wrote (WRONGTYPE)",
}

_WRONG_DATABASE = {
    "DB index is out of range": "it has no database of that number (its setting databases, 16 unless changed)",
    "SELECT is not allowed in cluster mode": "it is a node of a cluster: write redis+cluster://, or database 0",
}
"""Replies whose text is always the same, to what is sent when a connection opens."""

_CODE = re.compile(rf"\b({'|'.join(_MEANINGS)})\b")


def reason(error: Exception) -> str:
    """What of an error may be logged. A reply's text is not: it may repeat what was sent."""
    if isinstance(error, (ConnectionLost, TimedOut, RedisClusterException, OSError)) or type(error) is RedisError:
        return _code(error) or str(error) or type(error).__name__
    return _code(error) or type(error).__name__


def _code(error: Exception) -> str | None:
    if not isinstance(error, (ResponseError, BusyLoadingError)):
        return None
    for text, meaning in _WRONG_DATABASE.items():
        if text in str(error):
            return meaning
    named = getattr(error, "status_code", None)
    found = named if named in _MEANINGS else next(iter(_CODE.findall(str(error))), None)
    return _MEANINGS.get(found) if found else None
