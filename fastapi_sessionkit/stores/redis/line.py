"""One connection to Redis that any number of tasks share.

redis-py makes the connection: TLS, authentication, sockets, Sentinel. Its clients are not used for two reasons. What they
do for each command is most of what a ``GET`` costs. And they repeat a command whose connection broke: a compare-and-set
that is repeated after its own success reports that it lost.
"""

import asyncio
import math
from collections import deque
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as TimedOut


class Call:
    """One packed command and the reply it waits for."""

    __slots__ = ("deadline", "payload", "reply", "sent")

    def __init__(self, payload: bytes, reply: "asyncio.Future[Any]") -> None:
        self.payload: bytes = payload
        self.reply: asyncio.Future[Any] = reply
        self.sent: bool = False
        self.deadline: float = math.inf


class Line:
    """One connection that any number of tasks share.

    Commands given in the same turn of the event loop leave in one write; replies come back in order. A caller that is
    cancelled only stops waiting: its reply is read and dropped, so the connection never gets out of step.

    It opens by itself and is never mended: once ``usable`` is false, take a new one.
    """

    def __init__(self, connection: AbstractConnection, name: str, timeout: float) -> None:
        self.usable: bool = True
        self._name = name
        self._connection = connection
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._queue: list[Call] = []
        self._unanswered: deque[Call] = deque()
        self._idle: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._serve())

    def submit(self, payload: bytes) -> Call:
        """Queue a packed command; await the call's ``reply``."""
        call = Call(payload, self._loop.create_future())
        self._queue.append(call)
        if self._idle is not None:
            if not self._idle.done():  # cancelled when the line is breaking down: then all that is queued fails
                self._idle.set_result(None)
            self._idle = None
        return call

    async def aclose(self) -> None:
        """Close the connection; commands still waiting fail."""
        self._fail(RedisError("the store was closed while a command was under way"))
        with suppress(RedisError):
            await self._connection.disconnect()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _serve(self) -> None:
        try:
            await self._connect()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read())
                group.create_task(self._write())
        except* Exception as errors:  # noqa: BLE001 - every caller gets it
            self._fail(_as_redis_error(errors.exceptions[0]))
        finally:
            # Also when the event loop ends: then this task is cancelled, and nobody may be left waiting.
            self._fail(RedisError("the event loop ended while a command was under way"))
            await self._connection.disconnect(nowait=True)

    async def _connect(self) -> None:
        # The timeouts are kept here, one for all commands: redis-py's would start a task for each write, and end the
        # connection when it was idle for that long.
        self._connection.socket_timeout = None
        try:
            async with asyncio.timeout(self._timeout):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            raise TimedOut(f"no connection to {self._name} within {self._timeout} seconds") from error

    async def _write(self) -> None:
        while True:
            if not self._queue:
                self._idle = self._loop.create_future()
                await self._idle
            queued, self._queue = self._queue, []
            if calls := [call for call in queued if not call.reply.done()]:
                self._expect(calls)
                await self._connection.send_packed_command(
                    b"".join([call.payload for call in calls]), check_health=False
                )

    def _expect(self, calls: list[Call]) -> None:
        deadline = self._loop.time() + self._timeout
        for call in calls:
            call.sent, call.deadline = True, deadline
        self._unanswered.extend(calls)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._watch)

    def _watch(self) -> None:
        """One timer for all: it looks at the command that has waited the longest."""
        self._timer = None
        if not self._unanswered:
            return
        oldest = self._unanswered[0]
        if self._loop.time() < oldest.deadline:
            self._timer = self._loop.call_at(oldest.deadline, self._watch)
        else:  # one turn later: if this process was the one that stood still, the reply may be there, unread
            self._loop.call_soon(self._give_up, oldest)

    def _give_up(self, call: Call) -> None:
        if self._unanswered and self._unanswered[0] is call:
            self._fail(TimedOut(f"no reply from {self._name} within {self._timeout} seconds"))
            self._task.cancel()
        elif self._timer is None:
            self._watch()

    async def _read(self) -> None:
        while self.usable or self._unanswered:
            try:
                reply = await self._connection.read_response(disable_decoding=True, timeout=math.inf)
            except ResponseError as error:
                self._answer_with(error)
                continue
            call = self._unanswered.popleft()
            if not call.reply.done():
                call.reply.set_result(reply)
        raise ConnectionLost("this server became a replica")

    def _answer_with(self, error: ResponseError) -> None:
        call = self._unanswered.popleft()
        if not call.reply.done():
            call.reply.set_exception(error)
        # The primary was demoted. This line ends with what is under way; a new one finds the new primary. An error
        # inside a script has the word in the middle of its text.
        if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
            self.usable = False

    def _fail(self, error: Exception) -> None:
        self.usable = False
        calls = [*self._unanswered, *self._queue]
        self._unanswered.clear()
        self._queue.clear()
        for call in calls:
            if not call.reply.done():
                call.reply.set_exception(error)
        if self._timer is not None:
            self._timer.cancel()


def _as_redis_error(error: Exception) -> Exception:
    """The error, or one in its place where redis-py or this line stumbled over bytes that answer nothing."""
    if isinstance(error, (RedisError, OSError)):
        return error
    odd = RedisError("the server sent what answers no command")
    odd.__cause__ = error
    return odd
