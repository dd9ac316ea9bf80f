"""One kit in several threads, each with an event loop of its own: those who change one session take turns in each."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastapi_sessionkit import MemoryStore, SessionStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.stack.application import World

THREADS = 8
CALLS = 3
PATIENCE = 20.0
"""Seconds for all of it on a busy machine. Whoever waits for a lock of another loop waits for ever."""


class Contended:
    """Lets others in before each write, so that a first attempt fails and the changes take turns."""

    def __init__(self, inner: SessionStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def replace(self, *arguments: Any, **options: Any) -> bool:
        await asyncio.sleep(0.01)
        return await self._inner.replace(*arguments, **options)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SessionStore:
    return MemoryStore() if request.param == "memory" else SQLStore(tmp_path / "sessions.db")


def in_threads(work: Callable[[int], Any]) -> list[BaseException]:
    """Run it in all threads at the same moment, within the time there is; what they raised.

    The threads end with the process, so that one that hangs does not hang the tests.
    """
    gate, failures = threading.Barrier(THREADS), list[BaseException]()

    def run(n: int) -> None:
        try:
            gate.wait(PATIENCE)
            asyncio.run(asyncio.wait_for(work(n), PATIENCE))
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test fails by it
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [*failures, *(TimeoutError(thread.name) for thread in threads if thread.is_alive())]


def test_24_updates_of_one_session_from_8_threads_all_count(store: SessionStore) -> None:
    world = World(Contended(store), time.time)
    token = asyncio.run(signed_in(world))

    async def update(_: int) -> None:
        answers = await asyncio.gather(*(world.browser(token).post("/raise") for _ in range(CALLS)))
        await world.kit.backend.aclose()

        assert [answer.status for answer in answers] == [200] * CALLS

    assert in_threads(update) == []
    assert asyncio.run(count(world, token)) == THREADS * CALLS


def test_24_sign_ins_of_one_user_from_8_threads_leave_as_many_as_allowed(store: SessionStore) -> None:
    world = World(Contended(store), time.time, max_sessions_per_user=3)
    asyncio.run(signed_in(world))

    async def sign_in(_: int) -> None:
        await asyncio.gather(*(world.signed_in("ada") for _ in range(CALLS)))
        await world.kit.backend.aclose()

    assert in_threads(sign_in) == []
    asyncio.run(signed_in(world))  # what others left too many this one ends
    assert asyncio.run(number_of_sessions(store)) == 3


async def signed_in(world: World) -> str:
    browser = await world.signed_in("ada")
    await world.kit.backend.aclose()
    return browser.tokens[-1]


async def count(world: World, token: str) -> int:
    answer = await world.browser(token).get("/me")
    await world.kit.backend.aclose()
    n: int = answer.body["n"]
    return n


async def number_of_sessions(store: SessionStore) -> int:
    found = await store.list_user("ada")
    await store.aclose()
    return len(found)
