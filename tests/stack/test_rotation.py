"""Requests under way while the session moves to a new id."""

import asyncio
import random

import pytest

from fastapi_sessionkit import SessionStore
from tests.stack.application import GRACE, IDLE, World
from tests.stack.schedule import Watched
from tests.support import Clock

pytestmark = pytest.mark.anyio


async def test_requests_around_a_rotation_are_all_served_and_one_gets_the_cookie(world: World, clock: Clock) -> None:
    browser = await world.signed_in()
    old = browser.token
    clock.advance(IDLE / 5)
    requests = [("GET", "/me"), ("POST", "/raise"), ("GET", "/open"), ("POST", "/unseen/color/red")] * 10
    requests.insert(13, ("POST", "/rotate"))
    answers = await asyncio.gather(*(world.browser(old).send(*request) for request in requests))
    given = [answer.token for answer in answers if answer.token is not None]

    assert {answer.status for answer in answers} == {200}
    [new] = given
    assert new not in {"", old}
    assert (await world.browser(new).get("/me")).body["n"] == 10
    assert await world.opens(old)
    clock.advance(GRACE)
    assert not await world.opens(old)
    assert await world.opens(new)


async def test_of_parallel_rotations_one_wins_and_every_cookie_is_the_session(world: World, clock: Clock) -> None:
    browser = await world.signed_in()
    old = browser.token
    answers = await asyncio.gather(*(world.browser(old).post("/rotate") for _ in range(20)))
    given = [answer.token for answer in answers if answer.token is not None]

    assert {answer.status for answer in answers} == {200}
    assert len(given) == 1
    clock.advance(GRACE)
    assert await world.opens(given[0])
    assert not await world.opens(old)
    assert len(await world.kit.sessions.list("ada")) == 1


async def test_a_slow_request_from_before_a_rotation_saves_and_sets_no_cookie(world: World, clock: Clock) -> None:
    browser = await world.signed_in()
    slow = asyncio.ensure_future(world.browser(browser.token).post("/slow/fields/color/red"))
    await world.pauses.reached.acquire()
    await browser.post("/rotate")
    clock.advance(GRACE - 1)
    world.pauses.go.set()
    answer = await slow

    assert (answer.status, answer.token) == (200, None)
    assert (await browser.get("/me")).body["color"] == "red"


async def test_an_old_id_is_dead_after_the_grace_however_much_it_was_used(world: World, clock: Clock) -> None:
    browser = await world.signed_in()
    old = world.browser(browser.token)
    clock.advance(IDLE / 5)
    await browser.post("/rotate")
    for _ in range(4):
        clock.advance(GRACE / 5)
        assert {(await old.send(*request)).token for request in (("GET", "/me"), ("POST", "/raise"))} == {None}
    clock.advance(GRACE / 5)

    assert (await old.get("/me")).status == 401
    assert (await old.post("/raise")).status == 401
    assert (await browser.get("/me")).body["n"] == 4


@pytest.mark.parametrize("path", ["/logout", "/login/grace"])
async def test_an_old_id_ends_nothing_after_its_grace(world: World, clock: Clock, path: str) -> None:
    browser = await world.signed_in()
    old = world.browser(browser.token)
    await browser.post("/rotate")
    clock.advance(GRACE)
    await old.post(path)

    assert await world.opens(browser.token)


async def test_a_sign_out_slower_than_the_grace_of_a_rotation_ends_the_session(world: World, clock: Clock) -> None:
    browser = await world.signed_in()
    slow = asyncio.ensure_future(world.browser(browser.token).post("/slow/logout"))
    await world.pauses.reached.acquire()
    await browser.post("/rotate")
    clock.advance(GRACE + 1)
    world.pauses.go.set()
    await slow

    assert not await world.opens(browser.token)


async def test_an_old_id_that_signs_out_within_its_grace_ends_the_moved_session(world: World, clock: Clock) -> None:
    browser = await world.signed_in()
    old = world.browser(browser.token)
    for _ in range(3):
        await browser.post("/rotate")
    await old.post("/logout")

    assert [await world.opens(token) for token in browser.tokens] == [False] * 4


async def test_twenty_rotations_within_the_grace_leave_the_first_id_serving(world: World, clock: Clock) -> None:
    browser = await world.signed_in()
    first = browser.token
    slow = asyncio.ensure_future(world.browser(first).post("/slow/fields/color/red"))
    await world.pauses.reached.acquire()
    for _ in range(20):
        await browser.post("/rotate")
    world.pauses.go.set()
    answer = await slow

    assert (answer.status, answer.token) == (200, None)
    assert await world.opens(first)
    assert (await browser.get("/me")).body["color"] == "red"


@pytest.mark.parametrize("seed", range(4))
async def test_a_browser_that_rotates_all_the_time_is_never_signed_out(
    store: SessionStore, clock: Clock, seed: int
) -> None:
    """One cookie jar, six tabs: each request takes the cookie that is there, and the jar takes what comes back."""
    dice = random.Random(seed)  # noqa: S311 - dice
    world = World(Watched(store, dice), clock)
    browser = await world.signed_in()
    paths = ["/raise", "/raise", "/rotate", "/role/admin", "/role/user", "/fields/color/red"]
    statuses: set[int] = set()
    raised = 0

    async def tab() -> None:
        nonlocal raised
        for _ in range(6):
            path = dice.choice(paths)
            statuses.add((await browser.post(path)).status)
            raised += path == "/raise"
            clock.advance(dice.choice([0, 0.25, 1]))

    await asyncio.gather(*(tab() for _ in range(6)))

    assert statuses == {200}
    assert (await browser.get("/me")).body["n"] == raised
    assert len(await world.kit.sessions.list("ada")) == 1
    clock.advance(GRACE)
    assert [token for token in browser.tokens if await world.opens(token)] == [browser.token]
