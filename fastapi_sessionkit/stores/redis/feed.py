"""What a Redis server tells of changes, by pub/sub, over one connection for each event loop."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from .format import command

logger: logging.Logger = logging.getLogger(__name__)

Changed = Callable[[], None]

_RETRY_AFTER = 1.0
"""Seconds between two attempts to connect."""


class Feed:
    """The keys that somebody watches. The connection is there while there are any, and comes again when it breaks.

    Whoever watches is told once when the server has begun to tell: something may have changed before.

    Args:
        connect: gives a connection that is not open yet, to a server that tells of a key.
        timeout: seconds to wait until it is open.
    """

    def __init__(self, connect: Callable[[str], Awaitable[AbstractConnection]], timeout: float) -> None:
        self._connect = connect
        self._timeout = timeout
        self._told: dict[str, list[Changed]] = {}
        self._to_say: list[bytes] = []
        self._something_to_say = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False  # said once an outage

    def watch(self, key: str, changed: Changed) -> Changed:
        """See ``SessionFeed.watch``; ``key`` with the store's prefix."""
        told = self._told.setdefault(key, [])
        told.append(changed)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif len(told) == 1:
            self._say("SUBSCRIBE", key)
        else:
            changed()  # the server tells of it already
        return partial(self._tell_no_more, key, changed)

    async def aclose(self) -> None:
        """Let go of the connection."""
        self._told.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _tell_no_more(self, key: str, changed: Changed) -> None:
        told = self._told.get(key, [])
        if changed in told:
            told.remove(changed)
        if told or self._told.pop(key, None) is None:
            return
        if self._told:
            self._say("UNSUBSCRIBE", key)
        elif self._task is not None:
            self._task.cancel()
            self._task = None  # it takes a moment to end; who watches meanwhile has a new one

    def _say(self, word: str, key: str) -> None:
        self._to_say.append(command(word, key))
        self._something_to_say.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except* Exception as errors:  # noqa: BLE001 - whatever it is, the next attempt may do better
                if not self._failing:
                    why = type(errors.exceptions[0]).__name__
                    logger.warning("Redis does not tell of changes at the moment (%s): they are noticed later", why)
                self._failing = True
            await asyncio.sleep(_RETRY_AFTER)

    async def _listen(self) -> None:
        connection = await self._connect(next(iter(self._told)))
        try:
            connection.socket_timeout = None
            async with asyncio.timeout(self._timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
            self._to_say = [command("SUBSCRIBE", *self._told)]
            self._something_to_say.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(connection))
                group.create_task(self._write(connection))
        finally:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._something_to_say.wait()
            self._something_to_say.clear()
            said, self._to_say = self._to_say, []
            await connection.send_packed_command(b"".join(said), check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            told = await connection.read_response(disable_decoding=True, timeout=math.inf, push_request=True)
            self._failing = False
            if isinstance(told, list) and len(told) > 1 and told[0] in {b"message", b"subscribe"}:
                for changed in tuple(self._told.get(told[1].decode(), ())):
                    changed()
