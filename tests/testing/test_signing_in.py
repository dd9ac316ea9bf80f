"""``signed_in`` and ``session_of`` on every backend, with every client, and what they leave behind."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import ConfigurationError, MemoryStore, SessionKit, SessionRecord, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import ADA, SITE, AppSession, app_kit, client_of

App = tuple[FastAPI, SessionKit[AppSession]]


def application(backend: Any) -> App:
    kit, app = app_kit(backend=backend), FastAPI()
    kit.install(app)

    @app.get("/me")
    async def me(session: Annotated[AppSession, Depends(kit.require_session)]) -> str:
        return session.user_id

    @app.post("/upgrade")
    async def upgrade(request: Request) -> None:
        update_session(request, tier="premium")

    return app, kit


def async_client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE)


def use(client: TestClient, kit: SessionKit[AppSession]) -> AppSession | None:
    assert signed_in(client, kit, ADA) is client
    assert session_of(client, kit) == ADA
    assert client.get("/me").json() == "ada"
    assert client.post("/upgrade").status_code == 200
    return session_of(client, kit)


def not_entered(backend: Any) -> AppSession | None:
    app, kit = application(backend)
    return use(client_of(app), kit)


def entered(backend: Any) -> AppSession | None:
    app, kit = application(backend)
    with client_of(app) as client:
        return use(client, kit)


def entered_later(backend: Any) -> AppSession | None:
    app, kit = application(backend)
    client = signed_in(client_of(app), kit, ADA)
    with client:
        assert client.get("/me").json() == "ada"
        use(client, kit)
    return session_of(client, kit)


def in_a_running_loop(backend: Any) -> AppSession | None:
    """As in an asynchronous test."""

    async def test() -> AppSession | None:
        return not_entered(backend)

    return asyncio.run(test())


def asynchronous(backend: Any) -> AppSession | None:
    async def test() -> AppSession | None:
        app, kit = application(backend)
        async with async_client(app) as client:
            assert signed_in(client, kit, ADA) is client
            assert session_of(client, kit) == ADA
            assert (await client.get("/me")).json() == "ada"
            assert (await client.post("/upgrade")).status_code == 200
            return session_of(client, kit)

    return asyncio.run(test())


def asynchronous_after_a_request(backend: Any) -> AppSession | None:
    """The application's own connections are open on the loop that runs."""

    async def test() -> AppSession | None:
        app, kit = application(backend)
        async with async_client(app) as client, async_client(app) as other:
            signed_in(other, kit, AppSession(user_id="bob"))
            assert (await other.get("/me")).json() == "bob"
            signed_in(client, kit, ADA)
            answers = await asyncio.gather(client.post("/upgrade"), other.get("/me"))
            assert [answer.status_code for answer in answers] == [200, 200]
            return session_of(client, kit)

    return asyncio.run(test())


WAYS = [not_entered, entered, entered_later, in_a_running_loop, asynchronous, asynchronous_after_a_request]


def held() -> tuple[int, int]:
    """How many files, sockets and threads this process has."""
    return psutil.Process().num_fds(), threading.active_count()


@pytest.fixture
def leaves_nothing(make_backend: Callable[[], Any]) -> Iterator[None]:
    """Whatever was opened is closed, and nothing complains that it was not: pytest makes an error of that."""
    before = held()
    yield
    gc.collect()
    until = time.monotonic() + 10
    while (after := held()) > before and time.monotonic() < until:
        time.sleep(0.01)  # a thread that was told to end, ends in its own time
    assert after <= before


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("way", WAYS)
def test_it_works_on_every_backend_with_every_client(way: Callable[[Any], AppSession | None], backend: Any) -> None:
    assert way(backend) == AppSession(**{**ADA.model_dump(), "tier": "premium"})


