"""Backends: from the client's token to a record and back.

``CookieBackend`` is stateless: the signed token is the record. ``StoreBackend`` keeps records in a ``SessionStore``:
its token is a signed random id. Both meet ``SessionBackend``.
"""

import hashlib
import json
import logging
import struct
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol, TypeVar, runtime_checkable
from weakref import WeakValueDictionary

import anyio
from itsdangerous import BadData, BadSignature

from fastapi_sessionkit._keys import BackendContext, encryption, packed, signing, unpacked
from fastapi_sessionkit._lifetimes import View
from fastapi_sessionkit.errors import ConfigurationError, StoreUnavailable, require_bool
from fastapi_sessionkit.stores.base import SessionRecord, SessionStore

logger: logging.Logger = logging.getLogger(__name__)

T = TypeVar("T")
Change = Callable[[SessionRecord], SessionRecord]
"""Gives the record that shall stand instead. May be called again, on what is there by then."""

CLOCK_SKEW = 10.0
"""Seconds that the clocks of two servers may differ."""

_REMEMBERED = 1_024  # tokens, each at most a cookie long
_MEMORABLE = 8_192  # bytes of a record: with the number of tokens this bounds the memory
_NOWHERE = "0" * 64
_ATTEMPTS = 100
_HOPS = 64  # rotations within one grace
_LATE = 600.0
"""Seconds for which a slow request that loaded a session before it was rotated still finds where it moved to."""


@dataclass(slots=True)
class Loaded:
    """What a token led to. A backend that gives the same one again for the same record spares the kit some work.

    Attributes:
        record: the live record.
        key: where the backend keeps it; empty where the token is the record.
        superseded: the token was rotated away and is in its grace: its bearer is served, and gets no cookie.
        view: the kit's own.
    """

    record: SessionRecord
    key: str = ""
    superseded: bool = False
    view: View | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Written:
    """What was saved, and the token that the client must have from now on; ``None``: the one it has."""

    record: SessionRecord
    token: str | None = None


@runtime_checkable
class SessionBackend(Protocol):
    """Turns the client's token into a record and back. One instance belongs to one kit.

    Tokens come as raw bytes from the client: anything may be in them. A token that is unknown, expired, tampered with
    or made up is an answer, ``None``; never adopted, never an error. ``StoreUnavailable`` is raised only when the
    world is broken.
    """

    def bind(self, context: BackendContext) -> None:
        """Called once by the kit, before anything else. ``ConfigurationError`` when bound already."""
        ...

    def overflow(self, record: SessionRecord) -> int:
        """How many bytes over the limit a record would be; at most zero when it can be kept. Writes nothing."""
        ...

    async def load(self, token: bytes) -> Loaded | None:
        """The live record behind a token."""
        ...

    async def create(self, record: SessionRecord, *, replaces: Loaded | None = None) -> str:
        """Keep a new record under a new token, end the session that it replaces, and give the token."""
        ...

    async def update(self, loaded: Loaded, change: Change) -> Written | None:
        """Change a record where it is. ``None`` when it is gone: nothing is written, it never comes back."""
        ...

    async def rotate(self, loaded: Loaded, change: Change, *, grace: float) -> Written | None:
        """Change a record and move it to a new token; the old one still serves for ``grace`` seconds."""
        ...

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
        """Note that the session was used; gives the token to send where the token carries the time."""
        ...

    async def delete(self, loaded: Loaded) -> None:
        """End a session, wherever it has moved to meanwhile."""
        ...

    async def aclose(self) -> None:
        """Let go of connections; a later call opens them again."""
        ...


