"""``session_watch``: a socket and a stream end with their session."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Request, WebSocket
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from fastapi_sessionkit import (
    CookieBackend,
    RouterGuard,
    Rule,
    Session,
    StoreBackend,
    clear_session,
    regenerate_session,
    session_watch,
    update_session,
)
from tests.gate.support import token_of
from tests.support import Clock, RecordingStore, client_of
from tests.watching.support import (
    ADA,
    CONNECTIONS,
    GUARD,
    demote,
    is_end,
    revoke,
    site,
    store_of,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", CONNECTIONS)
async def test_a_connection_ends_at_once_when_its_session_is_revoked(path: str) -> None:
    async with site() as here:
        connection = await here.open(path)

        await revoke(here)

        assert is_end(await connection.ends())


@pytest.mark.parametrize("path", CONNECTIONS)
async def test_a_connection_stays_while_its_session_lives(path: str) -> None:
    async with site(every=0.05) as here:
        connection = await here.open(path)

        await asyncio.sleep(0.5)

        assert not connection.task.done()
        assert store_of(here).calls.count("get") >= 3


@pytest.mark.parametrize("path", CONNECTIONS)
async def test_a_connection_ends_within_a_period_where_the_store_says_nothing(path: str) -> None:
    class Silent(RecordingStore):
        watch = None  # type: ignore[assignment]

    async with site(every=0.2, backend=Silent()) as here:
        connection = await here.open(path)

        await revoke(here)

        assert is_end(await connection.ends())


async def test_the_body_of_a_socket_is_cancelled_and_what_follows_it_runs() -> None:
    async with site() as here:
        connection = await here.open("/socket")
        await revoke(here)
        await connection.ends()

        assert here.said == ["in", "out", "NotAuthenticated"]


async def test_the_body_of_a_stream_is_told_as_if_the_client_had_gone() -> None:
    async with site() as here:
        connection = await here.open("/stream")
        await revoke(here)
        await connection.ends()

        assert here.said == ["in", "out"]
        assert [message.get("body") for message in connection.sent] == [None, b"one", b""]


async def test_signing_out_in_another_window_ends_the_connection() -> None:
    async with site() as here:
        cookie = token_of(here.kit, ADA)

        @here.app.post("/logout")
        async def logout(request: Request) -> None:
            clear_session(request)

        connection = await here.open("/socket", cookie=cookie)
        client = client_of(here.app, headers={"cookie": cookie.decode()})
        await asyncio.to_thread(client.post, "/logout")

        assert is_end(await connection.ends())


@pytest.mark.parametrize("path", ["/socket/guarded", "/stream/guarded", "/socket/role", "/stream/role"])
async def test_a_connection_ends_when_what_it_was_let_in_by_is_lost(path: str) -> None:
    async with site(GUARD) as here:
        connection = await here.open(path)

        await demote(here)

        assert is_end(await connection.ends())


async def test_a_connection_that_needs_no_role_outlives_it() -> None:
    async with site(GUARD, every=0.05) as here:
        connection = await here.open("/socket")

        await demote(here)
        await asyncio.sleep(0.3)

        assert not connection.task.done()


@pytest.mark.parametrize("backend", [CookieBackend, lambda: CookieBackend(encrypt=True), RecordingStore])
@pytest.mark.parametrize("lifetime", [{"idle_timeout": 60}, {"absolute_timeout": 60}])
async def test_a_connection_ends_when_its_session_expires(
    clock: Clock, backend: Callable[[], Any], lifetime: dict[str, Any]
) -> None:
    async with site(every=0.1, backend=backend(), clock=clock, **lifetime) as here:
        connection = await here.open("/socket")

        clock.advance(60)

        assert is_end(await connection.ends())


async def test_an_expiry_is_not_waited_for_a_whole_period() -> None:
    async with site(idle_timeout=1) as here:
        connection = await here.open("/socket")

        assert is_end(await connection.ends())


async def test_looking_does_not_count_as_using() -> None:
    async with site(every=0.1, idle_timeout=1) as here:
        connection = await here.open("/socket")
        await connection.ends()

        assert "touch" not in store_of(here).calls


@pytest.mark.parametrize("backend", [CookieBackend, RecordingStore])
async def test_a_connection_ends_when_the_application_says_so(clock: Clock, backend: Callable[[], Any]) -> None:
    disabled: set[str] = set()

    async def revalidate(session: Session) -> Session | None:
        return None if session.user_id in disabled else session

    async with site(every=0.1, backend=backend(), revalidate=revalidate, revalidate_every=0) as here:
        connection = await here.open("/socket")

        disabled.add("ada")

        assert is_end(await connection.ends())


async def test_an_id_that_was_moved_away_from_ends_with_its_grace() -> None:
    async with site(rotation_grace=0.5) as here:
        cookie = token_of(here.kit, ADA)

        @here.app.post("/rotate")
        async def rotate(request: Request) -> None:
            regenerate_session(request)

        connection = await here.open("/socket", cookie=cookie)
        client = client_of(here.app, headers={"cookie": cookie.decode()})
        await asyncio.to_thread(client.post, "/rotate")
        await asyncio.sleep(0.1)

        assert not connection.task.done()
        assert is_end(await connection.ends())


@pytest.mark.parametrize("path", ["/socket/moved", "/socket/moved?sign-in"])
async def test_a_session_that_moves_with_the_handshake_is_watched_there(path: str) -> None:
    async with site(every=0.1, rotation_grace=0) as here:
        path, _, query = path.partition("?")
        here.app = with_query(here.app, query)
        connection = await here.open(path)
        await asyncio.sleep(0.5)

        assert not connection.task.done()
        await revoke(here)
        assert is_end(await connection.ends())


def with_query(app: Any, query: str) -> Any:
    async def asked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "query_string": query.encode()}, receive, send)

    return asked


class Wrapper:
    """A backend around another, which passes on all that it does not know."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_a_wrapper_of_a_backend_tells_at_once_too() -> None:
    async with site(backend=Wrapper(StoreBackend(RecordingStore()))) as here:
        connection = await here.open("/socket")

        await revoke(here)

        assert is_end(await connection.ends())


