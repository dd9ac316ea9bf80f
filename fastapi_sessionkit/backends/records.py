"""The records of a ``StoreBackend``: kept under signed random ids, asked of the store with care, and followed where they move."""

import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from types import NoneType
from typing import ParamSpec, TypeVar

from ..errors import StoreUnavailable
from ..stores.base import SessionRecord, SessionStore, StoreError
from .base import BackendContext, Loaded, checked_answer
from .pointers import HOPS, NOWHERE, data_before, honoured_until, pointer

logger: logging.Logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RECORD, NUMBER, LIST = (SessionRecord, NoneType), (int,), (list, tuple)
"""What a store may answer."""
ANYTHING = (int, NoneType)
"""What it may answer where nobody looks at it."""
ATTEMPTS = 100
"""How often a change is tried on a record that others change at the same time."""
_REMEMBERED = 1_024  # verified tokens, each at most a cookie long


class Records:
    """What one store keeps for one kit.

    Args:
        store: gives where they are kept, as the backend has it at the time.
        context: the kit's keys, ids and clock.
    """

    def __init__(self, store: Callable[[], SessionStore], context: BackendContext) -> None:
        self._store = store
        self._new_id = context.new_id
        self._signer = context.signer("id")
        self.clock: Callable[[], float] = context.clock
        self.key_of: Callable[[bytes], str] = lru_cache(maxsize=_REMEMBERED)(self._verified_key)

    def _verified_key(self, token: bytes) -> str:
        """The key behind a token; ``BadSignature`` for one that was not signed here."""
        return hashed(self._signer.unsign(token).decode())

    async def ask(
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

    async def get(self, key: str) -> SessionRecord | None:
        """The record of a key, a pointer too."""
        return await self.ask(RECORD, self._store().get, key)

    async def find(self, key: str, *, before: bytes | None = None, honoured: bool = False) -> Loaded | None:
        """The session of a key, wherever it has moved to, with what it was ``before``.

        With ``honoured`` it is not followed past a move whose old id serves no more.
        """
        for hops in range(HOPS):
            record = await self.get(key)
            if record is None:
                return None
            if record.successor is None:
                return Loaded(record, key, superseded=hops > 0, before=before)
            if honoured and not self.is_honoured(record):
                return None
            key = record.successor
        return None

    async def behind(self, left: SessionRecord) -> Loaded | None:
        """What a pointer leads to, for whoever comes by the old id; ``None`` where that serves no more.

        They are served in the grace, with no rights and no sign-in that came after the move.
        """
        if left.successor is None or not self.is_honoured(left):
            return None
        found = await self.find(left.successor, before=data_before(left), honoured=True)
        return found and replace(found, superseded=True, authenticated_before=left.authenticated_at)

    def is_honoured(self, pointer: SessionRecord) -> bool:
        """Whether an id that was rotated away still serves."""
        return self.clock() < honoured_until(pointer)

    async def create(self, record: SessionRecord) -> tuple[str, str]:
        """Keep a record under a new id; gives its key and its token."""
        new_id = self._new_id()
        key = hashed(new_id)
        if not await self.ask(NUMBER, self._store().create, key, record):
            raise RuntimeError("The id source gave an id that exists already: ids must be 256 random bits")
        return key, self._signer.sign(new_id).decode()

    async def create_as(self, key: str, record: SessionRecord) -> bool:
        """Keep a record under this key; ``False`` where there is one."""
        return bool(await self.ask(NUMBER, self._store().create, key, record))

    async def replace(self, found: Loaded, record: SessionRecord) -> bool:
        """Put a record in the place of another; ``False`` where that changed meanwhile."""
        return bool(await self.ask(NUMBER, self._store().replace, found.key, record, version=found.record.version))

    async def point(self, found: Loaded, successor: str, until: float) -> bool:
        """Turn a record into a pointer; ``False`` where it changed meanwhile."""
        return await self.replace(found, pointer(found.record, successor, until))

    async def forget(self, key: str) -> None:
        """Drop the record of a key."""
        await self.ask(ANYTHING, self._store().delete, key)

    @asynccontextmanager
    async def forgotten_if_it_fails(self, key: str) -> AsyncIterator[None]:
        """Forget a session that has just begun, whose id nobody has, where what must follow can't be done."""
        try:
            yield
        except StoreUnavailable:
            with suppress(StoreUnavailable):
                await self.forget(key)
            raise

    async def end(self, key: str, *, user_id: str | None = None) -> bool:
        """End the session of a key, wherever it has moved to; ``False`` when there is none, or not of that user.

        By compare-and-set, so that a rotation at the same moment can't carry it over.
        """
        for _ in range(ATTEMPTS):
            found = await self.find(key)
            if found is None or (user_id is not None and found.record.user_id != user_id):
                return False
            if await self._shut(found):
                await self.forget(found.key)
                return True
        raise contended()

    async def _shut(self, found: Loaded) -> bool:
        try:
            return await self.point(found, NOWHERE, self.clock())
        except StoreUnavailable:  # a store that is full takes no pointer, but it deletes what has not moved
            again = await self.find(found.key)
            return again is None or again.key == found.key


def hashed(text: str) -> str:
    """The key under which a store keeps what has this id or name."""
    return hashlib.sha256(text.encode()).hexdigest()


def contended() -> StoreUnavailable:
    """The error for a change that others were always quicker than."""
    logger.error("A session changed %d times while one change was being saved", ATTEMPTS)
    return StoreUnavailable()
