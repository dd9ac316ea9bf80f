"""A session that ends while something else happens to it: never alive afterwards, whatever the order.

Each race is played in every order that stopping one side once can give: one of the two is stopped before or after
each of its calls to the store, and the other one works to its end meanwhile. In memory both sides are stopped.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from fastapi_sessionkit import SessionStore
from tests.stack.application import GRACE, IDLE, Browser, World
from tests.stack.conftest import Make
from tests.stack.schedule import Watched, interleaved
from tests.support import Clock

pytestmark = pytest.mark.anyio

Step = Callable[[World, Browser], Coroutine[Any, Any, Any]]


def path(method: str, where: str) -> Step:
    async def request(world: World, browser: Browser) -> Any:
        return await browser.send(method, where)

    return request


async def revoke(world: World, browser: Browser) -> Any:
    for active in await world.kit.sessions.list("ada"):
        await world.kit.sessions.revoke(active.handle, user_id="ada")


async def revoke_user(world: World, browser: Browser) -> Any:
    await world.kit.sessions.revoke_user("ada")


async def sign_in_as_somebody_else(world: World, browser: Browser) -> Any:
    await browser.post("/login/grace")


ENDS: dict[str, Step] = {
    "logout": path("POST", "/logout"),
    "revocation": revoke,
    "revocation of the user": revoke_user,
    "somebody else's sign-in": sign_in_as_somebody_else,
}

RACERS: dict[str, Step] = {
    "write": path("POST", "/fields/color/red"),
    "unseen write": path("POST", "/unseen/color/red"),
    "counting": path("POST", "/raise"),
    "touch": path("GET", "/me"),
    "rotation": path("POST", "/rotate"),
    "change of role": path("POST", "/role/admin"),
}

TOUCH_DUE = IDLE / 5
MOST = 40
"""No side has as many moments: a guard against a loop without an end."""


async def race(
    world: World, clock: Clock, first: Step, second: Step, *, stops_at: int, second_stops_at: int | None = None
) -> tuple[bool, list[str]]:
    """Whether there was such a schedule, and every token that anybody got."""
    browser = await world.signed_in()
    clock.advance(TOUCH_DUE)
    one, two = world.browser(browser.token), world.browser(browser.token)
    came = await interleaved(first(world, one), second(world, two), stops_at=stops_at, second_stops_at=second_stops_at)
    return came, [*browser.tokens, *one.tokens, *two.tokens]


async def still_open(world: World, tokens: list[str]) -> list[str]:
    """The tokens that open a session of Ada's."""
    answers = [await world.browser(token).get("/me") for token in tokens]
    return [token for token, answer in zip(tokens, answers, strict=True) if answer.body.get("user_id") == "ada"]


@pytest.mark.parametrize("racer", RACERS)
@pytest.mark.parametrize("end", ENDS)
async def test_a_session_that_ends_at_any_moment_of_something_else_stays_ended(
    store: SessionStore, clock: Clock, end: str, racer: str
) -> None:
    world = World(Watched(store), clock)
    for stops_at in range(MOST):
        came, tokens = await race(world, clock, RACERS[racer], ENDS[end], stops_at=stops_at)

        assert await still_open(world, tokens) == [], stops_at
        assert await store.list_user("ada") == [], stops_at
        if not came:
            break
    assert 1 < stops_at < MOST - 1


@pytest.mark.parametrize("racer", RACERS)
@pytest.mark.parametrize("end", ENDS)
async def test_something_else_at_any_moment_of_the_end_keeps_no_session_alive(
    store: SessionStore, clock: Clock, end: str, racer: str
) -> None:
    world = World(Watched(store), clock)
    for stops_at in range(MOST):
        came, tokens = await race(world, clock, ENDS[end], RACERS[racer], stops_at=stops_at)

        assert await still_open(world, tokens) == [], stops_at
        assert await store.list_user("ada") == [], stops_at
        if not came:
            break
    assert 1 < stops_at < MOST - 1


@pytest.mark.parametrize("racer", RACERS)
@pytest.mark.parametrize("end", ENDS)
async def test_a_session_that_ends_while_both_sides_stop_in_turn_stays_ended(
    make_store: Make, clock: Clock, end: str, racer: str
) -> None:
    store = make_store("memory")
    world = World(Watched(store), clock)
    played = 0
    for one_stops in range(MOST):
        came = False
        for two_stops in range(12):
            for first, second in ((RACERS[racer], ENDS[end]), (ENDS[end], RACERS[racer])):
                it_came, tokens = await race(world, clock, first, second, stops_at=one_stops, second_stops_at=two_stops)
                came, played = came or it_came, played + it_came

                assert await still_open(world, tokens) == [], (one_stops, two_stops)
                assert await store.list_user("ada") == [], (one_stops, two_stops)
        if not came:
            break
    assert played > 12


@pytest.mark.parametrize("racer", RACERS)
async def test_a_session_that_expires_at_any_moment_of_something_else_stays_ended(
    store: SessionStore, clock: Clock, racer: str
) -> None:
    async def expire(world: World, browser: Browser) -> None:
        # In the middle of a rotation there are two records of one session; the old one ends first.
        clock.now = min([record.expires_at for _, record in await store.list_user("ada")], default=clock.now)

    world = World(Watched(store), clock)
    for stops_at in range(MOST):
        came, tokens = await race(world, clock, RACERS[racer], expire, stops_at=stops_at)

        assert await still_open(world, tokens) == [], stops_at
        assert await store.list_user("ada") == [], stops_at
        if not came:
            break
    assert 1 < stops_at < MOST - 1


