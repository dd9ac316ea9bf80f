"""SQLite on its driver's own connections: a read costs one hop to a thread and back."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from ..errors import ConfigurationError
from ._statements import Row, Statement, Values

logger: logging.Logger = logging.getLogger(__name__)

_CHECKPOINT_PAGES = 1000
"""Pages written between two checkpoints (about 4 MB of log), as SQLite itself does it."""

_LOG_PAGES = 4000
"""A log this long (16 MB) is worth making writers wait for some milliseconds, once, while it is cut short."""

_CHECKPOINT_PATIENCE = 0.1
"""Seconds that this waits for readers who still need the log; the writers wait with it."""

_PAGES_A_WRITE = 5
"""What a small write touches: the row, its key, two indexes, and now and then a page that splits."""

_PAGE = 4096


class Hidden(tuple[Any, ...]):
    """A statement's arguments, of which only the number is printed: aiosqlite logs its calls at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} values>"


class SQLiteConnections:
    """One connection that reads and one that writes, each with a thread of its own.

    In the write-ahead log readers and the writer don't wait for each other. Writes of this process queue up here, and
    those of other processes at the file's lock, for as long as the driver's ``timeout`` says (5 s).

    A commit is on the disk before it is acknowledged (``synchronous=FULL``): after a power cut no logout is undone.
    Copying the log back into the file happens in a third thread, never in a request.

    A cancelled call still runs to its end on the thread: whole or, if it hadn't begun to write, not at all.
    """

    key_taken: type[Exception] = sqlite3.IntegrityError

    def __init__(self, reader: aiosqlite.Connection, writer: aiosqlite.Connection, file: str) -> None:
        self._reader = reader
        self._writer = writer
        self._file = file
        self._written = 0
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="sessionkit-checkpoint")
        self._checkpoint: Future[None] | None = None

    @classmethod
    async def open(cls, engine: AsyncEngine) -> "SQLiteConnections":
        writer = await _connect(engine)
        try:
            file = await _use_write_ahead_log(writer)
            return cls(await _connect(engine), writer, file)
        except BaseException:
            await writer.close()
            raise

    async def fetch(self, statement: Statement, values: Values) -> Sequence[Row]:
        connection = self._reader if statement.reads else self._writer
        # The driver promises an Iterable only.
        return list(await connection.execute_fetchall(statement.text, Hidden(statement.arguments(values))))

    async def count(self, statement: Statement, values: Values) -> int:
        cursor = await self._writer.execute(statement.text, Hidden(statement.arguments(values)))
        self._written += _PAGES_A_WRITE * max(1, cursor.rowcount) + len(values.get("new_data", b"")) // _PAGE
        if self._written >= _CHECKPOINT_PAGES:
            self._start_checkpoint()
        return cursor.rowcount

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:  # noqa: ARG002 (any: the threads answer whichever asked)
        return True

    def abandon(self) -> None:
        self._reader.stop()
        self._writer.stop()
        self._keeper.shutdown(wait=False)

    async def aclose(self) -> None:
        if self._checkpoint is not None:
            await asyncio.wait([asyncio.wrap_future(self._checkpoint)])
        self._keeper.shutdown(wait=False)
        await self._reader.close()
        # The last to close copies the log back and removes it.
        await self._writer.close()

    def _start_checkpoint(self) -> None:
        if self._checkpoint is None or self._checkpoint.done():
            self._written = 0
            self._checkpoint = self._keeper.submit(_checkpoint, self._file)


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
        await connection.execute_fetchall("PRAGMA wal_autocheckpoint = 0")
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


async def _use_write_ahead_log(connection: aiosqlite.Connection) -> str:
    """Switch the file to WAL, which lasts, and return where it is."""
    mode = next(iter(await connection.execute_fetchall("PRAGMA journal_mode = WAL")))[0]
    if mode != "wal":
        logger.warning(
            "SQLite keeps its journal mode %r instead of WAL, so readers and writers will wait for each other. "
            "Is the file on a network drive?",
            mode,
        )
    databases = await connection.execute_fetchall("PRAGMA database_list")
    return next(str(file) for _, name, file in databases if name == "main")


def _checkpoint(file: str) -> None:
    """Copy what no reader needs any more from the log into the file, so that the log starts over."""
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=_CHECKPOINT_PATIENCE)) as connection:
            # Blocks neither readers nor writers.
            _, log, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if log > _LOG_PAGES:
                # Writes came faster than they were copied, so the log never was at its end. The rest is little.
                connection.execute("PRAGMA wal_checkpoint(RESTART)")
    except sqlite3.Error:
        # The log only grows until the next one succeeds.
        logger.warning("SQLite's write-ahead log could not be copied back this time.", exc_info=True)
