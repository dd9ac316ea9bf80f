"""Whatever is acknowledged is there: many requests at once on one session."""

import asyncio
import random

import pytest

from fastapi_sessionkit import SessionStore
from tests.stack.application import World
from tests.stack.schedule import Watched
from tests.support import Clock

pytestmark = pytest.mark.anyio


async def test_of_200_requests_that_each_change_another_field_every_one_is_there(world: World) -> None:
    browser = await world.signed_in()
    answers = await asyncio.gather(*(browser.post(f"/fields/f{n}/{n}") for n in range(200)))
    session = (await browser.get("/me")).body

    assert [answer.status for answer in answers] == [200] * 200
    assert {name: session.get(name) for name in (f"f{n}" for n in range(200))} == {f"f{n}": str(n) for n in range(200)}


async def test_a_counter_that_50_parallel_requests_raise_reads_50(world: World) -> None:
    browser = await world.signed_in()
    answers = await asyncio.gather(*(browser.post("/raise") for _ in range(50)))

    assert [answer.status for answer in answers] == [200] * 50
    assert (await browser.get("/me")).body["n"] == 50


async def test_changes_counting_and_an_administrators_change_at_once_all_win(world: World) -> None:
    browser = await world.signed_in()
    calls = [browser.post(path) for n in range(30) for path in (f"/fields/f{n}/{n}", "/raise", f"/unseen/u{n}/{n}")]
    random.Random(4).shuffle(calls)  # noqa: S311 - dice
    administration = asyncio.ensure_future(world.kit.sessions.update_user("ada", email="ada@example.com"))
    answers = await asyncio.gather(*calls)
    counted = await administration
    session = (await browser.get("/me")).body

    assert counted == 1
    assert {answer.status for answer in answers} == {200}
    assert (session["n"], session["email"]) == (30, "ada@example.com")
    assert all(session[f"f{n}"] == session[f"u{n}"] == str(n) for n in range(30))


async def test_changes_around_rotations_all_win(world: World) -> None:
    browser = await world.signed_in()
    paths = [f"/fields/f{n}/{n}" for n in range(40)] + ["/rotate", "/role/admin"] * 5 + ["/raise"] * 20
    random.Random(7).shuffle(paths)  # noqa: S311 - dice
    answers = await asyncio.gather(*(browser.post(path) for path in paths))
    session = (await browser.get("/me")).body

    assert {answer.status for answer in answers} == {200}
    assert (session["n"], session["role"]) == (20, "admin")
    assert all(session[f"f{n}"] == str(n) for n in range(40))
    assert len(await world.kit.sessions.list("ada")) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_on_a_store_that_answers_in_any_order_every_change_is_there(
    store: SessionStore, clock: Clock, seed: int
) -> None:
    world = World(Watched(store, random.Random(seed)), clock)  # noqa: S311 - dice
    browser = await world.signed_in()
    answers = await asyncio.gather(*(browser.post(path) for n in range(25) for path in (f"/fields/f{n}/{n}", "/raise")))
    session = (await browser.get("/me")).body

    assert {answer.status for answer in answers} == {200}
    assert session["n"] == 25
    assert all(session[f"f{n}"] == str(n) for n in range(25))


async def test_requests_that_change_nothing_send_no_write(store: SessionStore, clock: Clock) -> None:
    browser = await World(store, clock).signed_in()
    [(_, before)] = await store.list_user("ada")
    clock.advance(10)
    answers = await asyncio.gather(*(browser.get("/me") for _ in range(100)))
    [(_, after)] = await store.list_user("ada")

    assert {answer.status for answer in answers} == {200}
    assert after == before
