"""Sessions that another library keeps, as a ``Takeover``: a store remembers which were taken over."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..errors import StoreUnavailable
from ..stores.base import SessionRecord
from .base import Loaded
from .pointers import NOWHERE, pointer
from .records import Records, hashed
from .takeover import Vouched, checked_cookie, checked_vouch, vouched

_COOKIE_LIFE = 400 * 86_400.0
"""Seconds for which browsers keep a cookie at most (RFC 6265bis, section 5.5)."""


class StoreTakeover:
    """Takes over each session once.

    An old session has a name, its cookie's value or the id that the application gives. Under the key of that name the store
    keeps a pointer to the new session, as long as a browser keeps a cookie.

    Args:
        adopt: the application's function of the old cookie's value.
        cookie: the name of the old cookie.
    """

    def __init__(self, adopt: object, cookie: object) -> None:
        self.cookie: str = checked_cookie(cookie, "StoreBackend(old_cookie=...)")
        self._vouch = checked_vouch(adopt, "StoreBackend(adopt=...)")
        self._records: Records
        self._limit: Callable[[SessionRecord, str], Awaitable[None]]

    def bind(self, records: Records, limit: Callable[[SessionRecord, str], Awaitable[None]]) -> None:
        """Take what keeps the records, and what ends a user's oldest sessions over the limit but the one of a key."""
        self._records, self._limit = records, limit

    async def session_of(self, value: bytes) -> Vouched | Loaded | None:
        """What the application vouches for. For anything else the store is not asked."""
        session, key = await self._asked(value)
        if session is None:
            return None
        left = await self._records.get(key)
        return Vouched(session) if left is None or left.successor is None else await self._records.behind(left)

    async def begin(self, value: bytes, record: SessionRecord, *, grace: float) -> str | None:
        """The token of the new session; the old one leads to it for ``grace`` seconds."""
        session, name = await self._asked(value)
        if session is None:
            return None
        key, token = await self._records.create(record)
        if not await self._remember(name, self._left(record, key, grace)):
            await self._records.forget(key)
            return None
        with suppress(StoreUnavailable):  # the next sign-in ends those over the limit
            await self._limit(record, key)
        return token

    async def _remember(self, name: str, left: SessionRecord) -> bool:
        """Keep where an old session went; ``False`` where it was taken over before. The new one goes if that can't be told."""
        try:
            return await self._records.create_as(name, left)
        except StoreUnavailable:
            new = str(left.successor)
            with suppress(StoreUnavailable):
                there = await self._records.get(name)
                if there is not None and there.successor == new:  # it was carried out all the same
                    await self._records.forget(name)
                await self._records.forget(new)
            raise

    async def end(self, value: bytes) -> None:
        """The old session is taken over by nobody any more; what was a moment ago, ends."""
        session, name = await self._asked(value)
        if session is None:
            return
        now = self._records.clock()
        nothing = SessionRecord(b"{}", None, 0, now, 0.0, now, now)
        if await self._records.create_as(name, self._left(nothing, NOWHERE, 0.0)):
            return
        left = await self._records.get(name)
        if left is not None and left.successor is not None and self._records.is_honoured(left):
            await self._records.end(left.successor)

    def _left(self, record: SessionRecord, successor: str, grace: float) -> SessionRecord:
        now = self._records.clock()
        left = pointer(record, successor, now + grace)
        return replace(left, user_id=None, version=1, last_seen_at=now, expires_at=now + _COOKIE_LIFE)

    async def _asked(self, value: bytes) -> tuple[Any, str]:
        """The session that the application vouches for, and the key by which the store remembers it."""
        text = value.decode("ascii")
        answer = await vouched(self._vouch, text)
        session, name = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, text)
        return session, hashed(f"adopted {name}")  # no id has a space in it