async def test_attack_a_connection_does_not_go_over_to_another_user() -> None:
    async with site() as here:
        cookie = token_of(here.kit, ADA)

        @here.app.post("/switch")
        async def switch(request: Request) -> None:
            update_session(request, user_id="grace")

        connection = await here.open("/socket", cookie=cookie)
        client = client_of(here.app, headers={"cookie": cookie.decode()})
        await asyncio.to_thread(client.post, "/switch")

        assert is_end(await connection.ends())


async def test_attack_a_session_given_to_another_user_ends_the_first_ones_socket() -> None:
    async with site() as here:
        connection = await here.open("/socket")

        await here.kit.sessions.update_user("ada", user_id="grace")

        assert is_end(await connection.ends())


async def test_an_old_sign_in_ends_what_asked_for_a_fresh_one(clock: Clock) -> None:
    guard = RouterGuard([Rule("/*/guarded", fresh=60)])
    async with site(guard, every=0.1, clock=clock) as here:
        connection = await here.open("/socket/guarded")

        clock.advance(61)

        assert is_end(await connection.ends())


async def test_the_shortest_period_counts_for_all_of_a_session() -> None:
    class Silent(RecordingStore):
        watch = None  # type: ignore[assignment]

    async with site(every=600, backend=Silent()) as here:
        cookie = token_of(here.kit, ADA)

        @here.app.websocket("/socket/short")
        async def short(socket: WebSocket) -> None:
            await socket.accept()
            async with session_watch(socket, 0.2):
                here.said.append("short")
                await asyncio.Event().wait()

        long = await here.open("/socket", cookie=cookie)
        connection = here.connect("/socket/short", cookie=cookie)
        await connection.until(lambda: "short" in here.said)
        await revoke(here)

        assert is_end(await long.ends())
        assert is_end(await connection.ends())


@pytest.mark.parametrize("path", ["/stream", "/stream/busy", "/sse"])
async def test_a_stream_ends_behind_whatever_other_middleware(path: str) -> None:
    async def untouched(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    async with site() as here:
        here.app.add_middleware(GZipMiddleware)
        here.app.add_middleware(BaseHTTPMiddleware, dispatch=untouched)
        connection = await here.open(path)

        await revoke(here)

        assert (await connection.ends()).get("more_body", False) is False
