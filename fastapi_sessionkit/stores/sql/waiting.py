"""Waiting, but never for ever: for a place among few, and for an answer."""

import asyncio
from collections import deque

_LOOKS = 4
"""How often the watch looks within the time that a call may take: none takes more than a quarter longer."""


class Places:
    """A semaphore that is fair and, while there is room, needs no ``await``."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._queue: deque[asyncio.Future[None]] = deque()

    def enter(self) -> bool:
        """Take a place if one is free; then nobody waits for one."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self, patience: float) -> None:
        """Take a place, after those who came before.

        Raises:
            TimeoutError: none was free for ``patience`` seconds.
        """
        if self.enter():
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # It was given the place at the moment when it gave up.
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to who has waited longest."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Watch:
    """Ends calls that take longer than ``seconds``.

    One timer for all: ``asyncio.timeout`` sets and clears one for each, which takes a tenth of the time of a read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._begun: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Task[object]:
        """Watch the running task until ``end``."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("SQLStore must be called from a task.")
        self._begun[task] = self._loop.time()
        if self._timer is None:
            self._set_timer()
        return task

    def end(self, task: asyncio.Task[object]) -> None:
        """Watch it no longer."""
        del self._begun[task]

    def was_late(self, task: asyncio.Task[object]) -> bool:
        """Whether the cancellation that reached the task came from this watch, and from nobody else as well."""
        if task not in self._late:
            return False
        self._late.remove(task)
        return task.uncancel() == 0

    def stop(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self._timer = self._loop.call_later(self._seconds / _LOOKS, self._look)

    def _look(self) -> None:
        self._timer = None
        latest = self._loop.time() - self._seconds
        late = [(task, begun) for task, begun in self._begun.items() if begun <= latest and task not in self._late]
        if late:  # one turn later: if this process was the one that stood still, the answer may be there, unread
            self._loop.call_soon(self._cancel, late)
        if self._begun:
            self._set_timer()

    def _cancel(self, late: list[tuple[asyncio.Task[object], float]]) -> None:
        for task, begun in late:
            if self._begun.get(task) == begun:
                self._late.add(task)
                task.cancel()
