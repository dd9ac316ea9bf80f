"""What a rotated id leaves in the store: a record that holds no session of its own, only where it has moved.

A pointer stays some minutes longer than its grace. No request gets in by it any more, but one that loaded the session
before the move still finds where its change belongs.
"""

import json
from dataclasses import replace
from typing import Any

from ..stores.base import SessionRecord

NOWHERE = "0" * 64
"""The key that a session which has ended points to."""

HOPS = 64
"""Rotations within one grace that are followed."""

_LATE = 600.0
"""Seconds for which a slow request that loaded a session before it was rotated still finds where it moved to."""


def pointer(record: SessionRecord, successor: str, until: float, *, differs: bool = False) -> SessionRecord:
    """What stands in the place of a record that moves to ``successor``; its old id is honoured ``until`` then.

    Where the session ``differs`` after the move it says what it was before: the old id keeps no more than these rights.
    """
    content: dict[str, Any] = {"until": until}
    if differs:
        content["before"] = record.data.decode()
    data = json.dumps(content).encode()
    return replace(record, data=data, version=record.version + 1, expires_at=until + _LATE, successor=successor)


def honoured_until(pointer: SessionRecord) -> float:
    """Until when (Unix seconds) the rotated id still serves."""
    until: float = json.loads(pointer.data)["until"]
    return until


def data_before(pointer: SessionRecord) -> bytes | None:
    """The session's data before the move; ``None`` where that changed nothing."""
    before: str | None = json.loads(pointer.data).get("before")
    return None if before is None else before.encode()
