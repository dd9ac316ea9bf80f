"""``RedisStore``: the store itself. What it keeps and how commands travel is in the modules beside it."""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from ..._settings import Duration, in_seconds, require_clock
from ...errors import ConfigurationError
from .._explain import Explained
from ..base import SessionRecord, StoreError
from .feed import Feed
from .format import (
    CREATE,
    DELETE,
    FORGET,
    NO_INDEX,
    NOTE,
    REPLACE,
    SETTLED_AFTER,
    TOUCH,
    Script,
    Stored,
    command,
    head_end,
    is_settled,
    names_live_record,
    new_tag,
    packed_back,
    packed_front,
    packed_owner,
    packed_stamp,
    packed_time,
    packed_version,
    stored_in,
    tag_of,
)
from .reasons import reason
from .wire import Wire, way_to

T = TypeVar("T")

_AT_ONCE = 500
"""Commands about one user's sessions that go out together: between two such batches other requests get their turn."""

_PASSES = 100
"""How often ``delete_user`` looks for sessions that appeared meanwhile."""


class RedisStore:
    """Keeps sessions in Redis 6.2 or newer, Valkey, or a Redis Cluster.

    A read is one round trip, and so is a write that leaves the user as is. All commands that an event loop has at one
    moment share one connection a server and leave together, so a burst waits for its replies and never runs out of
    connections. Nothing is opened before the first call; after the server's restart the next call connects again.

    **Keys.** ``<prefix><key>`` holds a session, ``<prefix>user:<user_id>`` names the sessions of a user. Each has a
    time to live, so ``purge`` has nothing to do. The index may name what no longer exists, which is checked on every
    use; it never misses a session: it is written before the session is, and lives longer. Whoever adds an entry has a
    few others looked at, so that it stays about as long as the user has sessions. No command touches two keys.

    **What it needs from the server.** ``maxmemory-policy`` should be ``noeviction``: with any other, Redis drops
    sessions when it is full (people are signed out), or an index (``list_user`` and ``delete_user`` miss sessions
    until they are next extended). What is acknowledged survives a crash as far as the server's own persistence goes
    (``appendonly yes``, ``appendfsync``), and a failover as far as its replication goes.

    **Changes** are published on a channel that is called like the key, for ``session_watch``. Where an ACL forbids that
    (``&<prefix>*`` allows it), they are noticed at the next look.

    **When the connection breaks** while a command is under way, nobody knows whether it was carried out. Reads,
    ``touch`` and index entries are repeated once on a new connection. ``create``, ``replace`` and ``delete`` are not,
    and raise: repeated after its own success a compare-and-set would answer ``False``.

    Args:
        server: a URL, or an ``asyncio`` client of your own. ``redis://``, ``rediss://`` (TLS), ``unix://``,
            ``valkey://`` and ``valkeys://`` are one server; ``redis+cluster://`` and the like name any node of a
            cluster. From a client the store takes the settings and, in a cluster, the topology; it opens connections
            of its own, and ``aclose`` leaves the client alone. A client of a ``Sentinel`` follows its primary.
        prefix: what every key begins with, so that applications can share a server.
        clock: Unix seconds. ``None`` leaves it to the kit, and is ``time.time`` until a kit sets its own. Decides what
            has expired; the keys' time to live counts from it too, so it need not agree with the server's.
        timeout: how long to wait for a connection, and for a reply: a ``timedelta`` or seconds.

    Raises:
        ConfigurationError: the URL, the client or an option can't work.
    """

    needs_asyncio: bool = True

    def __init__(
        self,
        server: str | Redis | RedisCluster,
        *,
        prefix: str = "session:",
        clock: Callable[[], float] | None = None,
        timeout: Duration = 5.0,
    ) -> None:
        require_clock(clock, "RedisStore(clock=...)")
        _require_prefix(prefix)
        self.clock = clock
        self._prefix = prefix
        self._timeout = in_seconds(timeout, "RedisStore(timeout=...)")
        way = way_to(server, self._timeout)
        self._open = way.open
        self._explained = Explained(way.place, reason)
        # Connections belong to an event loop, and tests run several: one set for each.
        self._wires: dict[asyncio.AbstractEventLoop, Wire] = {}
        self._feeds: dict[asyncio.AbstractEventLoop, Feed] = {}
        self._under_way: set[asyncio.Task[Any]] = set()

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See ``ClockedStore.use_clock``."""
        if self.clock is None:
            self.clock = clock

    async def get(self, key: str) -> SessionRecord | None:
        """See ``SessionStore.get``."""
        value = await self._ask(self._prefix + key, "GET")
        if value is None:
            return None
        record = stored_in(value).record
        return record if record.expires_at > self._now() else None

    async def create(self, key: str, record: SessionRecord) -> bool:
        """See ``SessionStore.create``. Two round trips: the user's index, then the record."""
        begun = self._now()
        stamp = await self._write_index_entry(key, record, record.expires_at)
        value = packed_front(record) + stamp + packed_back(record)
        now, ttl = self._now_and_ttl(record.expires_at)
        created = bool(await self._run(CREATE, self._prefix + key, now, value, ttl))
        if self._now() - begun > SETTLED_AFTER / 2:
            # It took so long that others may have taken the entry for one that is left over.
            await self._write_index_entry(key, record, record.expires_at, Stored(record, 0.0, tag_of(stamp)))
        return created

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        """See ``SessionStore.replace``. One round trip, or three when the index has to know first."""
        stamp, old = b"", None
        answer = await self._replace(key, record, version, stamp)
        if isinstance(answer, bytes):
            old = stored_in(answer)
            stamp = await self._write_index_entry(key, record, record.expires_at, old)
            answer = await self._replace(key, record, version, stamp)
        if answer and old is not None and old.record.user_id != record.user_id:
            await self._forget(old.record.user_id, {key: old.tag})
        return bool(answer)

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        """See ``SessionStore.touch``. One round trip, or three about once in a lifetime, when the index must live on."""
        stamp = b""
        while True:
            now, ttl = self._now_and_ttl(expires_at)
            words = (now, packed_time(last_seen_at), packed_time(expires_at), stamp, ttl)
            answer = await self._run(TOUCH, self._prefix + key, *words, again=True)
            if not isinstance(answer, bytes):
                return bool(answer)
            old = stored_in(answer)
            stamp = await self._write_index_entry(key, old.record, expires_at, old)

    async def delete(self, key: str) -> bool:
        """See ``SessionStore.delete``."""
        value = await self._run(DELETE, self._prefix + key, b"")
        if value is None:
            return False
        old = stored_in(value)
        await self._forget(old.record.user_id, {key: old.tag})
        return old.record.expires_at > self._now()

    async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
        """See ``SessionStore.list_user``. Two round trips for up to 500 sessions.

        Looks again where a session has moved meanwhile, so one that is rotated doesn't escape under its new key.
        """
        tags = await self._index(user_id)
        found = await self._find(tags, user_id)
        while any(key not in found or found[key].record.successor is not None for key in tags):
            later = await self._index(user_id)
            if later.keys() <= tags.keys():
                break
            tags, found = later, await self._find(later, user_id)
        now = self._now()
        await self._forget(
            user_id, {key: tag for key, tag in tags.items() if key not in found and is_settled(tag, now)}
        )
        alive = ((key, kept.record) for key, kept in found.items() if kept.record.expires_at > now)
        return sorted(
            ((key, record) for key, record in alive if record.successor is None),
            key=lambda session: (session[1].created_at, session[0]),
        )

    async def delete_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """See ``SessionStore.delete_user``. Goes on when the caller is cancelled, so it happens whole.

        Looks again until no new session has appeared, so one that is rotated meanwhile doesn't escape under its new
        key. A sign-in that begins meanwhile may end with it or outlive it.
        """
        return await asyncio.shield(self._in_background(self._delete_user(user_id, set(keep))))

    async def purge(self) -> int:
        """Does nothing and says ``0``: Redis drops what has expired by itself."""
        return 0

    async def aclose(self) -> None:
        """Close the connections of the running event loop; a client of your own stays open."""
        loop = asyncio.get_running_loop()
        if mine := [task for task in self._under_way if task.get_loop() is loop]:
            await asyncio.wait(mine)
        feed = self._feeds.pop(loop, None)
        if feed is not None:
            await feed.aclose()
        wire = self._wires.pop(loop, None)
        if wire is not None:
            await wire.aclose()

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """See ``SessionFeed.watch``. By pub/sub, over one connection for each event loop."""
        loop = asyncio.get_running_loop()
        feed = self._feeds.get(loop)
        if feed is None:
            wire = self._wire()  # forgets those of loops that have ended
            for ended in [known for known in self._feeds if known.is_closed()]:
                del self._feeds[ended]
            feed = self._feeds[loop] = Feed(wire.connection, self._timeout)
        return feed.watch(self._prefix + key, changed)

    # The user's index

    async def _write_index_entry(
        self, key: str, record: SessionRecord, expires_at: float, old: Stored | None = None
    ) -> bytes:
        """Name the session in its user's index, and return the stamp that says so.

        The index lives twice as long as the session, so that extending the session is mostly one round trip.
        """
        if record.user_id is None:
            return NO_INDEX
        same = old is not None and old.record.user_id == record.user_id
        tag = old.tag if old is not None and same else new_tag(expires_at, self._now())
        until = expires_at + max(0.0, expires_at - self._now())
        _, ttl = self._now_and_ttl(until)
        sample = await self._run(NOTE, self._index_key(record.user_id), key, tag, ttl, again=True)
        self._tidy_later(record.user_id, sample)
        return packed_stamp(until, tag)

    def _tidy_later(self, user_id: str, sample: list[bytes]) -> None:
        """Look at entries of an index without letting anybody wait for it."""
        now = self._now()
        tags = {key.decode(): tag for key, tag in _pairs(sample) if is_settled(tag, now)}
        if tags:
            self._in_background(self._tidy(user_id, tags))

    async def _tidy(self, user_id: str, tags: dict[str, bytes]) -> None:
        """Drop those of the entries that name no live record of the user."""
        end = head_end(user_id)
        with suppress(StoreError):
            heads = await _answers_in_batches(tags, lambda key: self._ask(self._prefix + key, "GETRANGE", 0, end))
            now = self._now()
            left_over = {key: tags[key] for key, head in heads.items() if not names_live_record(head, user_id, now)}
            await self._forget(user_id, left_over)

    def _in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Go on with it even if the caller is cancelled; ``aclose`` waits for it."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _index(self, user_id: str) -> dict[str, bytes]:
        """The keys that may be the user's sessions, with their tags."""
        reply = await self._ask(self._index_key(user_id), "HGETALL")
        # A map in version 3 of the protocol, a flat list before.
        pairs: Iterable[tuple[bytes, bytes]] = reply.items() if isinstance(reply, dict) else _pairs(reply)
        return {key.decode(): tag for key, tag in pairs}

    async def _find(self, keys: Collection[str], user_id: str) -> dict[str, Stored]:
        """Those of the keys that hold a record of the user."""
        values = await _answers_in_batches(keys, lambda key: self._ask(self._prefix + key, "GET"))
        kept = {key: stored_in(value) for key, value in values.items() if value is not None}
        return {key: found for key, found in kept.items() if found.record.user_id == user_id}

    async def _delete_user(self, user_id: str, seen: set[str]) -> int:
        owner, ended = packed_owner(user_id), 0
        for _ in range(_PASSES):
            tags = {key: tag for key, tag in (await self._index(user_id)).items() if key not in seen}
            if not tags:
                break
            seen.update(tags)
            values = await _answers_in_batches(tags, lambda key: self._run(DELETE, self._prefix + key, owner))
            gone = {key: stored_in(value) for key, value in values.items() if value is not None}
            now = self._now()
            ended += sum(old.record.successor is None and old.record.expires_at > now for old in gone.values())
            spent = {key: tag for key, tag in tags.items() if is_settled(tag, now)}
            await self._forget(user_id, spent | {key: old.tag for key, old in gone.items()})
        return ended

    async def _forget(self, user_id: str | None, tags: dict[str, bytes]) -> None:
        """Tidy the index. What is left in it does no harm, so a failure here fails nothing that was done before."""
        if user_id is None or not tags:
            return
        words = [word for entry in tags.items() for word in entry]
        with suppress(StoreError):
            for start in range(0, len(words), 2 * _AT_ONCE):
                await self._run(FORGET, self._index_key(user_id), *words[start : start + 2 * _AT_ONCE], again=True)

    # Commands

    async def _replace(self, key: str, record: SessionRecord, version: int, stamp: bytes) -> Any:
        now, ttl = self._now_and_ttl(record.expires_at)
        owner, front, back = packed_owner(record.user_id), packed_front(record), packed_back(record)
        return await self._run(
            REPLACE, self._prefix + key, now, packed_version(version), owner, front, stamp, back, ttl
        )

    async def _run(self, script: Script, key: str, *words: bytes | str | int, again: bool = False) -> Any:
        wire = self._wire()
        with self._explained:
            try:
                return await wire.ask(key, script.by_hash(key, *words), again=again)
            except NoScriptError:
                # A new server, or one that was restarted: nothing has happened yet.
                return await wire.ask(key, script.in_full(key, *words), again=again)

    async def _ask(self, key: str, word: str, *arguments: int) -> Any:
        """A command that changes nothing, so it may be sent again."""
        try:
            return await self._wire().ask(key, command(word, key, *arguments), again=True)
        except Exception as error:
            self._explained.restate(error)
            raise

    def _wire(self) -> Wire:
        loop = asyncio.get_running_loop()
        wire = self._wires.get(loop)
        if wire is None:
            for ended in [known for known in list(self._wires) if known.is_closed()]:
                self._wires.pop(ended, None)
            wire = self._wires[loop] = self._open()
        return wire

    def _now(self) -> float:
        return (self.clock or time.time)()

    def _now_and_ttl(self, until: float) -> tuple[bytes, int]:
        """Now, as the scripts take it, and the milliseconds from now until then, rounded up; at least one."""
        now = self._now()
        return packed_time(now), max(1, math.ceil((until - now) * 1000))

    def _index_key(self, user_id: str) -> str:
        return f"{self._prefix}user:{user_id}"


def _require_prefix(prefix: object) -> None:
    if not isinstance(prefix, str) or not prefix.isprintable():
        raise ConfigurationError(f"RedisStore(prefix=...) is printable text such as 'shop:', not {prefix!r}")


async def _answers_in_batches(keys: Collection[str], ask: Callable[[str], Any]) -> dict[str, bytes | None]:
    values: dict[str, bytes | None] = {}
    names = list(keys)
    for start in range(0, len(names), _AT_ONCE):
        batch = names[start : start + _AT_ONCE]
        values.update(zip(batch, await asyncio.gather(*(ask(key) for key in batch)), strict=True))
    return values


def _pairs(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
