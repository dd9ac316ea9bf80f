"""Which connections an event loop uses: test clients run several loops, one after the other or in threads."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .core import Connections

Loop = asyncio.AbstractEventLoop

_LOOK_SECONDS = 0.005


class LoopConnections:
    """The connections of each event loop. Those that every loop can use are opened once, for all of them.

    Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._of: dict[Loop, Connections] = {}
        self._were_shared = False
        self._lock = threading.Lock()
        self._gate = threading.Lock()

    def get(self, loop: Loop) -> Connections | None:
        """What this loop uses, if statements can be sent on it. Only the end of another that used it can have changed that."""
        connections = self._of.get(loop)
        if connections is None or not self._were_shared or connections.are_usable():
            return connections
        return None

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[None]:
        """One loop after the other: an engine that connects for the first time on two of them at once fails."""
        while not self._gate.acquire(blocking=False):  # noqa: ASYNC110 - no event reaches several event loops
            await asyncio.sleep(_LOOK_SECONDS)
        try:
            yield
        finally:
            self._gate.release()

    def share(self, loop: Loop) -> Connections | None:
        """What another loop has opened and this one can use, which it does from now on."""
        with self._lock:
            for connections in self._of.values():
                if connections.shared and connections.are_usable():
                    self._of[loop] = connections
                    self._were_shared = True
                    return connections
        return None

    def add(self, loop: Loop, opened: Connections) -> Connections:
        """Note what this loop has opened, and drop what was left behind by loops that have ended."""
        with self._lock:
            known = {*self._of.values(), opened}
            self._of[loop] = opened
            unused = known - self._in_use()
        for connections in unused:
            connections.abandon()
        return opened

    async def release(self, loop: Loop) -> None:
        """Close what this loop uses, and what was left behind by loops that have ended.

        Where others use it too, wait for what was begun: a thread dies when the loop is gone that it has an answer for.
        """
        with self._lock:
            known = set(self._of.values())
            mine = self._of.pop(loop, None)
            unused = known - self._in_use()
        for connections in unused:
            if (connections is mine or connections.shared) and connections.are_usable():
                await connections.aclose()
            else:
                connections.abandon()
        if mine is not None and mine not in unused:
            await mine.settle()

    def _in_use(self) -> set[Connections]:
        """Forget loops that have ended and connections that broke, and give the connections that are left."""
        self._of = {loop: used for loop, used in self._of.items() if not loop.is_closed() and used.are_usable()}
        return set(self._of.values())
