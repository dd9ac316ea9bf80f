"""Sessions in this process' memory: for tests, for development, and for one process that may forget at a restart."""

import heapq
import logging
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from .._settings import require_clock, require_whole
from .base import SessionRecord

logger: logging.Logger = logging.getLogger(__name__)

_LOOKED_AT_PER_CREATE = 4
"""How many due entries one ``create`` looks at: more than it adds, so the expired never pile up."""

_SERVERS = {"uvicorn", "uvicorn_worker", "gunicorn", "hypercorn"}


class MemoryStore:
    """Keeps at most ``max_sessions`` records in a dictionary, none of which survives the process.

    No method ever waits, so on one event loop each is atomic. Other processes, and other stores, see nothing of it:
    behind several workers a session would be there on one request and gone on the next. Where that can be known (from
    ``WEB_CONCURRENCY``, uvicorn or gunicorn) the first use logs a warning.

    When it is full it first drops what has expired, then what rotated ids left behind, then the session that went
    unseen the longest; the first time that a session ends by it is logged. A session that moves to a new id needs no
    room: what it leaves behind goes.

    Args:
        max_sessions: how many records to keep, rotated ones included. A small session takes about 1 KiB.
        clock: Unix seconds. ``None`` leaves it to the kit, and is ``time.time`` until a kit sets its own.

    Raises:
        ConfigurationError: ``max_sessions`` is no whole number of 1 or more, or ``clock`` can't be called.
    """

    def __init__(self, max_sessions: int = 100_000, clock: Callable[[], float] | None = None) -> None:
        require_whole(max_sessions, "MemoryStore(max_sessions=...)")
        require_clock(clock, "MemoryStore(clock=...)")
        self.clock: Callable[[], float] | None = clock
        self.max_sessions: int = max_sessions
        # Ordered by when a session was last seen, so the one to evict is the first.
        self._records: OrderedDict[str, SessionRecord] = OrderedDict()
        # The keys of pointers, the oldest first: they make room before any session does.
        self._pointers: dict[str, None] = {}
        self._keys_of: dict[str, set[str]] = {}
        # (when to look, key). An entry may be early (the record was touched since) or orphaned (it was deleted),
        # never late.
        self._due: list[tuple[float, str]] = []
        self._warned = False
        # Whether a call has something to do first: look around at the first one, or make room after ``create``.
        self._pending: Callable[[], None] | None = self._look_around
        # Who is to be told when the record of a key changes or goes.
        self._told: dict[str, list[Callable[[], None]]] = {}

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See ``ClockedStore.use_clock``."""
        if self.clock is None:
            self.clock = clock

    async def get(self, key: str) -> SessionRecord | None:
        """See ``SessionStore.get``. The record itself, not a copy: it is frozen."""
        if self._pending is not None:
            self._catch_up()
        record = self._records.get(key)
        if record is None or record.expires_at <= (self.clock or time.time)():
            return None
        return record

    async def create(self, key: str, record: SessionRecord) -> bool:
        """See ``SessionStore.create``."""
        self._catch_up()
        if self._live(key) is not None:
            return False
        self._forget(key)
        self._sweep(self._now(), limit=_LOOKED_AT_PER_CREATE)
        self._records[key] = record
        self._index(key, record)
        self._watch(key, record.expires_at)
        if len(self._records) > self.max_sessions:
            # Not yet: if this is the new home of a session that moves, the old one becomes a pointer next, and goes.
            self._pending = self._make_room
        return True

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        """See ``SessionStore.replace``."""
        if record.successor is None:
            self._catch_up()
        old = self._live(key)
        if old is None or old.version != version:
            return False
        self._records[key] = record
        if record.last_seen_at > old.last_seen_at:
            self._records.move_to_end(key)
        self._unindex(key, old)
        self._index(key, record)
        self._tell(key)
        if record.expires_at < old.expires_at:
            self._watch(key, record.expires_at)
        self._catch_up()
        return True

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        """See ``SessionStore.touch``."""
        self._catch_up()
        old = self._live(key)
        if old is None or old.successor is not None:
            return False
        self._records[key] = replace(
            old,
            last_seen_at=max(old.last_seen_at, last_seen_at),
            expires_at=max(old.expires_at, expires_at),
        )
        self._records.move_to_end(key)
        return True

    async def delete(self, key: str) -> bool:
        """See ``SessionStore.delete``."""
        alive = self._live(key) is not None
        self._forget(key)
        self._catch_up()
        return alive

    async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
        """See ``SessionStore.list_user``."""
        self._catch_up()
        alive = [(key, self._live(key)) for key in self._keys_of.get(user_id, ())]
        sessions = [(key, record) for key, record in alive if record is not None and record.successor is None]
        return sorted(sessions, key=lambda session: (session[1].created_at, session[0]))

    async def delete_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """See ``SessionStore.delete_user``."""
        self._catch_up()
        ended = 0
        for key in self._keys_of.get(user_id, set()).difference(keep):
            record = self._live(key)
            ended += record is not None and record.successor is None
            self._forget(key)
        return ended

    async def purge(self) -> int:
        """See ``SessionStore.purge``. Also done bit by bit as sessions are created, so calling it is optional."""
        self._catch_up()
        return self._sweep(self._now())

    async def aclose(self) -> None:
        """Does nothing: the sessions stay, because an application may be started again."""

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """See ``SessionFeed.watch``."""
        self._told.setdefault(key, []).append(changed)
        return partial(self._tell_no_more, key, changed)

    def _tell_no_more(self, key: str, changed: Callable[[], None]) -> None:
        told = self._told.get(key, [])
        if changed in told:
            told.remove(changed)
        if not told:
            self._told.pop(key, None)

    def _tell(self, key: str) -> None:
        for changed in tuple(self._told.get(key, ())):
            changed()

    def _now(self) -> float:
        return (self.clock or time.time)()

    def _live(self, key: str) -> SessionRecord | None:
        record = self._records.get(key)
        return record if record is not None and record.expires_at > self._now() else None

    def _forget(self, key: str) -> None:
        record = self._records.pop(key, None)
        if record is not None:
            self._unindex(key, record)
            self._tell(key)

    def _catch_up(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending()

    def _look_around(self) -> None:
        sign = sign_of_other_workers()
        if sign is not None:
            logger.warning(
                "MemoryStore keeps sessions in one process, and %s. A session that one worker keeps is unknown to the "
                "others, so people who are signed in get 401 now and then. Use SQLStore or RedisStore, or one worker.",
                sign,
            )

    def _index(self, key: str, record: SessionRecord) -> None:
        if record.successor is not None:
            self._pointers[key] = None
        if record.user_id is not None:
            self._keys_of.setdefault(record.user_id, set()).add(key)

    def _unindex(self, key: str, record: SessionRecord) -> None:
        self._pointers.pop(key, None)
        if record.user_id is None:
            return
        keys = self._keys_of[record.user_id]
        keys.remove(key)
        if not keys:
            del self._keys_of[record.user_id]

    def _watch(self, key: str, expires_at: float) -> None:
        heapq.heappush(self._due, (expires_at, key))
        if len(self._due) > 2 * len(self._records) + 1000:
            # Orphans outnumber the sessions; starting over costs each of them once.
            self._due = [(record.expires_at, key) for key, record in self._records.items()]
            heapq.heapify(self._due)

    def _sweep(self, now: float, limit: int | None = None) -> int:
        """Drop the expired, looking at no more than ``limit`` entries; says how many records went."""
        dropped = looked = 0
        while self._due and self._due[0][0] <= now and looked != limit:
            looked += 1
            _, key = heapq.heappop(self._due)
            record = self._records.get(key)
            if record is None:
                continue
            if record.expires_at > now:
                heapq.heappush(self._due, (record.expires_at, key))
            else:
                self._forget(key)
                dropped += 1
        return dropped

    def _make_room(self) -> None:
        self._sweep(self._now())
        while len(self._records) > self.max_sessions:
            oldest_pointer = next(iter(self._pointers), None)
            if oldest_pointer is None:
                self._warn_once()
            self._forget(oldest_pointer or next(iter(self._records)))

    def _warn_once(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "MemoryStore is full (%d sessions): from now on each sign-in ends the session that went unseen the "
                "longest. Raise max_sessions, or use SQLStore or RedisStore.",
                self.max_sessions,
            )


def sign_of_other_workers() -> str | None:
    """What says that several processes serve this application, as far as one of them can tell.

    A worker is not told how many there are. But the server that runs it is further down the stack, and knows.
    """
    count = os.environ.get("WEB_CONCURRENCY", "")
    if count.isdecimal() and int(count) > 1:
        return f"WEB_CONCURRENCY is {count}"
    frame = sys._getframe()  # noqa: SLF001 (CPython has it, and nothing breaks where it finds nothing)
    while frame.f_back is not None:
        frame = frame.f_back
        server = frame.f_locals.get("self")
        name = type(server).__module__.partition(".")[0]
        if name in _SERVERS and _workers_of(server) > 1:
            return f"{name} runs {_workers_of(server)} workers"
    return None


def _workers_of(server: object) -> int:
    """By the server's settings: ``config`` in uvicorn and hypercorn, ``cfg`` in gunicorn. Reloading takes one alone."""
    settings = [getattr(server, name, None) for name in ("config", "cfg")]
    counts = [getattr(each, "workers", 1) for each in settings if not getattr(each, "reload", False)]
    return max((count for count in counts if isinstance(count, int)), default=1)
