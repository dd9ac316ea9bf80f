"""How long a session lives: idle and absolute (OWASP Session Management Cheat Sheet, "Session Expiration")."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fastapi_sessionkit.stores.base import SessionRecord


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

    def is_alive(self, record: SessionRecord, now: float) -> bool:
        """Whether neither lifetime is over."""
        return now < record.expires_at and now < record.created_at + self.absolute

    def remaining(self, record: SessionRecord) -> float:
        """Seconds that the session can live at most, however much it is used."""
        return record.created_at + self.absolute - self.clock()

    def extended(self, record: SessionRecord, now: float) -> float:
        """When the session expires if it is used now; never earlier than before."""
        ends = record.created_at + self.absolute
        return max(record.expires_at, min(now + self._own_idle(record), ends))

    def at_its_end(self, record: SessionRecord) -> SessionRecord:
        """The record as it is after its last use."""
        ends = record.created_at + self.absolute
        return replace(record, last_seen_at=ends, expires_at=ends)

    def is_touch_due(self, record: SessionRecord, now: float) -> bool:
        """Whether the idle clock is older than a tenth of the idle lifetime."""
        unused, left = now - record.last_seen_at, record.expires_at - record.last_seen_at
        # The session's own idle lifetime is one of the two, so most of the time there is no need to ask which.
        return unused * 10 >= min(left, self.idle) and unused * 10 >= self._own_idle(record)

    def _own_idle(self, record: SessionRecord) -> float:
        cut_off = record.expires_at > record.created_at + self.absolute - 1  # a second for rounding
        return self.idle if cut_off else record.expires_at - record.last_seen_at