@pytest.mark.usefixtures("leaves_nothing")
def test_several_tests_one_after_the_other_share_a_store(backend: Any) -> None:
    app, kit = application(backend)
    for name in ("ada", "bob", "eve"):
        client = signed_in(client_of(app), kit, AppSession(user_id=name))

        assert client.get("/me").json() == name
        assert session_of(client, kit) == AppSession(user_id=name)


@pytest.mark.usefixtures("leaves_nothing")
def test_nothing_is_left_open_in_a_loop_that_goes_on(backend: Any) -> None:
    async def test() -> None:
        app, kit = application(backend)
        async with async_client(app) as client:
            before = held()
            signed_in(client, kit, ADA)
            session = session_of(client, kit)

            assert session == ADA
            await ends(lambda: held() <= before)

    asyncio.run(test())


async def ends(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - no event says when a thread has ended
            await asyncio.sleep(0.01)


def not_entered_once(store: Any) -> AppSession | None:
    app, kit = application(store)
    client = signed_in(client_of(app), kit, ADA)
    return session_of(client, kit)


def asynchronous_once(store: Any) -> AppSession | None:
    async def test() -> AppSession | None:
        app, kit = application(store)
        async with async_client(app) as client:
            signed_in(client, kit, ADA)
            session = session_of(client, kit)
            assert (await client.get("/me")).json() == "ada"
            return session

    return asyncio.run(test())


class LoopBoundStore(MemoryStore):
    """Waits for an answer, and serves the loop of its first call only, as a driver's pool does."""

    loop: asyncio.AbstractEventLoop | None = None

    async def aclose(self) -> None:
        self.loop = None

    async def _answer(self) -> None:
        loop = asyncio.get_running_loop()
        self.loop = self.loop or loop
        if self.loop is not loop:
            raise RuntimeError("attached to a different loop")
        await asyncio.sleep(0)

    async def get(self, key: str) -> SessionRecord | None:
        await self._answer()
        return await super().get(key)

    async def create(self, key: str, record: SessionRecord) -> bool:
        await self._answer()
        return await super().create(key, record)


def test_an_entered_client_asks_the_store_on_the_loop_of_its_application() -> None:
    app, kit = application(LoopBoundStore())
    with client_of(app) as client:
        signed_in(client, kit, ADA)

        assert client.get("/me").json() == "ada"
        assert session_of(client, kit) == ADA


@pytest.mark.parametrize("way", [not_entered_once, asynchronous_once])
def test_a_store_that_is_tied_to_a_loop_is_let_go_of(way: Callable[[Any], AppSession | None]) -> None:
    assert way(LoopBoundStore()) == ADA


def test_an_entered_client_keeps_the_connections_of_its_application(make_backend: Callable[[], Any]) -> None:
    app, kit = application(make_backend())
    with client_of(app) as client:
        signed_in(client, kit, ADA)
        before = held()
        for _ in range(3):
            signed_in(client, kit, ADA)
            assert session_of(client, kit) == ADA

        assert held() == before


def test_the_loop_is_as_the_client_would_have_it() -> None:
    debugged: list[bool] = []

    class Store(MemoryStore):
        async def create(self, key: str, record: SessionRecord) -> bool:
            debugged.append(asyncio.get_running_loop().get_debug())
            return await super().create(key, record)

    app, kit = application(Store())
    for options in ({}, {"debug": True}):
        signed_in(client_of(app, backend_options=options), kit, ADA)

    assert debugged == [False, True]


def test_a_client_over_plain_http_is_told_what_to_write(backend: Any) -> None:
    app, kit = application(backend)

    with pytest.raises(ConfigurationError, match="https://testserver"):
        signed_in(TestClient(app), kit, ADA)


def test_what_the_store_raises_comes_out() -> None:
    class Broken(MemoryStore):
        async def create(self, key: str, record: SessionRecord) -> bool:
            raise OSError("gone")

    app, kit = application(Broken())

    with pytest.raises(Exception, match="Session storage is unavailable") as raised:
        signed_in(client_of(app), kit, ADA)
    assert isinstance(raised.value.__cause__, OSError)
