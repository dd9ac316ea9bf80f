"""How long a session lives: idle and absolute (OWASP Session Management Cheat Sheet, "Session Expiration")."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi_sessionkit.stores.base import SessionRecord


@dataclass(slots=True)
class View:
    """What the kit found a record to be; times in Unix seconds.

    Attributes:
        ends_at: when the first of the two lifetimes is over, unless it is used before.
        touch_due_at: when the idle clock is older than a tenth of the idle lifetime.
        session: what requests share; ``None`` as long as each has to read one of its own.
        quiet_until: until when the session is just that, and nothing has to be looked at or done.
    """

    ends_at: float
    touch_due_at: float
    session: Any = None
    quiet_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The kit's two lifetimes in seconds, and the clock that they are held against (Unix seconds).

    A record says when it expires; a session's own idle lifetime is what lies between its last use and that.
    """

    idle: float
    absolute: float
    clock: Callable[[], float]

    def begun(self, data: bytes, user_id: str | None, idle: float) -> SessionRecord:
        """The record of a session that begins now."""
        now = self.clock()
        return SessionRecord(data, user_id, 1, now, now, now, now + min(idle, self.absolute))

    def ends_at(self, record: SessionRecord) -> float:
        """When the first of the two lifetimes is over, unless the session is used before."""
        return min(record.expires_at, record.created_at + self.absolute)

    def remaining(self, record: SessionRecord) -> float:
        """Seconds that the session can live at most, however much it is used."""
        return record.created_at + self.absolute - self.clock()

    def extended(self, record: SessionRecord, now: float) -> float:
        """When the session expires if it is used now; never earlier than before."""
        ends = record.created_at + self.absolute
        return max(record.expires_at, min(now + self._own_idle(record), ends))

    def view(self, record: SessionRecord) -> View:
        """When a record ends, and when it is to be touched before."""
        return View(self.ends_at(record), record.last_seen_at + self._own_idle(record) / 10)

    def _own_idle(self, record: SessionRecord) -> float:
        cut_off = record.expires_at > record.created_at + self.absolute - 1  # a second for rounding
        return self.idle if cut_off else record.expires_at - record.last_seen_at
