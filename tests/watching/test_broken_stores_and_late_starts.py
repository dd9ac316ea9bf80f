"""``session_watch`` where the store is broken, and where the response has not started."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket

from fastapi_sessionkit import (
    ConfigurationError,
    Session,
    SessionKit,
    SessionKitError,
    session_watch,
    set_session,
)
from tests.support import client_of, new_kit
from tests.watching.support import (
    ADA,
    revoke,
    site,
    store_of,
)

pytestmark = pytest.mark.anyio


# A store that is broken


@pytest.mark.parametrize(("path", "code"), [("/socket", 1013), ("/stream", None)])
async def test_a_store_that_fails_ends_nothing_at_once_but_all_after_a_while(path: str, code: int | None) -> None:
    async with site(every=0.4) as here:
        connection = await here.open(path)
        await connection.until(lambda: "get" in store_of(here).calls)
        store_of(here).broken.add("get")
        await asyncio.sleep(0.8)

        assert not connection.task.done()
        assert (await connection.ends(10)).get("code") == code
        assert code is None or here.said[-1] == "StoreUnavailable"


async def test_a_store_that_comes_back_in_time_ends_nothing() -> None:
    async with site(every=0.4) as here:
        connection = await here.open("/socket")
        store_of(here).broken.add("get")
        await asyncio.sleep(0.6)
        store_of(here).broken.clear()
        await asyncio.sleep(1.5)

        assert not connection.task.done()


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, TimeoutError, SystemError])
async def test_a_look_that_fails_in_any_way_fails_closed(error: type[BaseException]) -> None:
    broken: list[str] = []

    async def revalidate(session: Session) -> Session | None:
        if broken:
            raise error
        return session

    async with site(every=0.2, revalidate=revalidate, revalidate_every=0) as here:
        connection = await here.open("/socket")
        broken.append("now")

        assert (await connection.ends(10))["code"] == 1013


# Before the response has started


@pytest.mark.parametrize("path", ["/poll", "/poll/careless"])
async def test_a_response_that_has_not_started_is_the_refusal(path: str) -> None:
    async with site() as here:
        connection = await here.open(path)
        await revoke(here)
        await connection.ends()

        assert connection.sent[0]["status"] == 401
        assert all(b"secret" not in message.get("body", b"") for message in connection.sent)


async def test_a_handshake_that_was_not_accepted_is_refused() -> None:
    async with site() as here:
        connection = await here.open("/socket/before")
        await revoke(here)

        assert (await connection.ends())["type"] == "websocket.close"
        assert not any(message["type"] == "websocket.accept" for message in connection.sent)


@pytest.mark.parametrize("path", ["/poll", "/socket/before"])
async def test_nobody_can_not_be_watched(path: str) -> None:
    async with site() as here:
        connection = await here.open(path, who=None)
        await connection.ends()

        assert here.said == []
        assert connection.sent[0].get("status", 401) == 401


async def test_a_session_that_begins_with_the_response_is_watched_only_after_it() -> None:
    async with site() as here:

        @here.app.websocket("/socket/early")
        async def early(socket: WebSocket) -> None:
            set_session(socket, ADA)
            async with session_watch(socket):
                pass

        with pytest.raises(SessionKitError, match="after accept"):
            await here.connect("/socket/early", who=None).ends()


@pytest.mark.parametrize("every", [0, -1, "30", None, float("nan")])
async def test_a_period_that_is_none_is_a_configuration_error(every: Any) -> None:
    kit = new_kit()

    with pytest.raises(ConfigurationError, match="every"):
        session_watch(await request_of(kit), every)


async def request_of(kit: SessionKit[Session]) -> Request:
    found: list[Request] = []
    app = FastAPI()
    kit.install(app)

    @app.get("/")
    async def endpoint(request: Request) -> None:
        found.append(request)

    await asyncio.to_thread(client_of(app).get, "/")
    return found[0]
