"""``max_sessions_per_user``, whatever the clocks say and however many sign in at once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from fastapi_sessionkit import MemoryStore, SessionKit, SessionRecord, set_session
from tests.support import COOKIE, SITE, AppSession, Clock, RecordingStore, app_kit

pytestmark = pytest.mark.anyio

BEFORE = {"set back": -3_600.0, "a little back": -0.001, "still": 0.0, "on": 1.0, "far ahead": 3_600.0}
clocks = pytest.mark.parametrize("step", BEFORE.values(), ids=BEFORE)


class Server:
    """One process: an application with a kit and a clock of its own, on a store that may be shared."""

    def __init__(self, store: MemoryStore, clock: Clock, most: int) -> None:
        self.clock = clock
        self.kit: SessionKit[AppSession] = app_kit(backend=store, clock=clock, max_sessions_per_user=most)
        self.app = FastAPI()
        self.kit.install(self.app)

        @self.app.post("/{user}")
        async def sign_in(request: Request, user: str) -> None:
            set_session(request, AppSession(user_id=user))

        @self.app.get("/")
        async def read(request: Request) -> bool:
            return await self.kit.get_session(request) is not None

    async def signed_in(self, user: str = "ada", token: str | None = None) -> str:
        """The token of a new session."""
        answer = await self._ask("POST", f"/{user}", token)
        assert answer.status_code == 200
        return str(answer.cookies[COOKIE])

    async def opens(self, token: str) -> bool:
        return bool((await self._ask("GET", "/", token)).json())

    async def _ask(self, method: str, path: str, token: str | None) -> Any:
        transport = httpx.ASGITransport(self.app)
        cookies = {} if token is None else {COOKIE: token}
        async with httpx.AsyncClient(transport=transport, base_url=SITE, cookies=cookies) as client:
            return await client.request(method, path)


@clocks
@pytest.mark.parametrize("most", [1, 2, 3])
async def test_a_sign_in_never_ends_itself_and_the_limit_holds(clock: Clock, step: float, most: int) -> None:
    store = MemoryStore()
    server = Server(store, clock, most)
    for _ in range(most + 2):
        clock.advance(step)
        token = await server.signed_in()

        assert await server.opens(token)
        assert len(await store.list_user("ada")) <= most
    assert len(await store.list_user("ada")) == most


@clocks
async def test_a_server_whose_clock_is_behind_or_ahead_signs_people_in(clock: Clock, step: float) -> None:
    store = MemoryStore(clock=clock)
    here, there = Server(store, clock, 2), Server(store, Clock(clock.now + step), 2)
    for server in (here, there, here, there, there, here):
        token = await server.signed_in()

        assert await server.opens(token)
        assert len(await store.list_user("ada")) <= 2


@clocks
async def test_signing_in_again_ends_the_session_there_was_and_no_other(clock: Clock, step: float) -> None:
    store = MemoryStore()
    server = Server(store, clock, 2)
    other, again = await server.signed_in(), await server.signed_in()
    for _ in range(3):
        clock.advance(step)
        again = await server.signed_in(token=again)

    assert await server.opens(other)
    assert await server.opens(again)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("most", [1, 2, 3])
async def test_of_sign_ins_at_once_as_many_stay_as_may(clock: Clock, most: int, seed: int) -> None:
    turns = random.Random(seed)  # noqa: S311
    store = RecordingStore(turns=lambda: turns.randrange(5))
    server = Server(store, clock, most)
    first = await server.signed_in()
    await server.signed_in("bob")
    tokens = await asyncio.gather(*(server.signed_in() for _ in range(6)))
    opens = [await server.opens(token) for token in (first, *tokens)]

    assert opens.count(True) == most
    assert len(await store.list_user("ada")) == most
    assert len(await store.list_user("bob")) == 1


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("skew", [-5.0, 0.0, 5.0])
@pytest.mark.parametrize("most", [1, 2])
async def test_of_sign_ins_at_once_on_two_servers_at_most_one_too_many_stays(
    clock: Clock, most: int, skew: float, seed: int
) -> None:
    turns = random.Random(seed)  # noqa: S311
    store = RecordingStore(turns=lambda: turns.randrange(5))
    servers = [Server(store, clock, most), Server(store, Clock(clock.now + skew), most)]
    await asyncio.gather(*(servers[n % 2].signed_in() for n in range(6)))

    assert len(await store.list_user("ada")) in {most, most + 1}
    token = await servers[0].signed_in()
    assert len(await store.list_user("ada")) == most
    assert await servers[0].opens(token)


class StoreWithASignInBetween(MemoryStore):
    """Another server signs in between the look of a sign-in at what there is and its own record."""

    def __init__(self) -> None:
        super().__init__()
        self.between: list[Callable[[], Awaitable[object]]] = []

    async def create(self, key: str, record: SessionRecord) -> bool:
        if self.between:
            await self.between.pop()()
        return await super().create(key, record)


@pytest.mark.parametrize(("skew", "left"), [(-5.0, 1), (5.0, 2)], ids=["behind", "ahead"])
async def test_a_sign_in_that_another_server_overtakes_does_not_end_itself(
    clock: Clock, skew: float, left: int
) -> None:
    store = StoreWithASignInBetween()
    here, there = Server(store, clock, 1), Server(store, Clock(clock.now + skew), 1)
    store.between = [there.signed_in]
    token = await here.signed_in()

    assert await here.opens(token)
    assert len(await store.list_user("ada")) == left
