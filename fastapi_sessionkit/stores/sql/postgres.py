"""PostgreSQL on asyncpg's own connections: one round trip a call, nothing before and nothing after."""

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.ext.asyncio import AsyncEngine

from .statements import Row, Statement, Values
from .waiting import Places, Watch

logger: logging.Logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Prepared(Protocol):
    """What is used of asyncpg's prepared statements."""

    async def fetch(self, *args: object) -> list[Row]:
        """Run it and give its rows."""
        ...


class Connection(Protocol):
    """What is used of ``asyncpg.Connection``, which has no types of its own."""

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """Run it and give its rows."""
        ...

    async def execute(self, query: str, *args: object) -> str:
        """Run it and give the server's status line."""
        ...

    async def prepare(self, query: str, *, name: str) -> Prepared:
        """Have the server plan it."""
        ...

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109
        """Say goodbye, within so many seconds."""
        ...

    def terminate(self) -> None:
        """Cut it without waiting."""
        ...

    def is_closed(self) -> bool:
        """Whether it can't be used any more."""
        ...


@dataclass(slots=True, eq=False)
class Line:
    """A connection and the statement that is prepared on it, the one that nearly every request needs.

    asyncpg would prepare it too, but look it up at every call.
    """

    connection: Connection
    used_at: float
    prepared: Prepared | None = None
    may_prepare: bool = True

    async def prepare_and_fetch(self, text: str, arguments: Sequence[object]) -> Sequence[Row]:
        """Its first use."""
        # A name that nobody else has: PgBouncer hands one server's connection to many clients.
        self.prepared = await self.connection.prepare(text, name=f"sessionkit_{uuid.uuid4().hex}")
        return await self.prepared.fetch(*arguments)


_UNDONE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""The server says that it has rolled the statement back, so it may be run again whatever it is."""

_UNDONE_TRIES = 10

_UNPREPARED = (asyncpg.InvalidSQLStatementNameError, asyncpg.InvalidCachedStatementError)
"""The prepared statement isn't there: a migration changed the table, or PgBouncer changed the server under us."""

_LOST = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
"""The connection broke; whether the statement had been carried out is unknown."""

_IDLE_SECONDS = 300.0
"""Firewalls forget connections on which nothing was said for long; beyond this one is closed instead of used."""

_CLOSE_SECONDS = 5.0


