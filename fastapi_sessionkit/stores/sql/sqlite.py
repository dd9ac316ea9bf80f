"""SQLite on its driver's own connections: a read costs one hop to a thread and back."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from ...errors import ConfigurationError
from .statements import Row, Statement, Values

logger: logging.Logger = logging.getLogger(__name__)


_SETTLE_SECONDS = 10.0
"""More than the driver's ``timeout``, for which a write waits for those of other processes."""

_LOOK_SECONDS = 0.001


class HiddenValues(tuple[Any, ...]):
    """A statement's arguments, of which only the number is printed: aiosqlite logs its calls at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} values>"


class SQLiteConnections:
    """One connection that reads and one that writes, each with a thread of its own.

    In the write-ahead log readers and the writer don't wait for each other. Writes of this process queue up here, and
    those of other processes at the file's lock, for as long as the driver's ``timeout`` says (5 s).

    A commit is on the disk before it is acknowledged (``synchronous=FULL``): after a power cut no logout is undone.
    SQLite copies its log back into the file by itself, within a write, once a thousand pages are in it.

    A cancelled call still runs to its end on the thread: whole or, if it hadn't begun to write, not at all.
    """

    key_taken: type[Exception] = sqlite3.IntegrityError
    shared: bool = True

    def __init__(self, reader: aiosqlite.Connection, writer: aiosqlite.Connection) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, engine: AsyncEngine) -> "SQLiteConnections":
        """Two connections as the engine makes them, on a file that uses the write-ahead log."""
        writer = await _connect(engine)
        try:
            await _use_write_ahead_log(writer)
            return cls(await _connect(engine), writer)
        except BaseException:
            await writer.close()
            raise

    async def fetch(self, statement: Statement, values: Values) -> Sequence[Row]:
        """See ``Connections.fetch``."""
        connection = self._reader if statement.reads else self._writer
        # The driver promises an Iterable only.
        return list(await connection.execute_fetchall(statement.text, HiddenValues(statement.arguments(values))))

    async def count(self, statement: Statement, values: Values) -> int:
        """See ``Connections.count``."""
        cursor = await self._writer.execute(statement.text, HiddenValues(statement.arguments(values)))
        return cursor.rowcount

    def are_usable(self) -> bool:
        """See ``Connections.are_usable``. A thread dies when an event loop ends that it has an answer for."""
        return all(_thread_is_alive(connection) for connection in (self._reader, self._writer))

    async def settle(self) -> None:
        """See ``Connections.settle``. A thread does one thing after the other, also what whoever waited has given up.

        The last event loop may close them meanwhile. Closing waits in the same line, so what was begun is over then too.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                for connection in (self._reader, self._writer):
                    if _thread_is_alive(connection):
                        with suppress(sqlite3.ProgrammingError, ValueError):  # how SQLite and its driver say "closed"
                            await connection.execute_fetchall("SELECT 1")

    def abandon(self) -> None:
        """See ``Connections.abandon``. From a thread without an event loop: the driver would answer the one that runs here."""
        for connection in (self._reader, self._writer):
            stopping = Thread(target=connection.stop)
            stopping.start()
            stopping.join()

    async def aclose(self) -> None:
        """See ``Connections.aclose``."""
        await self._reader.close()
        # The last to close copies the log back and removes it.
        await self._writer.close()


async def opened(*args: Any, **options: Any) -> aiosqlite.Connection:
    """A connection of the driver, as its ``connect`` makes them.

    Where a file can't be opened the driver lets its thread end by itself, and answer an event loop that may be gone by
    then: the thread would die with a traceback. So the failure waits for it.

    Raises:
        sqlite3.Error: the file can't be opened.
    """
    connection = aiosqlite.connect(*args, **options)
    thread: Thread = connection._thread  # noqa: SLF001 (nothing public leads to it)
    thread.daemon = True  # as SQLAlchemy does it: no thread keeps the process
    try:
        return await connection
    except Exception:  # whoever is cancelled does not wait: opening may hang, as on a network drive that is gone
        while thread.is_alive():  # noqa: ASYNC110 - the driver tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
        raise


def _thread_is_alive(connection: aiosqlite.Connection) -> bool:
    thread: Thread = connection._thread  # noqa: SLF001 (nothing public says it, and a call would wait for ever)
    return thread.is_alive()


async def _connect(engine: AsyncEngine) -> aiosqlite.Connection:
    """A connection as the engine makes them, taken out of its pool for good."""
    proxy = await engine.raw_connection()
    connection = proxy.driver_connection
    proxy.detach()
    if not isinstance(connection, aiosqlite.Connection):
        raise TypeError(f"SQLStore expects the driver aiosqlite and got {type(connection)}.")
    try:
        # Autocommit: a statement is a transaction, so no call can be cut off between the two.
        connection.isolation_level = None
        _refuse_manual_commits(connection)
        await connection.execute_fetchall("PRAGMA synchronous = FULL")
    except BaseException:
        await connection.close()
        raise
    return connection


def _refuse_manual_commits(connection: aiosqlite.Connection) -> None:
    if connection.in_transaction:
        raise ConfigurationError(
            "The engine given to SQLStore begins transactions by itself, so nothing would be committed. Leave out "
            "connect_args={'autocommit': False}, or give SQLStore the URL and it makes an engine of its own."
        )


async def _use_write_ahead_log(connection: aiosqlite.Connection) -> None:
    """Switch the file to WAL; the file remembers it."""
    mode = next(iter(await connection.execute_fetchall("PRAGMA journal_mode = WAL")))[0]
    if mode != "wal":
        logger.warning(
            "SQLite keeps its journal mode %r instead of WAL, so readers and writers will wait for each other. "
            "Is the file on a network drive?",
            mode,
        )
