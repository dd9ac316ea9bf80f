"""One look at a session every now and then, for all the open connections of one token in this process."""

import asyncio
import logging
import random
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Protocol

from fastapi import HTTPException

from ..backends.base import feed_of
from ..errors import NotAuthenticated, SessionKitError, StoreUnavailable
from .marking import Judge
from .request_session import RequestSession
from .saving import user_id_of
from .services import Services

logger: logging.Logger = logging.getLogger(__name__)

_PERIODS = 3
"""For how many periods after a look that succeeded a connection stays open while the store can't say."""
_PATIENCE = 5.0
"""Seconds, or half a period if that is longer, for which a look may wait for the store and the application."""
_SHORTEST = 0.05
"""Seconds between two looks at least."""

Answers = dict[Hashable, HTTPException | None]


class Watch(Protocol):
    """One connection that is watched."""

    own: RequestSession[Any]
    every: float
    user_id: str | None

    def end(self, refusal: HTTPException) -> None:
        """End the connection."""
        ...


def look_of(services: Services[Any], token: bytes) -> "Look":
    """The look at a token's session in this event loop.

    Raises:
        SessionKitError: there is no asyncio loop.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise SessionKitError(
            "session_watch needs asyncio: on trio no task outlives the block that starts it"
        ) from None
    looks = services.looks.setdefault(loop, {})
    look: Look = looks.get(token) or looks.setdefault(token, Look(services, token, partial(looks.pop, token, None)))
    return look


class Look:
    """Looks at one session, in a task that runs while there is anybody to look for."""

    def __init__(self, services: Services[Any], token: bytes, forget: Callable[[], object]) -> None:
        self._services = services
        self._token = token
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._watches: dict[Watch, None] = {}
        self._every: float = 0.0
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._succeeded_at = self._loop.time()
        self._told_of: str = ""  # the key whose changes the store tells
        self._moved_at: float | None = None  # when the session was first found to have moved, in Unix seconds
        self._stop_feed: Callable[[], object] | None = None

    def join(self, watch: Watch) -> None:
        """Look for one connection more; the shortest period counts for all."""
        shorter = not self._watches or watch.every < self._every
        self._watches[watch] = None
        if shorter:
            self._every = watch.every
            self._wake.set()
        if self._task is None:
            self._subscribe(watch.own)  # before the first look, so that nothing comes between
            self._task = self._loop.create_task(self._run())
            self._task.add_done_callback(self._end_what_is_left)

    def leave(self, watch: Watch) -> None:
        """Look for that connection no longer."""
        if self._watches.pop(watch, self) is self or self._watches:
            return
        self._forget()
        if self._stop_feed is not None:
            self._stop_feed()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        delay = 0.0
        while True:
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            delay = max(_SHORTEST, await self._look())

    async def _look(self) -> float:
        """Look, end what has to be ended, and say in how many seconds to look again."""
        own: RequestSession[Any] = RequestSession(
            self._services, next(iter(self._watches)).own.scope, token=self._token
        )
        try:
            async with asyncio.timeout(max(self._every / 2, _PATIENCE)):
                refused = await self._refused(own)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody can say
            return self._failed(error)
        self._succeeded_at = self._loop.time()
        for watch, refusal in refused:
            watch.end(refusal)
        return self._until_next(own)

    async def _refused(self, own: RequestSession[Any]) -> Sequence[tuple[Watch, HTTPException]]:
        await own.settle()
        if self._subscribe(own):
            self._wake.set()  # it may have changed since it was read
        answers: Answers = {}
        asked = [(watch, await _refusal(own, watch, answers)) for watch in list(self._watches)]
        return [(watch, refusal) for watch, refusal in asked if refusal is not None]

    def _subscribe(self, own: RequestSession[Any]) -> bool:
        """Be told of changes where the session is now; whether that is another place than before."""
        feed, key = feed_of(self._services.backend), "" if own.loaded is None else own.loaded.key
        if feed is None or key in {"", self._told_of}:
            return False
        if self._stop_feed is not None:
            self._stop_feed()
        self._told_of, self._stop_feed = key, feed.watch(key, self._changed)
        return True

    def _changed(self) -> None:
        """The session may have changed; said from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def _until_next(self, own: RequestSession[Any]) -> float:
        """A period, somewhat shortened so that many do not fall together; less where the session ends before."""
        services, loaded = self._services, own.loaded
        now, delay = services.lifetimes.clock(), self._every * random.uniform(0.8, 1.0)  # noqa: S311
        if loaded is None:
            return delay
        if loaded.superseded:
            self._moved_at = self._moved_at or now
            delay = min(delay, self._moved_at + services.rotation_grace - now)
        return min(delay, services.lifetimes.ends_at(loaded.record) - now)

    def _failed(self, error: Exception) -> float:
        if not isinstance(error, StoreUnavailable):  # that is logged where it happened
            logger.error("A watched session could not be looked at: %s", type(error).__name__)
        if self._loop.time() - self._succeeded_at >= _PERIODS * self._every:
            logger.warning("Nobody could say for too long whether a session lives: its connections are ended")
            self._end_all()
        return self._every / 4

    def _end_what_is_left(self, _: object) -> None:
        """A task that ends by itself, for what was raised in it was no ``Exception``, must leave nothing unwatched."""
        self._task = None
        self._end_all()

    def _end_all(self) -> None:
        for watch in list(self._watches):
            watch.end(StoreUnavailable())


async def _refusal(own: RequestSession[Any], watch: Watch, answers: Answers) -> HTTPException | None:
    """Why a connection may not stay; ``None`` when it may. Those that ask the same have one answer."""
    if own.is_nobody or user_id_of(own.session) != watch.user_id:
        return NotAuthenticated()
    for judge, scope in watch.own.judges:
        # The path does not tell all parameters: those of a host route are others for another host.
        asked = (judge, scope["path"], scope.get("method"), scope.get("root_path"), repr(scope.get("path_params")))
        if asked not in answers:
            answers[asked] = await _answer(judge, own, scope)
        if answers[asked] is not None:
            return answers[asked]
    return None


async def _answer(judge: Judge, own: RequestSession[Any], scope: Any) -> HTTPException | None:
    try:
        await judge(own, scope)
    except HTTPException as refusal:
        return refusal
    return None
