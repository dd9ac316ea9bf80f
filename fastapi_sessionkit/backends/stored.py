"""``StoreBackend``: the token is a signed random id, the record is kept in a ``SessionStore``."""

from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from threading import get_ident
from typing import Any
from weakref import WeakValueDictionary

import anyio
from itsdangerous import BadSignature

from .._settings import lacking, offers
from ..errors import ConfigurationError, StoreUnavailable
from ..reasons import Reason
from ..stores.base import ClockedStore, SessionRecord, SessionStore
from .adopting import StoreTakeover
from .base import BackendContext, Change, Loaded, Written, feed_of, refuse_second_kit
from .keys import is_signed
from .pointers import NOWHERE
from .records import ANYTHING, ATTEMPTS, LIST, NUMBER, RECORD, Records, contended
from .takeover import Takeover, Vouch

_REMEMBERED = 1_024  # old ids that came again


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
            missing = ", ".join(lacking(store, SessionStore))
            why = f", and this one has no {missing}" if missing else f", not {store!r}"
            raise ConfigurationError(f"StoreBackend takes a SessionStore such as MemoryStore(){why}")
        self.store = store
        self.needs_asyncio: bool = getattr(store, "needs_asyncio", False)
        self._context: BackendContext | None = None
        self._takeover = None if adopt is None else StoreTakeover(adopt, old_cookie)

    def bind(self, context: BackendContext) -> None:
        """Take the kit's keys; give its clock to a store that has none of its own."""
        refuse_second_kit(self, self._context)
        self._context, self._records = context, Records(lambda: self.store, context)
        self._most, self._evicted = context.max_sessions_per_user, context.evicted
        self._turns: WeakValueDictionary[tuple[int, str], anyio.Lock] = WeakValueDictionary()
        self._left: OrderedDict[str, Reason] = OrderedDict()  # old ids that came again, by key: what has become of them
        _give_clock(self.store, context.clock)
        if self._takeover is not None:
            self._takeover.bind(self._records, self._limit)

    def takeover(self) -> Takeover | None:
        """What takes over another library's sessions."""
        return self._takeover

    def overflow(self, record: SessionRecord) -> int:  # noqa: ARG002
        """The token holds an id only."""
        return 0

    async def load(self, token: bytes) -> Loaded | None:
        """The record behind a signed id; behind a rotated one, what it moved to."""
        try:
            key = self._records.key_of(token)
        except BadSignature:
            return None
        record = await self._records.ask(RECORD, self.store.get, key)
        if record is None:
            return None
        if record.successor is None:
            return Loaded(record, key)
        found = await self._records.behind(record)
        if found is None:
            self._remember_left(key, "ended" if record.successor == NOWHERE else "superseded")
        return found

    def absence(self, token: bytes) -> Reason:
        """Why a token leads to nobody. What the store no longer has may have ended, expired or never been there."""
        try:
            key = self._records.key_of(token)
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
            ending = "" if replaces is None else replaces.key
            others = [loaded for loaded in await self.of_user(record.user_id) if loaded.key != ending]
            await self._evict(others, self._most - 1)  # first, for the clock of those there may have been ahead
            key, token = await self._begin(record, replaces)
            async with self._records.forgotten_if_it_fails(key):
                await self._limit(record, key)
        return token

    async def _begin(self, record: SessionRecord, replaces: Loaded | None) -> tuple[str, str]:
        key, token = await self._records.create(record)
        if replaces is not None:
            async with self._records.forgotten_if_it_fails(key):
                await self.delete(replaces)
        return key, token

    async def update(self, loaded: Loaded, change: Change) -> Written | None:
        """Compare-and-set until it holds, on whatever is there by then.

        Of many changes at once all but one fail at first; those of this process then take turns, so that the number
        of attempts grows with the number of processes and not with the number of requests.
        """
        written = await self._replace(loaded, change)
        if written is not None:
            return written
        async with self._turn(loaded.key):
            for _ in range(ATTEMPTS):
                found = await self._records.find(loaded.key)
                if found is None:
                    return None
                written = await self._replace(found, change)
                if written is not None:
                    return written
        raise contended()

    async def rotate(self, loaded: Loaded, change: Change, *, grace: float) -> Written | None:
        """Write the new record, then turn the old one into a pointer to it by compare-and-set.

        Of two rotations at once one wins; the other one's change is merged into the winner's record, and its client
        keeps the token that the winner sent. One without grace merges into nothing: the session moves on from the winner.
        """
        found: Loaded | None = loaded
        for _ in range(ATTEMPTS):
            if found is None:
                return None
            if found.superseded and grace > 0:
                return await self.update(found, change)
            moved = replace(change(found.record), version=1)
            key, token = await self._records.create(moved)
            if await self._moved(found, key, self._records.clock() + grace):
                await self._limit_if_switched(found.record, moved, key)
                return Written(moved, token)
            found = await self._records.find(found.key)
        raise contended()

    async def _moved(self, found: Loaded, key: str, until: float) -> bool:
        """Point to where a record has moved; if that can't be, forget the new one, whose id nobody has."""
        try:
            done = await self._records.point(found, key, until)
        except StoreUnavailable:
            with suppress(StoreUnavailable):
                old = await self._records.get(found.key)
                if old is None or old.successor != key:  # it may have been carried out all the same
                    await self._records.forget(key)
            raise
        if not done:
            await self._records.forget(key)
        return done

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
        """Move the record's times; the token stays."""
        await self._records.ask(
            ANYTHING, self.store.touch, loaded.key, last_seen_at=last_seen_at, expires_at=expires_at
        )
        return None

    async def delete(self, loaded: Loaded) -> None:
        """End the session."""
        await self.end(loaded.key)

    async def end(self, key: str, *, user_id: str | None = None) -> bool:
        """End the session of a key, wherever it has moved to; ``False`` when there is none, or not of that user."""
        return await self._records.end(key, user_id=user_id)

    async def of_user(self, user_id: str) -> list[Loaded]:
        """The live sessions of a user, oldest first, in an order in which every process has them.

        A store that lists what is rotated away or expired too, or in another order, makes no difference.
        """
        listed = await self._records.ask(LIST, self.store.list_user, user_id)
        now = self._records.clock()
        live = [Loaded(record, key) for key, record in listed if record.successor is None and now < record.expires_at]
        return sorted(live, key=lambda loaded: (loaded.record.created_at, loaded.key))

    async def end_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """End every session of a user but those of the keys in ``keep``; says how many ended.

        Looks again until none is left: to a database a session that is rotated meanwhile appears too late.
        """
        ended = await self._records.ask(NUMBER, self.store.delete_user, user_id, keep=keep)
        for _ in range(ATTEMPTS):
            if all(loaded.key in keep for loaded in await self.of_user(user_id)):
                return ended
            ended += await self._records.ask(NUMBER, self.store.delete_user, user_id, keep=keep)
        raise contended()

    async def purge(self) -> int:
        """Drop what has expired; says how many records that were."""
        return await self._records.ask(NUMBER, self.store.purge)

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Tell of changes at once, where the store does; otherwise never."""
        feed = feed_of(self.store)
        return _nothing if feed is None else feed.watch(key, changed)

    async def aclose(self) -> None:
        """Close the store."""
        await self.store.aclose()

    async def _limit(self, record: SessionRecord, spare: str) -> None:
        """End the oldest sessions over the limit of a record's user, but never the one of a key."""
        if self._most is not None and record.user_id is not None:
            await self._evict(await self.of_user(record.user_id), self._most, spare=spare)

    async def _limit_if_switched(self, before: SessionRecord, after: SessionRecord, key: str) -> None:
        """A session that becomes another user's counts as a sign-in of theirs; where that fails, the next one ends those over."""
        if before.user_id != after.user_id:
            with suppress(StoreUnavailable):
                await self._limit(after, key)

    async def _evict(self, live: list[Loaded], most: int, *, spare: str = "") -> None:
        """End the first sessions over the limit, but never the one to spare."""
        for loaded in live[: max(0, len(live) - most)]:
            if loaded.key != spare and await self.end(loaded.key):
                self._evicted(loaded.record)

    async def _replace(self, found: Loaded, change: Change) -> Written | None:
        changed = replace(change(found.record), version=found.record.version + 1)
        if not await self._records.replace(found, changed):
            return None
        await self._limit_if_switched(found.record, changed, found.key)
        return Written(changed)

    def _turn(self, name: str) -> anyio.Lock:
        """Of those who want the same at once one goes after the other; a lock serves one event loop, and so one thread."""
        return self._turns.setdefault((get_ident(), name), anyio.Lock(fast_acquire=True))


def _give_clock(store: Any, clock: Callable[[], float]) -> None:
    if offers(store, ClockedStore):
        store.use_clock(clock)
    elif getattr(store, "clock", clock) is None:
        store.clock = clock


def _nothing() -> None:
    """What ends a watch that never began."""