class PostgresConnections:
    """At most ``size`` connections, opened as they are needed and kept.

    asyncpg's own pool resets a connection with a second round trip whenever it is given back; here every statement is
    its own transaction and leaves nothing behind to reset.

    A call waits at most ``patience`` seconds for one of them to be free, ``patience`` again for one to be made, and
    ``answer_within`` for its answer; then it is a ``TimeoutError``.
    A connection that is known to be dead is replaced before anything is sent. One that breaks during a statement is
    replaced and the statement is sent again if that is safe (reads, ``touch``); otherwise the error is raised,
    because the statement may have been carried out.
    """

    key_taken: type[Exception] = asyncpg.UniqueViolationError
    shared: bool = False

    def __init__(
        self,
        engine: AsyncEngine,
        loop: asyncio.AbstractEventLoop,
        *,
        hot: Statement,
        size: int,
        patience: float,
        answer_within: float,
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._hot = hot
        self._patience = patience
        self._watch = Watch(loop, answer_within)
        self._places = Places(size)
        self._idle: list[Line] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._closed = False

    def fetch(self, statement: Statement, values: Values) -> Coroutine[Any, Any, Sequence[Row]]:
        """See ``Connections.fetch``."""
        return self._run(self._rows, statement, statement.arguments(values))

    async def count(self, statement: Statement, values: Values) -> int:
        """See ``Connections.count``."""
        status = await self._run(self._status, statement, statement.arguments(values))
        return int(status.rpartition(" ")[2])

    def _rows(self, line: Line, statement: Statement, arguments: Sequence[object]) -> Awaitable[Sequence[Row]]:
        if statement is not self._hot or not line.may_prepare:
            return line.connection.fetch(statement.text, *arguments)
        if line.prepared is None:
            return line.prepare_and_fetch(statement.text, arguments)
        return line.prepared.fetch(*arguments)

    def _status(self, line: Line, statement: Statement, arguments: Sequence[object]) -> Awaitable[str]:
        return line.connection.execute(statement.text, *arguments)

    def are_usable(self) -> bool:
        """See ``Connections.are_usable``."""
        return not self._closed

    async def settle(self) -> None:
        """See ``Connections.settle``. Each event loop has its own."""

    def abandon(self) -> None:
        """See ``Connections.abandon``."""
        self._closed = True
        for line in self._idle:
            # asyncio can't even cut a connection whose loop is closed; the socket goes with the object.
            with contextlib.suppress(RuntimeError):
                line.connection.terminate()
        self._idle.clear()

    async def aclose(self) -> None:
        """See ``Connections.aclose``."""
        self._closed = True
        self._watch.stop()
        while self._idle:
            await _close(self._idle.pop())
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()

    async def _run(
        self,
        send: Callable[[Line, Statement, Sequence[object]], Awaitable[Answer]],
        statement: Statement,
        arguments: Sequence[object],
    ) -> Answer:
        again, undone = statement.repeatable, 0
        while True:
            line = self._free_line() or await self._wait_for_line()
            task = self._watch.begin()
            try:
                answer = await send(line, statement, arguments)
            except BaseException as error:
                self._take_back(line, error)
                if self._watch.was_late(task):
                    raise TimeoutError("PostgreSQL did not answer in time.") from error
                if isinstance(error, _UNDONE) and undone < _UNDONE_TRIES:
                    undone += 1
                    await _wait_a_random_moment(undone)
                elif isinstance(error, _UNPREPARED) and line.may_prepare:
                    line.may_prepare = False
                elif isinstance(error, _LOST) and again:
                    again = False
                else:
                    raise
            else:
                self._give_back(line)
                return answer
            finally:
                self._watch.end(task)

    def _free_line(self) -> Line | None:
        """A connection that is free right now, without an ``await``: the usual case."""
        if not self._places.enter():
            return None
        kept = self._usable_line()
        if kept is None:
            self._places.leave()
        return kept

    async def _wait_for_line(self) -> Line:
        try:
            await self._places.wait(self._patience)
        except TimeoutError:
            raise TimeoutError(f"Every connection to PostgreSQL was busy for {self._patience} s.") from None
        kept = self._usable_line()
        if kept is not None:
            return kept
        connecting = self._in_background(_connect(self._engine))
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(connecting)
        except BaseException:
            # It failed, or its caller was cancelled: a connection that still comes is kept, not leaked.
            connecting.add_done_callback(self._keep)
            raise

    def _keep(self, connecting: asyncio.Task[Line]) -> None:
        if connecting.cancelled() or connecting.exception() is not None:
            self._places.leave()
        else:
            self._give_back(connecting.result())

    def _usable_line(self) -> Line | None:
        """The connection used last: the server, and what stands in between, are the least likely to have cut it."""
        now = self._loop.time()
        while self._idle:
            line = self._idle.pop()
            if line.connection.is_closed():
                continue
            if now - line.used_at < _IDLE_SECONDS:
                line.used_at = now
                return line
            self._in_background(_close(line))
        return None

    def _give_back(self, line: Line) -> None:
        if self._closed:
            line.connection.terminate()
        else:
            self._idle.append(line)
        self._places.leave()

    def _take_back(self, line: Line, error: BaseException) -> None:
        if isinstance(error, asyncpg.PostgresError):
            # The server's answer: the connection is ready for the next statement, or it has been closed.
            self._give_back(line)
        else:
            # Cancelled, late or broken: its place is free again when it is closed.
            self._in_background(_close(line)).add_done_callback(lambda _: self._places.leave())

    def _in_background(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


async def _wait_a_random_moment(times: int) -> None:
    """Wait up to two milliseconds, then four, eight and so on, so that those who collided don't collide again."""
    await asyncio.sleep(random.random() * 0.001 * 2**times)  # noqa: S311 (nothing secret)


async def _connect(engine: AsyncEngine) -> Line:
    """A connection as the engine makes them, taken out of its pool for good."""
    proxy = await engine.raw_connection()
    connection = cast("Connection", proxy.driver_connection)
    proxy.detach()
    return Line(connection, asyncio.get_running_loop().time())


async def _close(line: Line) -> None:
    try:
        await line.connection.close(timeout=_CLOSE_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        # It is gone all the same: asyncpg aborts what it can't close.
        logger.debug("A connection to PostgreSQL could not be closed in order.", exc_info=True)