class CookieBackend:
    """The cookie is the session: signed, stateless, nothing to run.

    What it can't do, because nothing is kept on the server: end a session before it expires (a copied cookie works
    after sign-out), list or revoke sessions, or merge changes of two requests at once (the last cookie wins). For
    these use ``StoreBackend``.

    The client can read the content unless ``encrypt`` is true: AES-256-GCM, needs the extra ``encryption``.
    """

    def __init__(self, *, encrypt: bool = False) -> None:
        require_bool(encrypt, "CookieBackend(encrypt=...)")
        self._encrypt = encrypt
        self._context: BackendContext | None = None

    def bind(self, context: BackendContext) -> None:
        """Take the kit's keys."""
        _bind_once(self, self._context)
        self._context, self._clock = context, context.clock
        self._seal, unseal = encryption(context) if self._encrypt else signing(context)
        self._unseal = lru_cache(maxsize=_REMEMBERED)(lambda token: Loaded(unpacked(unseal(token))))

    def overflow(self, record: SessionRecord) -> int:
        """The bytes over the cookie's limit."""
        context = _bound(self._context)
        return context.cookie_size(self._seal(packed(record))) - context.cookie_limit

    async def load(self, token: bytes) -> Loaded | None:
        """The record in the token, when it is authentic and alive."""
        try:
            loaded = self._unseal(token)
        except (BadData, ValueError, struct.error):
            return None
        now, record = self._clock(), loaded.record
        return loaded if now < record.expires_at and record.last_seen_at <= now + CLOCK_SKEW else None

    async def create(self, record: SessionRecord, *, replaces: Loaded | None = None) -> str:  # noqa: ARG002
        """The record as a token."""
        return self._seal(packed(record))

    async def update(self, loaded: Loaded, change: Change) -> Written | None:
        """The changed record as a token."""
        record = change(loaded.record)
        return Written(record, self._seal(packed(record)))

    async def rotate(self, loaded: Loaded, change: Change, *, grace: float) -> Written | None:  # noqa: ARG002
        """The changed record as a token; the old one stays valid until it expires."""
        return await self.update(loaded, change)

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
        """The record with its new times as a token."""
        return self._seal(packed(replace(loaded.record, last_seen_at=last_seen_at, expires_at=expires_at)))

    async def delete(self, loaded: Loaded) -> None:
        """Nothing is kept, so there is nothing to end."""

    async def aclose(self) -> None:
        """Nothing is open."""


