"""How long a session lives: idle and absolute (OWASP Session Management Cheat Sheet, "Session Expiration")."""

from collections.abc import Callable
from dataclasses import dataclass

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

    def is_alive(self, record: SessionRecord) -> bool:
        """Whether neither lifetime is over."""
        now = self.clock()
        return now < record.expires_at and now < record.created_at + self.absolute

    def remaining(self, record: SessionRecord) -> float:
        """Seconds that the session can live at most, however much it is used."""
        return record.created_at + self.absolute - self.clock()

    def age(self, record: SessionRecord) -> float:
        """Seconds since the user signed in."""
        return self.clock() - record.authenticated_at

    def extended(self, record: SessionRecord, now: float) -> float:
        """When the session expires if it is used now; never earlier than before."""
        ends = record.created_at + self.absolute
        return max(record.expires_at, min(now + self._own_idle(record), ends))

    def is_touch_due(self, record: SessionRecord) -> bool:
        """Whether the idle clock is older than a tenth of the idle lifetime."""
        return self.clock() - record.last_seen_at >= self._own_idle(record) / 10

    def _own_idle(self, record: SessionRecord) -> float:
        cut_off = record.expires_at > record.created_at + self.absolute - 1  # a second for rounding
        return self.idle if cut_off else record.expires_at - record.last_seen_at