@pytest.mark.parametrize("end", ENDS)
async def test_a_slow_request_gets_no_cookie_that_revives_an_ended_session(
    world: World, clock: Clock, end: str
) -> None:
    browser = await world.signed_in()
    clock.advance(TOUCH_DUE)
    slow = [world.browser(browser.token) for _ in range(3)]
    paths = [("POST", "/slow/fields/color/red"), ("GET", "/slow/read"), ("POST", "/slow/rotate")]
    answers = [asyncio.ensure_future(each.send(*where)) for each, where in zip(slow, paths, strict=True)]
    for _ in answers:
        await world.pauses.reached.acquire()
    await ENDS[end](world, world.browser(browser.token))
    world.pauses.go.set()
    write, read, rotation = await asyncio.gather(*answers)

    # A late write is dropped and expires the cookie; reading what it had is all that a read does.
    assert (write.status, write.token) == (200, "")
    assert (read.status, read.token) == (200, None)
    assert (rotation.status, rotation.token) == (200, "")
    assert await still_open(world, browser.tokens) == []
    assert await world.kit.sessions.list("ada") == []


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_at_once_a_session_that_ended_stays_ended(
    store: SessionStore, clock: Clock, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - dice
    world = World(Watched(store, dice), clock)
    for _ in range(4):
        browser = await world.signed_in()
        clock.advance(dice.choice([0, TOUCH_DUE]))
        racers = [world.browser(browser.token) for _ in range(6)]
        work: list[Awaitable[Any]] = [dice.choice(list(RACERS.values()))(world, racer) for racer in racers]
        work.append(dice.choice(list(ENDS.values()))(world, world.browser(browser.token)))
        dice.shuffle(work)
        await asyncio.gather(*work)

        assert await still_open(world, browser.tokens + [token for each in racers for token in each.tokens]) == []
        assert await store.list_user("ada") == []


# Rotation is the end of an id, not of the session.


@pytest.mark.parametrize("racer", RACERS)
async def test_a_rotation_at_any_moment_of_something_else_loses_nothing(
    store: SessionStore, clock: Clock, racer: str
) -> None:
    world = World(Watched(store), clock)
    for stops_at in range(MOST):
        browser = await world.signed_in()
        clock.advance(TOUCH_DUE)
        other, rotating = world.browser(browser.token), world.browser(browser.token)
        came = await interleaved(
            RACERS[racer](world, other), path("POST", "/rotate")(world, rotating), stops_at=stops_at
        )
        given = {*other.tokens[1:], *rotating.tokens[1:]}
        [active] = await world.kit.sessions.list("ada")
        [newest] = [token for token in given if await world.opens(token)]
        clock.advance(GRACE)

        assert await world.opens(newest), stops_at
        assert not await world.opens(browser.token), stops_at
        assert racer != "write" or active.session.model_extra == {"color": "red"}, stops_at
        assert racer != "counting" or active.session.n == 1, stops_at
        await revoke_user(world, browser)
        if not came:
            break
    assert 1 < stops_at < MOST - 1


@pytest.mark.parametrize("racer", RACERS)
async def test_something_else_at_any_moment_of_a_rotation_signs_nobody_out(
    store: SessionStore, clock: Clock, racer: str
) -> None:
    world = World(Watched(store), clock)
    for stops_at in range(MOST):
        browser = await world.signed_in()
        clock.advance(TOUCH_DUE)
        other, rotating = world.browser(browser.token), world.browser(browser.token)
        came = await interleaved(
            path("POST", "/rotate")(world, rotating), RACERS[racer](world, other), stops_at=stops_at
        )

        assert await world.opens(browser.token), stops_at
        assert await world.opens(other.token), stops_at
        assert await world.opens(rotating.token), stops_at
        assert len(await world.kit.sessions.list("ada")) == 1, stops_at
        clock.advance(GRACE)
        assert not await world.opens(browser.token), stops_at
        await revoke_user(world, browser)
        if not came:
            break
    assert 1 < stops_at < MOST - 1


# An administrator's change reaches every session, and no request that began before undoes it.


async def demote(world: World, browser: Browser) -> None:
    await world.kit.sessions.update_user("ada", permissions=("none",))


@pytest.mark.parametrize("first", ["administrator", "racer"])
@pytest.mark.parametrize("racer", RACERS)
async def test_an_administrators_change_at_any_moment_of_something_else_stands(
    store: SessionStore, clock: Clock, racer: str, first: str
) -> None:
    world = World(Watched(store), clock)
    sides = [demote, RACERS[racer]] if first == "administrator" else [RACERS[racer], demote]
    for stops_at in range(MOST):
        came, tokens = await race(world, clock, *sides, stops_at=stops_at)
        [active] = await world.kit.sessions.list("ada")

        assert active.session.permissions == ("none",), stops_at
        assert racer not in {"write", "unseen write"} or active.session.model_extra == {"color": "red"}, stops_at
        assert racer != "counting" or active.session.n == 1, stops_at
        assert await still_open(world, tokens) == tokens, stops_at
        await world.kit.sessions.revoke_user("ada")
        if not came:
            break
    assert 1 < stops_at < MOST - 1
