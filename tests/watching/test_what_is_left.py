"""``session_watch`` leaves nothing behind, and many connections cost little."""

import asyncio
import gc
import weakref
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import pytest
from fastapi import WebSocket

from fastapi_sessionkit import (
    Access,
    Rule,
    session_watch,
)
from tests.gate.support import token_of
from tests.watching.support import (
    ADA,
    GUARD,
    Message,
    demote,
    is_end,
    revoke,
    site,
    store_of,
)

pytestmark = pytest.mark.anyio


# Nothing is left behind


async def test_behind_the_block_nothing_is_watched_any_more() -> None:
    async with site() as here:

        @here.app.websocket("/socket/for-a-while")
        async def for_a_while(socket: WebSocket) -> None:
            await socket.accept()
            async with session_watch(socket):
                await asyncio.sleep(0)
            here.said.append("in")
            await asyncio.Event().wait()

        connection = await here.open("/socket/for-a-while")
        assert not any(here.kit.services.looks.values())
        await revoke(here)
        await asyncio.sleep(0.3)

        assert not connection.task.done()


async def test_a_client_that_goes_leaves_nothing_behind() -> None:
    async with site() as here:
        for path in ("/socket/gone", "/stream", "/stream/busy", "/sse"):
            here.said.clear()
            connection = await here.open(path)
            connection.over.set()
            with suppress(Exception):
                await connection.ends()

        assert all(not looks for looks in here.kit.services.looks.values())


async def test_a_body_that_is_cancelled_from_outside_stays_cancelled() -> None:
    async with site() as here:
        connection = await here.open("/socket")
        connection.task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await connection.task
        assert here.said == ["in", "out"]


async def test_an_error_in_the_body_is_the_bodys() -> None:
    async with site() as here:

        @here.app.websocket("/socket/wrong")
        async def wrong(socket: WebSocket) -> None:
            await socket.accept()
            async with session_watch(socket):
                raise LookupError

        with pytest.raises(LookupError):
            await here.connect("/socket/wrong").ends()


class Cycle:
    """What a server has of one request: its scope, and how to answer it."""

    def __init__(self, scope: Message) -> None:
        self.scope = scope

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b""}

    async def send(self, message: MutableMapping[str, Any]) -> None: ...


async def test_a_request_goes_without_the_garbage_collector() -> None:
    """The scope leads to the session, and that to the server's object, which has the scope."""
    async with site() as here:
        headers = [(b"cookie", token_of(here.kit, ADA))]

        async def served() -> weakref.ref[Cycle]:
            scope = {"type": "http", "method": "GET", "path": "/nowhere", "query_string": b"", "headers": headers}
            cycle = Cycle(scope)
            await here.app(cycle.scope, cycle.receive, cycle.send)
            return weakref.ref(cycle)

        gc.disable()
        try:
            assert (await served())() is None
        finally:
            gc.enable()


# Many


async def test_many_connections_of_one_session_cost_one_look() -> None:
    async with site(GUARD) as here:
        cookie = token_of(here.kit, ADA)
        connections = [here.connect("/socket/guarded", cookie=cookie) for _ in range(200)]
        await connections[0].until(lambda: here.said.count("in") == 200, 20)
        await asyncio.sleep(0.2)
        before = store_of(here).calls.count("get")

        await demote(here)
        for connection in connections:
            assert is_end(await connection.ends(20))

        # One to change it, one to look.
        assert store_of(here).calls.count("get") - before <= 2


async def test_connections_that_ask_different_things_have_different_answers() -> None:
    async with site(GUARD) as here:
        cookie = token_of(here.kit, ADA)
        plain, guarded = here.connect("/socket", cookie=cookie), here.connect("/socket/guarded", cookie=cookie)
        await plain.until(lambda: here.said.count("in") == 2)

        await demote(here)

        assert is_end(await guarded.ends())
        assert not plain.task.done()


async def test_hooks_are_asked_once_a_look_for_all_connections_alike() -> None:
    asked: list[str] = []

    async def check(rule: Rule, session: Any) -> bool:
        asked.append("check")
        return True

    async with site(GUARD, access=Access(check=check)) as here:
        cookie = token_of(here.kit, ADA)
        first = here.connect("/socket/guarded", cookie=cookie)
        rest = [here.connect("/socket/guarded", cookie=cookie) for _ in range(20)]
        await first.until(lambda: here.said.count("in") == 21)
        await asyncio.sleep(0.2)
        asked.clear()

        await here.kit.sessions.update_user("ada", email="a@b")
        await first.until(lambda: bool(asked))
        await asyncio.sleep(0.2)

        assert asked == ["check"]
        assert not any(each.task.done() for each in rest)
