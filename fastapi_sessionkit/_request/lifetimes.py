"""How long a session lives: idle and absolute (OWASP Session Management Cheat Sheet, "Session Expiration")."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from ..errors import ConfigurationError
from ..stores.base import SessionRecord


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The kit's two lifetimes in seconds, and the clock that they are held against (Unix seconds).

    A record says when it expires; a session's own idle lifetime is what lies between its last use and that.
    """

    idle: float
    absolute: float
    clock: Callable[[], float]

    def checked_idle(self, ttl: float | None) -> float | None:
        """A session's own idle lifetime, or ``ConfigurationError`` for one that the absolute lifetime would cut short."""
        if ttl is not None and ttl > self.absolute:
            raise ConfigurationError(
                f"ttl={timedelta(seconds=ttl)} is more than the kit's absolute_timeout, {timedelta(seconds=self.absolute)}, "
                "which ends a session however much it is used: make ttl shorter, or absolute_timeout longer"
            )
        return ttl

    def new_record(self, data: bytes, user_id: str | None, idle: float | None) -> SessionRecord:
        """The record of a session that begins now; ``idle``: its own idle lifetime, the kit's if ``None``."""
        now = self.clock()
        ends = now + min(self.idle if idle is None else idle, self.absolute)
        return SessionRecord(data, user_id, 1, now, now, now, ends)

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

    def touch_due_at(self, record: SessionRecord) -> float:
        """When the idle clock will be older than a tenth of the idle lifetime."""
        return record.last_seen_at + self._own_idle(record) / 10

    def _own_idle(self, record: SessionRecord) -> float:
        cut_off = record.expires_at > record.created_at + self.absolute - 1  # a second for rounding
        return self.idle if cut_off else record.expires_at - record.last_seen_at
