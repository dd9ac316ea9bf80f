"""``StoreBackend``: the token is a signed random id, the record is kept in a ``SessionStore``."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from threading import get_ident
from types import NoneType
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import anyio
from itsdangerous import BadSignature

from .._settings import offers
from ..errors import ConfigurationError, StoreUnavailable
from ..reasons import Reason
from ..stores.base import ClockedStore, SessionRecord, SessionStore, StoreError
from .base import BackendContext, Change, Loaded, Written, checked_answer, feed_of, refuse_second_kit
from .keys import is_signed
from .pointers import HOPS, NOWHERE, data_before, honoured_until, pointer
from .takeover import Takeover, Vouch, Vouched, checked_cookie, checked_vouch, vouched

logger: logging.Logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_RECORD, _NUMBER, _LIST = (SessionRecord, NoneType), (int,), (list, tuple)
_ANYTHING = (int, NoneType)  # nobody looks at it
_REMEMBERED = 1_024  # verified tokens, each at most a cookie long
_ATTEMPTS = 100
_COOKIE_LIFE = 400 * 86_400.0
"""Seconds for which browsers keep a cookie at most (RFC 6265bis, section 5.5)."""


class StoreBackend:
    """Sessions kept in a ``SessionStore``; the client holds a signed random id.

    Sessions end when they are ended, changes by requests at the same time all win, and the content never leaves the
    server. One read is one round trip to the store.

    Args:
        store: where they are kept.
        adopt: takes over sessions that another library keeps: a function, async or not, that gets the value of its cookie (a
            ``str``) and gives the session, ``None``, or, where one old session may be spelled in several ways, as a signed
            value may, a pair of the session and the old session's id. The session moves to a new id, once; after that, or
            after a sign-out, the old cookie leads nowhere.
        old_cookie: what the other library calls its cookie.
    """

    def __init__(self, store: SessionStore, *, adopt: Vouch | None = None, old_cookie: str = "session") -> None:
        if not offers(store, SessionStore):
            raise ConfigurationError(f"StoreBackend takes a SessionStore such as MemoryStore(), not {store!r}")
        self.store = store
        self.needs_asyncio: bool = getattr(store, "needs_asyncio", False)
        self._context: BackendContext | None = None
        self._takeover = None if adopt is None else _StoreTakeover(self, adopt, old_cookie)

    def bind(self, context: BackendContext) -> None:
        """Take the kit's keys; give its clock to a store that has none of its own."""
        refuse_second_kit(self, self._context)
        self._context, self._new_id, self._clock = context, context.new_id, context.clock
        self._signer = context.signer("id")
        self._most, self._evicted = context.max_sessions_per_user, context.evicted
        self._turns: WeakValueDictionary[tuple[int, str], anyio.Lock] = WeakValueDictionary()
        self._left: OrderedDict[str, Reason] = OrderedDict()  # old ids that came again, by key: what has become of them
        self._key_of = lru_cache(maxsize=_REMEMBERED)(self._verified_key)
        _give_clock(self.store, context.clock)

    def takeover(self) -> Takeover | None:
        """What takes over another library's sessions."""
        return self._takeover

    def overflow(self, record: SessionRecord) -> int:  # noqa: ARG002
        """The token holds an id only."""
        return 0

    async def load(self, token: bytes) -> Loaded | None:
        """The record behind a signed id; behind a rotated one, what it moved to."""
        try:
            key = self._key_of(token)
        except BadSignature:
            return None
        record = await self._ask(_RECORD, self.store.get, key)
        if record is None:
            return None
        if record.successor is None:
            return Loaded(record, key)
        found = None
        if self._is_honoured(record):
            found = await self._find(record.successor, before=data_before(record), honoured=True)
        if found is None:
            self._remember_left(key, "ended" if record.successor == NOWHERE else "superseded")
            return None
        return replace(found, superseded=True, authenticated_before=record.authenticated_at)

    def absence(self, token: bytes) -> Reason:
        """Why a token leads to nobody. What the store no longer has may have ended, expired or never been there."""
        try:
            key = self._key_of(token)
        except BadSignature:
            return "bad_signature" if is_signed(token) else "malformed"
        return self._left.get(key, "unknown_id")

    def _remember_left(self, key: str, reason: Reason) -> None:
        self._left[key] = reason
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)

    async def create(self, record: SessionRecord, *, replaces: Loaded | None = None) -> str:
        """Keep the record under a new id; end what it replaces, and the user's oldest sessions over the limit.

        Sign-ins of one user in one process take turns. Those at the same moment in several processes may leave as many
        sessions too many as there are other processes; the next sign-in ends them.
        """
        if self._most is None or record.user_id is None:
            return (await self._begin(record, replaces))[1]
        async with self._turn(f"user {record.user_id}"):
            others = await self._oldest_first(record.user_id, but="" if replaces is None else replaces.key)
            await self._evict(others, self._most - 1)  # first, for the clock of those there may have been ahead
            key, token = await self._begin(record, replaces)
            async with self._forgotten_if_it_fails(key):
                await self._evict(await self._oldest_first(record.user_id), self._most, spare=key)
        return token

    async def create_once(self, name: str, record: SessionRecord, *, grace: float) -> str | None:
        """Keep the record of a session that is taken over by this name, and give its token; ``None`` where it was before.

        The name leads to it for ``grace`` seconds, and is remembered as long as a browser keeps a cookie.
        """
        key, token = await self._create(record)
        try:
            done = await self._ask(_NUMBER, self.store.create, name, self._adopted(record, key, grace))
            if not done:
                await self._ask(_ANYTHING, self.store.delete, key)
                return None
        except StoreUnavailable:
            with suppress(StoreUnavailable):
                left = await self._ask(_RECORD, self.store.get, name)
                if left is not None and left.successor == key:  # it was carried out all the same
                    await self._ask(_ANYTHING, self.store.delete, name)
                await self._ask(_ANYTHING, self.store.delete, key)
            raise
        if self._most is not None and record.user_id is not None:
            with suppress(StoreUnavailable):  # the next sign-in ends those over the limit
                await self._evict(await self._oldest_first(record.user_id), self._most, spare=key)
        return token

    async def adopted(self, name: str) -> Loaded | None:
        """What was taken over by a name, while that is honoured.

        Raises:
            LookupError: nothing was.
        """
        left = await self._ask(_RECORD, self.store.get, name)
        if left is None or left.successor is None:
            raise LookupError
        if not self._is_honoured(left):
            return None
        found = await self._find(left.successor, before=data_before(left), honoured=True)
        return found and replace(found, superseded=True, authenticated_before=left.authenticated_at)

    async def end_adopted(self, name: str) -> None:
        """Nothing is taken over by this name any more; what was a moment ago, ends."""
        now = self._clock()
        nothing = SessionRecord(b"{}", None, 0, now, 0.0, now, now)
        if await self._ask(_NUMBER, self.store.create, name, self._adopted(nothing, NOWHERE, 0.0)):
            return
        left = await self._ask(_RECORD, self.store.get, name)
        if left is not None and left.successor is not None and self._is_honoured(left):
            await self.end(left.successor)

    def _adopted(self, record: SessionRecord, successor: str, grace: float) -> SessionRecord:
        now = self._clock()
        left = pointer(record, successor, now + grace)
        return replace(left, user_id=None, version=1, last_seen_at=now, expires_at=now + _COOKIE_LIFE)

    async def _begin(self, record: SessionRecord, replaces: Loaded | None) -> tuple[str, str]:
        key, token = await self._create(record)
        if replaces is not None:
            async with self._forgotten_if_it_fails(key):
                await self.delete(replaces)
        return key, token

    @asynccontextmanager
    async def _forgotten_if_it_fails(self, key: str) -> AsyncIterator[None]:
        """Forget a session that has just begun, whose id nobody has, where what must follow can't be done."""
        try:
            yield
        except StoreUnavailable:
            with suppress(StoreUnavailable):
                await self._ask(_ANYTHING, self.store.delete, key)
            raise

    async def update(self, loaded: Loaded, change: Change) -> Written | None:
        """Compare-and-set until it holds, on whatever is there by then.

        Of many changes at once all but one fail at first; those of this process then take turns, so that the number
        of attempts grows with the number of processes and not with the number of requests.
        """
        written = await self._replace(loaded, change)
        if written is not None:
            return written
        async with self._turn(loaded.key):
            for _ in range(_ATTEMPTS):
                found = await self._find(loaded.key)
                if found is None:
                    return None
                written = await self._replace(found, change)
                if written is not None:
                    return written
        raise _contended()

    async def rotate(self, loaded: Loaded, change: Change, *, grace: float) -> Written | None:
        """Write the new record, then turn the old one into a pointer to it by compare-and-set.

        Of two rotations at once one wins; the other one's change is merged into the winner's record, and its client
        keeps the token that the winner sent.
        """
        found: Loaded | None = loaded
        for _ in range(_ATTEMPTS):
            if found is None or found.superseded:
                return None if found is None else await self.update(found, change)
            moved = replace(change(found.record), version=1)
            key, token = await self._create(moved)
            if await self._moved(found, key, self._clock() + grace):
                return Written(moved, token)
            found = await self._find(found.key)
        raise _contended()

    async def _moved(self, found: Loaded, key: str, until: float) -> bool:
        """Point to where a record has moved; if that can't be, forget the new one, whose id nobody has."""
        try:
            done = await self._point(found, key, until)
        except StoreUnavailable:
            with suppress(StoreUnavailable):
                old = await self._ask(_RECORD, self.store.get, found.key)
                if old is None or old.successor != key:  # it may have been carried out all the same
                    await self._ask(_ANYTHING, self.store.delete, key)
            raise
        if not done:
            await self._ask(_ANYTHING, self.store.delete, key)
        return done

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
        """Move the record's times; the token stays."""
        await self._ask(_ANYTHING, self.store.touch, loaded.key, last_seen_at=last_seen_at, expires_at=expires_at)
        return None

    async def delete(self, loaded: Loaded) -> None:
        """End the session: by compare-and-set, so that a rotation at the same moment can't carry it over."""
        await self.end(loaded.key)

    async def end(self, key: str, *, user_id: str | None = None) -> bool:
        """End the session of a key, wherever it has moved to; ``False`` when there is none, or not of that user."""
        for _ in range(_ATTEMPTS):
            found = await self._find(key)
            if found is None or (user_id is not None and found.record.user_id != user_id):
                return False
            if await self._shut(found):
                await self._ask(_ANYTHING, self.store.delete, found.key)
                return True
        raise _contended()

    async def _shut(self, found: Loaded) -> bool:
        try:
            return await self._point(found, NOWHERE, self._clock())
        except StoreUnavailable:  # a store that is full takes no pointer, but it deletes what has not moved
            again = await self._find(found.key)
            return again is None or again.key == found.key

    async def of_user(self, user_id: str) -> list[Loaded]:
        """The live sessions of a user, oldest first."""
        return [Loaded(record, key) for key, record in await self._ask(_LIST, self.store.list_user, user_id)]

    async def end_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """End every session of a user but those of the keys in ``keep``; says how many ended.

        Looks again until none is left: to a database a session that is rotated meanwhile appears too late.
        """
        ended = await self._ask(_NUMBER, self.store.delete_user, user_id, keep=keep)
        for _ in range(_ATTEMPTS):
            if all(loaded.key in keep for loaded in await self.of_user(user_id)):
                return ended
            ended += await self._ask(_NUMBER, self.store.delete_user, user_id, keep=keep)
        raise _contended()

    async def purge(self) -> int:
        """Drop what has expired; says how many records that were."""
        return await self._ask(_NUMBER, self.store.purge)

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Tell of changes at once, where the store does; otherwise never."""
        feed = feed_of(self.store)
        return _nothing if feed is None else feed.watch(key, changed)

    async def aclose(self) -> None:
        """Close the store."""
        await self.store.aclose()

    async def _create(self, record: SessionRecord) -> tuple[str, str]:
        new_id = self._new_id()
        key = _hashed(new_id)
        if not await self._ask(_NUMBER, self.store.create, key, record):
            raise RuntimeError("The id source gave an id that exists already: ids must be 256 random bits")
        return key, self._signer.sign(new_id).decode()

    async def _oldest_first(self, user_id: str, *, but: str = "") -> list[Loaded]:
        """A user's sessions without one, in an order in which every process has them."""
        live = [loaded for loaded in await self.of_user(user_id) if loaded.key != but]
        return sorted(live, key=lambda loaded: (loaded.record.created_at, loaded.key))

    async def _evict(self, live: list[Loaded], most: int, *, spare: str = "") -> None:
        """End the first sessions over the limit, but never the one to spare."""
        for loaded in live[: max(0, len(live) - most)]:
            if loaded.key != spare and await self.end(loaded.key):
                self._evicted(loaded.record)

    async def _replace(self, found: Loaded, change: Change) -> Written | None:
        changed = replace(change(found.record), version=found.record.version + 1)
        done = await self._ask(_NUMBER, self.store.replace, found.key, changed, version=found.record.version)
        return Written(changed) if done else None

    def _is_honoured(self, pointer: SessionRecord) -> bool:
        return self._clock() < honoured_until(pointer)

    async def _find(self, key: str, *, before: bytes | None = None, honoured: bool = False) -> Loaded | None:
        """The session of a key, wherever it has moved to, and what it was when it first changed on the way.

        With ``honoured`` it is not followed past a move whose old id serves no more.
        """
        for hops in range(HOPS):
            record = await self._ask(_RECORD, self.store.get, key)
            if record is None:
                return None
            if record.successor is None:
                return Loaded(record, key, superseded=hops > 0, before=before)
            if honoured and not self._is_honoured(record):
                return None
            before = data_before(record) if before is None else before
            key = record.successor
        return None

    async def _point(self, found: Loaded, successor: str, until: float) -> bool:
        """Turn a record into a pointer, unless it changed meanwhile."""
        record = found.record
        changed = pointer(record, successor, until)
        return await self._ask(_NUMBER, self.store.replace, found.key, changed, version=record.version)

    def _turn(self, name: str) -> anyio.Lock:
        """Of those who want the same at once one goes after the other; a lock serves one event loop, and so one thread."""
        return self._turns.setdefault((get_ident(), name), anyio.Lock(fast_acquire=True))

    def _verified_key(self, token: bytes) -> str:
        return _hashed(self._signer.unsign(token).decode())

    async def _ask(
        self, kinds: tuple[type, ...], ask: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What the store answers; ``StoreUnavailable`` where it fails, or gives what it never should."""
        try:
            given = await ask(*args, **kwargs)
        except StoreUnavailable:
            raise
        except Exception as error:
            # The text of a driver's error may hold keys and values; a StoreError's and an OSError's say what failed where.
            text = str(error) if isinstance(error, StoreError | OSError) else ""  # a bare TimeoutError has none either
            logger.error("Session store failed: %s", text or type(error).__name__)  # noqa: TRY400
            raise StoreUnavailable from error
        return checked_answer(given, kinds, getattr(ask, "__name__", "a method"))


class _StoreTakeover:
    """Sessions that another library keeps, as a ``Takeover``: the store remembers which were taken over."""

    def __init__(self, backend: StoreBackend, adopt: object, cookie: object) -> None:
        self.cookie: str = checked_cookie(cookie, "StoreBackend(old_cookie=...)")
        self._vouch = checked_vouch(adopt, "StoreBackend(adopt=...)")
        self._backend = backend

    async def session_of(self, value: bytes) -> Vouched | Loaded | None:
        """What the application vouches for. For anything else the store is not asked."""
        session, name = await self._asked(value)
        if session is None:
            return None
        try:
            return await self._backend.adopted(name)
        except LookupError:
            return Vouched(session)

    async def begin(self, value: bytes, record: SessionRecord, *, grace: float) -> str | None:
        """The token of the new session."""
        session, name = await self._asked(value)
        return None if session is None else await self._backend.create_once(name, record, grace=grace)

    async def end(self, value: bytes) -> None:
        """The old session is taken over by nobody any more."""
        session, name = await self._asked(value)
        if session is not None:
            await self._backend.end_adopted(name)

    async def _asked(self, value: bytes) -> tuple[Any, str]:
        """The session that the application vouches for, and the key by which the store remembers it."""
        text = value.decode("ascii")
        answer = await vouched(self._vouch, text)
        session, name = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, text)
        return session, _hashed(f"adopted {name}")  # no id has a space in it


def _give_clock(store: Any, clock: Callable[[], float]) -> None:
    if offers(store, ClockedStore):
        store.use_clock(clock)
    elif getattr(store, "clock", clock) is None:
        store.clock = clock


def _nothing() -> None:
    """What ends a watch that never began."""


def _hashed(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _contended() -> StoreUnavailable:
    logger.error("A session changed %d times while one change was being saved", _ATTEMPTS)
    return StoreUnavailable()
