"""What one handler is still to be told, in order. Bounded: one that is slow or hangs loses events, and harms nobody else."""

import asyncio
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Protocol

import anyio

from ..access import origin_of
from ..events import SessionEvent

logger: logging.Logger = logging.getLogger(__name__)

MOST = 1_000
"""Events that wait for one handler; what comes after is dropped."""
PATIENCE = 5.0
"""Seconds that an async handler may take for one event."""
_QUIET = 60.0
"""Seconds between two warnings of dropped events."""


class Line(Protocol):
    """The line of one handler."""

    def put(self, event: SessionEvent) -> None:
        """Add an event, or drop it where too many wait. From any thread."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether the handler has been told everything."""
        ...

    async def catch_up(self) -> None:
        """Begin to tell what could not be begun where it was put: in a thread, or on trio."""
        ...


class _Dropped:
    """Says now and then that events are dropped."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._warned_at = -math.inf

    def warn(self) -> None:
        now = time.monotonic()
        if now - self._warned_at >= _QUIET:
            self._warned_at = now
            logger.error("The event handler %s is behind by %d events: what comes now is dropped", self._name, MOST)


class ThreadLine:
    """For a plain function: one thread of its own, so that whatever blocks it blocks nothing else."""

    def __init__(self, handler: Callable[[SessionEvent], Any]) -> None:
        self._handler = handler
        self._name = name_of(handler)
        self._events: queue.Queue[SessionEvent] = queue.Queue(MOST)
        self._dropped = _Dropped(self._name)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, event: SessionEvent) -> None:
        """Add an event, or drop it where too many wait."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self._dropped.warn()
        with self._starting:
            if self._thread is None or not self._thread.is_alive():  # not alive: the process was forked
                self._thread = threading.Thread(target=self._work, name=f"events for {self._name}", daemon=True)
                self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether the handler has been told everything."""
        return self._events.unfinished_tasks == 0

    async def catch_up(self) -> None:
        """Nothing: the thread runs."""

    def _work(self) -> None:
        while True:
            event = self._events.get()
            try:
                answer = self._handler(event)
                if isawaitable(answer):
                    _forget(answer, self._name)
            except Exception as error:  # noqa: BLE001 - it is told of the next event all the same
                _log_raised(self._name, error)
            finally:
                self._events.task_done()


class TaskLine:
    """For an async function: one task at a time, on the event loop where something happened."""

    def __init__(self, handler: Callable[[SessionEvent], Any]) -> None:
        self._handler = handler
        self._name = name_of(handler)
        self._events: deque[SessionEvent] = deque()
        self._dropped = _Dropped(self._name)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def put(self, event: SessionEvent) -> None:
        """Add an event, or drop it where too many wait."""
        if len(self._events) >= MOST:
            self._dropped.warn()
            return
        self._events.append(event)
        self._start()

    @property
    def is_idle(self) -> bool:
        """Whether the handler has been told everything."""
        return not self._events and not self._is_busy

    async def catch_up(self) -> None:
        """Begin here; on trio there is no task that outlives a request, so there it is waited for."""
        self._start()
        if self._events and not self._is_busy:
            await self._work()

    @property
    def _is_busy(self) -> bool:
        if self._task is None or self._loop is None or self._loop.is_closed():  # it ended with its loop
            return False
        return not self._task.done()

    def _start(self) -> None:
        if self._is_busy or not self._events:
            return
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        while self._events:
            await self._tell(self._events.popleft())

    async def _tell(self, event: SessionEvent) -> None:
        try:
            with anyio.fail_after(PATIENCE):
                await self._handler(event)
        except TimeoutError:
            logger.error("The event handler %s took more than %g seconds: stopped", self._name, PATIENCE)  # noqa: TRY400
        except Exception as error:  # noqa: BLE001 - it is told of the next event all the same
            _log_raised(self._name, error)


def name_of(handler: object) -> str:
    """What logs call a handler."""
    return str(getattr(handler, "__qualname__", type(handler).__qualname__))


def _log_raised(name: str, error: Exception) -> None:
    logger.error("The event handler %s raised: %s", name, origin_of(error))


def _forget(answer: Any, name: str) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()
    logger.error("The event handler %s gave something to wait for, and is no async function: make it one", name)
