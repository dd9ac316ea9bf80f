"""What a rotated id leaves in the store: a record that holds no session of its own, only where it has moved.

A pointer stays some minutes longer than its grace. No request gets in by it any more, but one that loaded the session
before the move still finds where its change belongs.
"""

import json
from dataclasses import replace

from ..stores.base import SessionRecord

NOWHERE = "0" * 64
"""The key that a session which has ended points to."""

HOPS = 64
"""Rotations within one grace that are followed."""

_LATE = 600.0
"""Seconds for which a slow request that loaded a session before it was rotated still finds where it moved to."""


def pointer(record: SessionRecord, successor: str, until: float) -> SessionRecord:
    """What stands in the place of a record that moves to ``successor``; its old id is honoured ``until`` then.

    It says what the session was before the move: the old id keeps no more than these rights, whatever comes later.
    """
    data = json.dumps({"until": until, "before": record.data.decode("latin-1")}).encode()
    return replace(record, data=data, version=record.version + 1, expires_at=until + _LATE, successor=successor)


def honoured_until(pointer: SessionRecord) -> float:
    """Until when (Unix seconds) the rotated id still serves."""
    return _content(pointer)[0]


def data_before(pointer: SessionRecord) -> bytes:
    """The session's data before the move."""
    return _content(pointer)[1]


def _content(pointer: SessionRecord) -> tuple[float, bytes]:
    """When it ends and what was before; of one that was damaged or that somebody else wrote, what lets nobody in."""
    try:
        content = json.loads(pointer.data)
        return float(content["until"]), content["before"].encode("latin-1")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return 0.0, b""
