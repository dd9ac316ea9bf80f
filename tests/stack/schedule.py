"""Races without luck: a store whose callers can be stopped before and after each of their calls."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextvars import ContextVar
from typing import Any

from fastapi_sessionkit import SessionRecord, SessionStore

_actor: ContextVar["Actor | None"] = ContextVar("actor", default=None)

BLOCKED = 0.3
"""Seconds after which somebody who does not get on is taken to wait for the one who was stopped."""


class Actor:
    """Somebody who calls the store, and who stops at one of the moments before and after these calls.

    Attributes:
        moments: how many it has passed, each named by what was called.
    """

    def __init__(self, stops_at: int | None = None) -> None:
        self.moments: list[str] = []
        self.halted = asyncio.Event()
        self._stops_at = stops_at
        self._go = asyncio.Event()

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Let it work until it is done or stops."""

        async def acting() -> Any:
            _actor.set(self)
            return await work

        task = asyncio.get_running_loop().create_task(acting())
        task.add_done_callback(lambda _: self.halted.set())
        return task

    def go_on(self) -> None:
        self._go.set()

    async def moment(self, name: str) -> None:
        here = len(self.moments)
        self.moments.append(name)
        if here == self._stops_at:
            self.halted.set()
            await self._go.wait()


class Watched:
    """A store that tells actors when they call it, and a shaken one that makes every call wait a little."""

    def __init__(self, store: SessionStore, shaken: random.Random | None = None) -> None:
        self._store = store
        self._shaken = shaken
        self.clock = getattr(store, "clock", None)

    async def _watched(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        await self._moment(f"before {name}")
        answer = await call()
        await self._moment(f"after {name}")
        return answer

    async def _moment(self, name: str) -> None:
        actor = _actor.get()
        if actor is not None:
            await actor.moment(name)
        if self._shaken is not None:
            for _ in range(self._shaken.randrange(6)):
                await asyncio.sleep(0)

    async def get(self, key: str) -> SessionRecord | None:
        return await self._watched("get", lambda: self._store.get(key))

    async def create(self, key: str, record: SessionRecord) -> bool:
        return await self._watched("create", lambda: self._store.create(key, record))

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        return await self._watched("replace", lambda: self._store.replace(key, record, version=version))

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        return await self._watched(
            "touch", lambda: self._store.touch(key, last_seen_at=last_seen_at, expires_at=expires_at)
        )

    async def delete(self, key: str) -> bool:
        return await self._watched("delete", lambda: self._store.delete(key))

    async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
        return await self._watched("list_user", lambda: self._store.list_user(user_id))

    async def delete_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        return await self._watched("delete_user", lambda: self._store.delete_user(user_id, keep=keep))

    async def purge(self) -> int:
        return await self._watched("purge", self._store.purge)

    async def aclose(self) -> None:
        await self._store.aclose()


async def interleaved(
    first: Coroutine[Any, Any, Any],
    second: Coroutine[Any, Any, Any],
    *,
    stops_at: int,
    second_stops_at: int | None = None,
) -> bool:
    """Stop the first at a moment; let the second work, to its end or until it stops too; then the first, then the second.

    Returns:
        Whether the first came to that moment at all: when not, there are no more schedules to try.
    """
    one, other = Actor(stops_at), Actor(second_stops_at)
    tasks = [one.start(first)]
    await one.halted.wait()
    tasks.append(other.start(second))
    # One who waits for a lock of the stopped one would wait for ever.
    await asyncio.wait([asyncio.ensure_future(other.halted.wait())], timeout=BLOCKED)
    one.go_on()
    if second_stops_at is not None:
        await asyncio.wait([tasks[0]], timeout=BLOCKED)
    other.go_on()
    await asyncio.gather(*tasks)
    return len(one.moments) > stops_at