class StoreBackend:
    """Sessions kept in a ``SessionStore``; the client holds a signed random id.

    Sessions end when they are ended, changes by requests at the same time all win, and the content never leaves the
    server. One read is one round trip to the store.
    """

    def __init__(self, store: SessionStore) -> None:
        if isinstance(store, type) or not isinstance(store, SessionStore):
            msg = f"StoreBackend takes a SessionStore such as MemoryStore(), not {store!r}"
            raise ConfigurationError(msg)
        self.store = store
        self._context: BackendContext | None = None

    def bind(self, context: BackendContext) -> None:
        """Take the kit's keys; give its clock to a store that has none of its own."""
        _bind_once(self, self._context)
        self._context, self._new_id, self._clock = context, context.new_id, context.clock
        self._signer = context.signer("id")
        self._most = context.max_sessions_per_user
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        self._place_of = lru_cache(maxsize=_REMEMBERED)(self._verified)
        if getattr(self.store, "clock", context) is None:
            self.store.clock = context.clock  # type: ignore[attr-defined]

    def overflow(self, record: SessionRecord) -> int:  # noqa: ARG002
        """The cookie holds an id only."""
        return 0

    async def load(self, token: bytes) -> Loaded | None:
        """The record behind a signed id; behind a rotated one, what it moved to."""
        try:
            place = self._place_of(token)
        except BadSignature:
            return None
        record = await self._ask(self.store.get(place.key))
        if record is None:
            return None
        if record.successor is None:
            return place.found_again(record)
        found = await self._find(record.successor) if self._clock() < _honoured_until(record) else None
        return None if found is None else replace(found, superseded=True)

    async def create(self, record: SessionRecord, *, replaces: Loaded | None = None) -> str:
        """Keep the record under a new id; end what it replaces, and the user's oldest sessions over the limit."""
        _, token = await self._create(record)
        if replaces is not None:
            await self.delete(replaces)
        if self._most is not None and record.user_id is not None:
            await self._evict(record.user_id, self._most)
        return token

    async def update(self, loaded: Loaded, change: Change) -> Written | None:
        """Compare-and-set until it holds, on whatever is there by then.

        Of many changes at once all but one fail at first; those of this process then take turns, so that the number
        of attempts grows with the number of processes and not with the number of requests.
        """
        written = await self._replace(loaded, change)
        if written is not None:
            return written
        async with self._turns.setdefault(loaded.key, anyio.Lock()):
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
        keeps the cookie that the winner sent.
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
                old = await self._ask(self.store.get(found.key))
                if old is None or old.successor != key:  # it may have been carried out all the same
                    await self._ask(self.store.delete(key))
            raise
        if not done:
            await self._ask(self.store.delete(key))
        return done

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
        """Move the record's times; the cookie stays."""
        await self._ask(self.store.touch(loaded.key, last_seen_at=last_seen_at, expires_at=expires_at))
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
                await self._ask(self.store.delete(found.key))
                return True
        raise _contended()

    async def _shut(self, found: Loaded) -> bool:
        try:
            return await self._point(found, _NOWHERE, self._clock())
        except StoreUnavailable:  # a store that is full takes no pointer, but it deletes what has not moved
            again = await self._find(found.key)
            return again is None or again.key == found.key

    async def of_user(self, user_id: str) -> list[Loaded]:
        """The live sessions of a user, oldest first."""
        return [Loaded(record, key) for key, record in await self._ask(self.store.list_user(user_id))]

    async def end_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """End every session of a user but those of the keys in ``keep``; says how many ended.

        Looks again until none is left: to a database a session that is rotated meanwhile appears too late.
        """
        ended = await self._ask(self.store.delete_user(user_id, keep=keep))
        for _ in range(_ATTEMPTS):
            if all(loaded.key in keep for loaded in await self.of_user(user_id)):
                return ended
            ended += await self._ask(self.store.delete_user(user_id, keep=keep))
        raise _contended()

    async def purge(self) -> int:
        """Drop what has expired; says how many records that were."""
        return await self._ask(self.store.purge())

    async def aclose(self) -> None:
        """Close the store."""
        await self.store.aclose()

    async def _create(self, record: SessionRecord) -> tuple[str, str]:
        new_id = self._new_id()
        key = _hashed(new_id)
        if not await self._ask(self.store.create(key, record)):
            msg = "The id source gave an id that exists already: ids must be 256 random bits"
            raise RuntimeError(msg)
        return key, self._signer.sign(new_id).decode()

    async def _evict(self, user_id: str, most: int) -> None:
        """Whoever evicts last has seen every session that was there, so of sign-ins at once the right ones stay."""
        live = sorted(await self.of_user(user_id), key=lambda loaded: (loaded.record.created_at, loaded.key))
        for loaded in live[:-most]:
            await self.end(loaded.key)

    async def _replace(self, found: Loaded, change: Change) -> Written | None:
        changed = replace(change(found.record), version=found.record.version + 1)
        done = await self._ask(self.store.replace(found.key, changed, version=found.record.version))
        return Written(changed) if done else None

    async def _find(self, key: str) -> Loaded | None:
        for hops in range(_HOPS):
            record = await self._ask(self.store.get(key))
            if record is None:
                return None
            if record.successor is None:
                return Loaded(record, key, superseded=hops > 0)
            key = record.successor
        return None

    async def _point(self, found: Loaded, successor: str, until: float) -> bool:
        """Turn a record into a pointer, unless it changed meanwhile. Its data says until when its id is honoured."""
        record, data = found.record, json.dumps({"until": until}).encode()
        version, expires_at = record.version + 1, until + _LATE
        pointer = replace(record, data=data, version=version, expires_at=expires_at, successor=successor)
        return await self._ask(self.store.replace(found.key, pointer, version=record.version))

    def _verified(self, token: bytes) -> "_Place":
        return _Place(_hashed(self._signer.unsign(token).decode()))

    async def _ask(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except StoreUnavailable:
            raise
        except Exception as error:
            # The text of a driver's error may hold keys and values; an OSError's says where the engine was looked for.
            text = str(error) if isinstance(error, OSError) else ""  # a bare TimeoutError has none either
            logger.error("Session store failed: %s", text or type(error).__name__)  # noqa: TRY400
            raise StoreUnavailable from error


class _Place:
    """Where an authentic token leads, and what was there the last time."""

    __slots__ = ("_found", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self._found: Loaded | None = None

    def found_again(self, record: SessionRecord) -> Loaded:
        """The same as the last time, if the record still is."""
        found = self._found
        if found is None or (found.record is not record and found.record != record):
            found = Loaded(record, self.key)
            self._found = found if len(record.data) <= _MEMORABLE else None
        return found


def _honoured_until(pointer: SessionRecord) -> float:
    until: float = json.loads(pointer.data)["until"]
    return until


def _hashed(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _contended() -> StoreUnavailable:
    logger.error("A session changed %d times while one change was being saved", _ATTEMPTS)
    return StoreUnavailable()


def _bind_once(backend: object, context: BackendContext | None) -> None:
    if context is not None:
        msg = f"This {type(backend).__name__} belongs to another SessionKit already: give each kit one of its own"
        raise ConfigurationError(msg)


def _bound(context: BackendContext | None) -> BackendContext:
    if context is None:
        msg = "A backend works once it is given to a SessionKit: SessionKit(..., backend=backend)"
        raise ConfigurationError(msg)
    return context
