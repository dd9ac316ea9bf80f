"""``SQLStore``: the store itself. How statements reach a database is in the modules beside it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ..._settings import Duration, in_seconds, require_bool, require_clock, require_whole
from ...errors import ConfigurationError
from .._explain import Explained
from ..base import SessionRecord
from .core import Connections, CoreConnections
from .engines import made_engine
from .loops import LoopConnections
from .reasons import place, reason
from .statements import FIELDS, Statements, session_table

_LONGEST_NAME = 49
"""PostgreSQL's 63 bytes for a name, without what the names of the indexes add."""


class SQLStore:
    """Keeps each session as a row; several processes and machines may share the table.

    SQLite (``sqlite+aiosqlite:///sessions.db``) is the embedded store: one file, several processes of one machine,
    and what is acknowledged is on the disk. It is switched to its write-ahead log. PostgreSQL
    (``postgresql+asyncpg://…``) is for several machines. Both are spoken to through the driver's own connections,
    which the engine makes and this store keeps; other dialects go through SQLAlchemy's Core, which takes several
    times as long a call, and are not covered by this project's tests, except psycopg's.

    Nothing is connected before the first call. Expired rows stay until ``purge`` (they are never *seen*).

    Args:
        url_or_engine: a database URL, the ``Path`` of an SQLite file, or an engine of the application's own, which
            this store then doesn't dispose of. A URL without a driver (``sqlite:///…``, ``postgres://…``) gets the
            asynchronous one, and libpq's parameters (``sslmode=require``) are translated for it.
        table_name: the table, made by this store; see ``table``.
        create_table: make the table on first use where there is none. ``False`` leaves it to migrations.
        max_connections: how many connections to PostgreSQL this store keeps at most, per process (or per event loop,
            where a process has several).
        connection_timeout: how long a call waits for one of them to be free before it fails: a ``timedelta`` or
            seconds.
        answer_timeout: how long a call then waits for PostgreSQL's answer.
        purge_batch: how many rows ``purge`` deletes at a time; no lock is held for longer than that takes.
        clock: Unix seconds. ``None`` leaves it to the kit, and is ``time.time`` until a kit sets its own. Processes
            that share a table should agree on the time to a second or so (NTP).

    Attributes:
        table: the SQLAlchemy ``Table``. For Alembic: ``store.table.to_metadata(Base.metadata)``, or
            ``target_metadata = [Base.metadata, store.table.metadata]``.
        engine: the engine in use.

    Raises:
        ConfigurationError: the URL or an option can't be used, the driver isn't installed, or it is an SQLite database
            in memory.
    """

    needs_asyncio: bool = True

    def __init__(
        self,
        url_or_engine: str | URL | Path | AsyncEngine,
        *,
        table_name: str = "sessionkit_sessions",
        create_table: bool = True,
        max_connections: int = 10,
        connection_timeout: Duration = 5.0,
        answer_timeout: Duration = 10.0,
        purge_batch: int = 1000,
        clock: Callable[[], float] | None = None,
    ) -> None:
        require_whole(max_connections, "SQLStore(max_connections=...)")
        require_whole(purge_batch, "SQLStore(purge_batch=...)")
        require_clock(clock, "SQLStore(clock=...)")
        require_bool(create_table, "SQLStore(create_table=...)")
        _require_table_name(table_name)
        self.clock: Callable[[], float] | None = clock
        made = made_engine(url_or_engine)
        self.engine: AsyncEngine = made.engine
        self._new_pool = made.new_pool
        self._through_the_core = made.behind_pgbouncer
        self.table: Table = session_table(table_name)
        self._statements = Statements(self.table, self.engine.dialect)
        self._create_table = create_table
        self._max_connections = max_connections
        self._connection_timeout = in_seconds(connection_timeout, "SQLStore(connection_timeout=...)")
        self._answer_timeout = in_seconds(answer_timeout, "SQLStore(answer_timeout=...)")
        self._purge_batch = purge_batch
        self._explained = Explained(place(self.engine.url), reason)
        self._connections = LoopConnections()
        self._openings: dict[asyncio.AbstractEventLoop, asyncio.Task[Connections]] = {}
        self._keepers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See ``ClockedStore.use_clock``."""
        if self.clock is None:
            self.clock = clock

    async def get(self, key: str) -> SessionRecord | None:
        """See ``SessionStore.get``."""
        try:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            rows = await connections.fetch(self._statements.get, {"the_key": key})
        except Exception as error:
            self._explained.restate(error)
            raise
        if not rows:
            return None
        record = SessionRecord(*rows[0])
        return record if record.expires_at > self._now() else None

    async def create(self, key: str, record: SessionRecord) -> bool:
        """See ``SessionStore.create``."""
        with self._explained:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            values = {"the_key": key, "now": self._now(), **_new_values(record)}
            try:
                await connections.count(self._statements.insert, values)
            except connections.key_taken:
                return await connections.count(self._statements.take_over, values) == 1
            return True

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        """See ``SessionStore.replace``."""
        with self._explained:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            values = {"the_key": key, "now": self._now(), "version_was": version, **_new_values(record)}
            return await connections.count(self._statements.replace, values) == 1

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        """See ``SessionStore.touch``."""
        with self._explained:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            values = {
                "the_key": key,
                "now": self._now(),
                "new_last_seen_at": last_seen_at,
                "new_expires_at": expires_at,
            }
            return await connections.count(self._statements.touch, values) == 1

    async def delete(self, key: str) -> bool:
        """See ``SessionStore.delete``."""
        with self._explained:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            return await connections.count(self._statements.delete, {"the_key": key, "now": self._now()}) == 1

    async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
        """See ``SessionStore.list_user``."""
        with self._explained:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            rows = await connections.fetch(self._statements.list_user, {"the_user": user_id, "now": self._now()})
            return [(key, SessionRecord(*record)) for key, *record in rows]

    async def delete_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """See ``SessionStore.delete_user``. Two statements instead of one where the dialect has no ``RETURNING``."""
        with self._explained:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            now = self._now()
            values = {"the_user": user_id, "now": now, **{f"keep_{n}": key for n, key in enumerate(keep)}}
            everything = self._statements.delete_user(len(keep))
            if self.engine.dialect.delete_returning:
                deleted = await connections.fetch(everything, values)
                return sum(expires_at > now and successor is None for expires_at, successor in deleted)
            ended = await connections.count(self._statements.delete_live_of_user(len(keep)), values)
            await connections.count(everything, values)
            return ended

    async def purge(self) -> int:
        """See ``SessionStore.purge``. In batches; any number of processes may purge at the same time."""
        with self._explained:
            connections = self._connections.get(asyncio.get_running_loop()) or await self._open()
            values = {"now": self._now(), "batch": self._purge_batch}
            purged = batch = await connections.count(self._statements.purge, values)
            while batch >= self._purge_batch:
                batch = await connections.count(self._statements.purge, values)
                purged += batch
            return purged

    async def aclose(self) -> None:
        """See ``SessionStore.aclose``. What other event loops use stays open, and so does an engine of your own."""
        loop = asyncio.get_running_loop()
        opening = self._openings.get(loop)
        if opening is not None:
            await asyncio.wait([opening])
        await self._connections.release(loop)
        if loop in self._keepers:
            await self._keepers.pop(loop).aclose()
        if self._new_pool is not None:
            await self.engine.dispose()

    def _now(self) -> float:
        return (self.clock or time.time)()

    async def _open(self) -> Connections:
        loop = asyncio.get_running_loop()
        opening = self._openings.get(loop)
        if opening is None:
            opening = self._openings[loop] = loop.create_task(self._connect(loop))
            opening.add_done_callback(partial(self._end_opening, loop))
        # Opened once for all who wait. It finishes even if all of them are cancelled: half an opening would leak.
        return await asyncio.shield(opening)

    def _end_opening(self, loop: asyncio.AbstractEventLoop, opening: asyncio.Task[Connections]) -> None:
        del self._openings[loop]
        if not opening.cancelled():
            opening.exception()  # those who waited were told; asyncio complains about an error that nobody retrieved

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connections:
        async with asyncio.timeout(self._connection_timeout + self._answer_timeout), self._connections.opening():
            connections = self._connections.share(loop)
            if connections is None:
                await self._prepare()
                connections = self._connections.add(loop, await self._new_connections(loop))
            await self._keep(loop)
            return connections

    async def _keep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop close what it uses when it ends: by then nobody else can, and it closes its generators."""
        for ended in [known for known in list(self._keepers) if known.is_closed()]:
            self._keepers.pop(ended, None)
        if loop not in self._keepers:
            self._keepers[loop] = self._keeper(loop)
            await anext(self._keepers[loop])

    async def _keeper(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._keepers.pop(loop, None)
            await self._connections.release(loop)

    async def _new_connections(self, loop: asyncio.AbstractEventLoop) -> Connections:
        if self._through_the_core:
            return self._core_connections()
        match self.engine.dialect.name, self.engine.dialect.driver:
            case "sqlite", "aiosqlite":
                from .sqlite import SQLiteConnections

                return await SQLiteConnections.open(self.engine)
            case "postgresql", "asyncpg":
                from .postgres import PostgresConnections

                return PostgresConnections(
                    self.engine,
                    loop,
                    hot=self._statements.get,
                    size=self._max_connections,
                    patience=self._connection_timeout,
                    answer_within=self._answer_timeout,
                )
        return self._core_connections()

    def _core_connections(self) -> CoreConnections:
        if self._new_pool is None:
            return CoreConnections(self.engine, owned=False)
        return CoreConnections(self._new_pool(), owned=True)

    async def _prepare(self) -> None:
        try:
            await self._connect_once()
        except DBAPIError:
            # Another process made the table between the look and the making. If not that, it fails again.
            await self._connect_once()

    async def _connect_once(self) -> None:
        """Make the table, and let the engine get to know its database: it can do that on one event loop only."""
        async with self.engine.connect() as connection:
            if self._create_table:
                async with connection.begin():
                    await connection.run_sync(self.table.metadata.create_all)
            # Not back into the pool of the application's engine: that may serve another event loop.
            await connection.invalidate()


def _require_table_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise ConfigurationError(
            f"SQLStore(table_name=...) is printable text of 1 to {_LONGEST_NAME} bytes, because databases cut longer "
            f"names, not {name!r}"
        )
    if "." in name:
        raise ConfigurationError(
            f"SQLStore(table_name={name!r}) is a table's name without its schema. Choose the schema by the connection's "
            "search path: postgresql://…?options=-c%20search_path%3Dweb"
        )


def _new_values(record: SessionRecord) -> dict[str, Any]:
    return {f"new_{name}": getattr(record, name) for name in FIELDS}
