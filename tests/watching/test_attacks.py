"""Attacks on ``session_watch``: a socket that outlives its session, or what it was let in by."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from starlette.routing import Host

from fastapi_sessionkit import Session, SessionRecord, clear_session, custom, regenerate_session, update_session
from tests.gate.support import token_of
from tests.support import RecordingStore, client_of
from tests.watching.support import ADA, Site, is_end, revoke, site, store_of

pytestmark = pytest.mark.anyio


def add_moves(site: Site) -> Callable[[str, str], Any]:
    """Endpoints that another window calls; gives what calls them with a cookie, and gives the new one."""

    @site.app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @site.app.post("/use")
    async def use(request: Request) -> None:
        update_session(request, email="ada@example.com")

    @site.app.post("/out")
    async def out(request: Request) -> None:
        clear_session(request)

    async def call(path: str, cookie: str) -> str:
        client = client_of(site.app, headers={"cookie": cookie})
        answer = await asyncio.to_thread(client.post, path)
        return answer.headers.get("set-cookie", "").partition(";")[0]

    return call


async def test_attack_a_socket_under_an_old_id_is_not_told_of_the_end() -> None:
    async with site(every=600, rotation_grace=600) as here:
        call = add_moves(here)
        cookie = token_of(here.kit, ADA)
        connection = await here.open("/socket", cookie=cookie)
        new = await call("/rotate", cookie.decode())
        await asyncio.sleep(0.1)

        assert not connection.task.done()
        await call("/out", new)
        assert is_end(await connection.ends())


async def test_attack_a_socket_under_an_old_id_lives_on_by_use() -> None:
    async with site(every=600, rotation_grace=2) as here:
        call = add_moves(here)
        cookie = token_of(here.kit, ADA)
        connection = await here.open("/socket", cookie=cookie)
        new = await call("/rotate", cookie.decode())
        await asyncio.sleep(1.6)
        await call("/use", new)

        assert is_end(await connection.ends(1.6))


async def test_attack_a_session_ends_while_the_application_is_first_asked() -> None:
    """What the store tells while the first look waits for the hook must not be missed."""
    asked: list[str] = []
    at_the_first_look = asyncio.Event()

    async def revalidate(session: Session) -> Session:
        asked.append(session.user_id)
        if len(asked) == 2:  # the first time it was the handshake
            at_the_first_look.set()
            await asyncio.sleep(0.2)
        return session

    async with site(every=600, revalidate=revalidate, revalidate_every=0) as here:
        connection = await here.open("/socket")
        await at_the_first_look.wait()
        await revoke(here)

        assert is_end(await connection.ends())


class HeldStore(RecordingStore):
    """Its answers about records can be held back on the way to one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.is_held, self.release = asyncio.Event(), asyncio.Event()
        self.release.set()

    async def get(self, key: str) -> SessionRecord | None:
        record = await super().get(key)
        if record is not None and record.successor is None and asyncio.get_running_loop() is self.loop:
            self.is_held.set()
            await self.release.wait()
        return record


async def test_attack_a_session_ends_between_its_move_and_the_feed_of_its_new_id() -> None:
    store = HeldStore()
    async with site(every=600, rotation_grace=600, backend=store) as here:
        call = add_moves(here)
        cookie = token_of(here.kit, ADA)
        connection = await here.open("/socket", cookie=cookie)
        await asyncio.sleep(0.1)
        store.is_held.clear()
        store.release.clear()
        new = await call("/rotate", cookie.decode())
        await store.is_held.wait()
        await call("/out", new)
        store.release.set()

        assert is_end(await connection.ends())


async def test_a_connection_costs_one_look_as_it_begins() -> None:
    async with site(every=600) as here:
        await here.open("/socket")
        await asyncio.sleep(0.2)

        # One for the handshake, one to look.
        assert store_of(here).calls.count("get") == 2


async def test_attack_an_answer_about_one_host_is_not_taken_for_another() -> None:
    tenants = {"a", "b"}

    def is_tenant(session: Session | None, segments: Any) -> bool:
        return session is not None and segments["tenant"] in tenants

    async with site(every=0.1) as here:
        inner = FastAPI()

        @inner.websocket("/socket", dependencies=[Depends(here.kit.require(custom(is_tenant)))])
        async def socket(socket: WebSocket) -> None:
            await socket.accept()
            async with here.kit.session_watch(socket, 0.1):
                here.said.append("in")
                await asyncio.Event().wait()

        here.app.router.routes.insert(0, Host("{tenant}.example.com", inner))
        app, cookie = here.app, token_of(here.kit, ADA)
        connections = {}
        for tenant in ("a", "b"):
            here.app = with_host(app, f"{tenant}.example.com")
            connections[tenant] = await here.open("/socket", cookie=cookie)
            here.said.clear()

        tenants.remove("b")

        assert is_end(await connections["b"].ends())
        assert not connections["a"].task.done()


def with_host(app: Any, host: str) -> Any:
    async def asked(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"host", host.encode()), *(each for each in scope["headers"] if each[0] != b"host")]
        await app({**scope, "headers": headers}, receive, send)

    return asked
