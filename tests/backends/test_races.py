"""Requests at the same time, and requests that are cancelled."""

import asyncio
import random
from collections.abc import Callable

import anyio
import httpx
import pytest

from fastapi_sessionkit import (
    SessionKit,
)
from tests.backends.support import DAY, changing_application, make, opened
from tests.support import COOKIE, SITE, AppSession, Clock, RecordingStore


@pytest.mark.anyio
async def test_a_hundred_requests_that_change_different_fields_at_once_all_win(clock: Clock) -> None:
    kit = make(RecordingStore(turns=lambda: 1), clock)
    app = changing_application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        await client.post("/in")
        responses = await asyncio.gather(*(client.post(f"/set/field{number}") for number in range(100)))
        session = (await client.get("/")).json()

    assert {response.status_code for response in responses} == {200}
    assert {name for name in session if name.startswith("field")} == {f"field{number}" for number in range(100)}


@pytest.mark.anyio
async def test_of_a_hundred_rotations_at_once_one_wins_and_nobody_is_signed_out(clock: Clock) -> None:
    store = RecordingStore(turns=lambda: 1)
    kit = make(store, clock)
    app = changing_application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        await client.post("/in")
        responses = await asyncio.gather(*(client.post("/rotate") for _ in range(100)))
        cookies = [response.headers["set-cookie"] for response in responses if "set-cookie" in response.headers]
        session = (await client.get("/")).json()

    assert {response.status_code for response in responses} == {200}
    assert len(cookies) == 1
    assert session["user_id"] == "ada"
    assert len(await store.list_user("ada")) == 1


@pytest.mark.anyio
async def test_changes_and_rotations_at_once_all_win(clock: Clock) -> None:
    kit = make(RecordingStore(turns=lambda: 1), clock)
    app = changing_application(kit)
    paths = [*(f"/set/field{number}" for number in range(30)), *["/rotate", "/promote"] * 10]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        await client.post("/in")
        responses = await asyncio.gather(*map(client.post, paths))
        session = (await client.get("/")).json()

    assert {response.status_code for response in responses} == {200}
    assert session["role"] == "admin"
    assert {name for name in session if name.startswith("field")} == {f"field{number}" for number in range(30)}


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "racers", [["/rotate"], ["/promote", "/rotate"], ["/set/note"], ["/set/a", "/rotate", "/set/b"]]
)
async def test_whatever_races_with_signing_out_no_token_opens_the_session(
    clock: Clock, racers: list[str], seed: int
) -> None:
    """Every call to the store takes a random time, so the requests meet in ever different ways."""
    store = RecordingStore(turns=turns(seed))
    kit = make(store, clock)
    app = changing_application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        tokens = [(await client.post("/in")).cookies[COOKIE]]
        cookies = dict(client.cookies)

        async def send(path: str) -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE, cookies=cookies) as racer:
                return await racer.post(path)

        signed_out, *responses = await asyncio.gather(*map(send, ["/out", *racers]))
        tokens += [response.cookies[COOKIE] for response in responses if COOKIE in response.cookies]

    assert signed_out.status_code == 200
    store.turns = lambda: 0
    assert [opened(kit, token) for token in tokens] == [None] * len(tokens)
    assert await store.list_user("ada") == []


def turns(seed: int) -> Callable[[], int]:
    dice = random.Random(seed)  # noqa: S311 - no secret
    return lambda: dice.randrange(4)


@pytest.mark.anyio
async def test_a_touch_that_races_with_signing_out_brings_nothing_back(clock: Clock) -> None:
    raced = 0
    for seed in range(20):
        store = RecordingStore(turns=turns(seed))
        assert await after_a_race_with_a_touch(store, make(store, clock), clock) is None
        raced += "touch" in store.calls

    assert raced > 5


async def after_a_race_with_a_touch(
    store: RecordingStore, kit: SessionKit[AppSession], clock: Clock
) -> AppSession | None:
    app = changing_application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        await client.post("/in")
        token = client.cookies[COOKIE]
        clock.advance(DAY)
        await asyncio.gather(client.get("/"), client.post("/out"), client.get("/"))

    store.turns = lambda: 0
    return opened(kit, token)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(10))
async def test_of_two_sign_ins_at_once_each_has_a_session_of_its_own(clock: Clock, seed: int) -> None:
    store = RecordingStore(turns=turns(seed))
    kit = make(store, clock)
    app = changing_application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        old = (await client.post("/in")).cookies[COOKIE]
        responses = await asyncio.gather(client.post("/in"), client.post("/in/as-grace"))
    store.turns = lambda: 0
    found = [opened(kit, response.cookies[COOKIE]) for response in responses]

    assert [session and session.user_id for session in found] == ["ada", "grace"]
    assert opened(kit, old) is None


@pytest.mark.anyio
async def test_a_cancelled_request_has_saved_all_or_nothing(clock: Clock) -> None:
    """The client went away while the commit was waiting: what it has begun, it finishes."""
    store = RecordingStore()
    kit = make(store, clock)
    app = changing_application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        for patience in range(1, 40):
            old = (await client.post("/in")).cookies[COOKIE]
            store.turns = lambda: 2
            async with anyio.create_task_group() as group:  # as Starlette does when the client goes away
                group.start_soon(client.post, "/rotate")
                for _ in range(patience):
                    await asyncio.sleep(0)
                group.cancel_scope.cancel()
            store.turns = lambda: 0

            assert len(await store.list_user("ada")) == 1
            assert opened(kit, old) is not None


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/rotate", "/in"])
async def test_a_request_that_asyncio_cancels_has_saved_all_or_nothing(clock: Clock, path: str) -> None:
    """``asyncio.timeout``, ``wait_for`` and a server that shuts down know nothing of anyio's shield."""
    store = RecordingStore()
    kit = make(store, clock)
    app = changing_application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
        for patience in range(1, 40):
            await client.post("/in")
            store.turns = lambda: 2
            request = asyncio.ensure_future(client.post(path))
            for _ in range(patience):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            store.turns = lambda: 0

            assert len(await store.list_user("ada")) == 1
            client.cookies.clear()
            await store.delete_user("ada")
