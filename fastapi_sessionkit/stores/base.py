"""What a database implements to keep sessions."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from ..errors import SessionKitError


class StoreError(SessionKitError):
    """The engine is broken, can't be reached or refuses to serve. The text says which one and why, and is logged.

    That text holds no keys, no values and no secrets. A driver's own text may, so a store raises this ``from`` the
    driver's error, in words of which it knows that they are safe: "SQLite file /missing/x.db: unable to open database
    file".
    """


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session as it is kept: the application's data and the library's clocks.

    All times are Unix seconds (UTC). Its ``repr`` shows nothing of the session.

    Attributes:
        data: the session as a JSON object, UTF-8.
        user_id: whose session it is; ``None`` when the model has no ``user_id``.
        version: grows by one with every change of ``data``; what compare-and-set compares. ``touch`` leaves it.
        created_at: when this sign-in happened; the absolute lifetime counts from here.
        authenticated_at: when the user last proved who they are; ``fresh(...)`` asks this.
        last_seen_at: the idle lifetime counts from here.
        expires_at: the session is alive while the clock is below this.
        successor: the key this session moved to, set on what a rotated id leaves behind. Such a record is only a
            pointer: it holds no session, says until when the old id is honoured, and nothing extends it.
    """

    data: bytes = field(repr=False)
    user_id: str | None = field(repr=False)
    version: int
    created_at: float
    authenticated_at: float
    last_seen_at: float
    expires_at: float
    successor: str | None = None


@runtime_checkable
class SessionFeed(Protocol):
    """What a store offers besides, and a backend over it, when it can tell at once that a session has changed.

    ``session_watch`` asks for this method, never for a class, so a wrapper that passes it on keeps the ability.
    """

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` soon after the record of a key was replaced or has gone; gives what puts an end to that.

        ``touch`` and the expiry of a record need not be told. What is told may be nothing new (a connection to the engine
        broke, so something may have been missed), and may come from another thread. It is a hint: whoever watches looks
        every now and then all the same. Nothing here waits or raises.
        """
        ...


@runtime_checkable
class SessionStore(Protocol):
    """A place for records. Prove an implementation with ``fastapi_sessionkit.testing.SessionStoreContract``.

    Keys are 64 hexadecimal digits: the SHA-256 of the session's id. The id itself never reaches a store, so a leaked
    table opens no session.

    Unknown, expired and outdated are *answers*: ``None``, ``False`` or ``0``. A method raises only when the engine is
    broken or can't be reached; any exception then becomes ``StoreUnavailable`` (503) above. Of a ``StoreError`` the
    text is logged, of any other only what it is: a driver's text may hold what a session holds. An answer of another type
    than promised, such as a coroutine that nobody awaited, is ``StoreUnavailable`` too: it must not count as done.

    Every method may be called at the same time from any number of requests, tasks of one event loop. A method that is
    cancelled has either happened whole or not at all. Nothing is promised about the order of concurrent calls.

    A store whose notion of "now" can be set is a ``ClockedStore`` as well, so that one clock decides what has expired. One
    that works on asyncio alone says so, ``needs_asyncio = True``: an application on another event loop fails its start.
    """

    async def get(self, key: str) -> SessionRecord | None:
        """The record, or ``None`` when there is none or it has expired. One round trip."""
        ...

    async def create(self, key: str, record: SessionRecord) -> bool:
        """Keep a new record. ``False``, and nothing is written, when a live record has that key already."""
        ...

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        """Overwrite the record if it is alive and its version is still ``version``; atomic.

        ``False``, and nothing is written, when it is gone, expired or has moved on. Never creates.
        """
        ...

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        """Note that the session was used. Leaves data and version alone; neither time ever moves backwards.

        ``False``, and nothing is written, when the record is gone, expired, or rotated away (``successor`` is set: a
        late touch must not keep an old id alive). Never creates.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Forget the record. ``True`` when there was a live one; deleting nothing is fine."""
        ...

    async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
        """Every live session of one user as ``(key, record)``, oldest ``created_at`` first.

        Records that are rotated away are left out: their successor is the session.
        """
        ...

    async def delete_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """Forget every record of one user, rotated ones included, except the keys in ``keep``.

        Returns how many live sessions ended (pointers are not counted).
        """
        ...

    async def purge(self) -> int:
        """Drop what has expired and say how many records that were; ``0`` where the engine does it by itself."""
        ...

    async def aclose(self) -> None:
        """Let go of connections. May be called twice; a later call of any method opens them again."""
        ...


@runtime_checkable
class ClockedStore(Protocol):
    """What a store offers besides, when its notion of "now" can be set.

    The kit asks for the method and never for a class, so a wrapper that passes it on keeps the ability. Of a store without
    it the kit sets the attribute ``clock``, where there is one that is ``None``; a wrapper can't pass that on.
    """

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Go by this clock (Unix seconds), unless the store was given one of its own."""
        ...
