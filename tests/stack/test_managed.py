"""``kit.sessions`` on every store."""

import asyncio

import pytest

from fastapi_sessionkit import SessionStore
from tests.stack.application import World
from tests.support import Clock

pytestmark = pytest.mark.anyio

ODD_HANDLES = {
    "nothing": "",
    "too long": "a" * 10_000,
    "another key of Redis": "user:ada",
    "NUL": "\x00" * 64,
    "a lone surrogate": "\ud800" * 64,
    "digits that are not ASCII": "\N{ARABIC-INDIC DIGIT ZERO}" * 64,
    "capitals": "A" * 64,
    "a line more": "0" * 64 + "\n",
    "unknown": "0" * 64,
}


@pytest.mark.parametrize("most", [1, 3])
async def test_of_twenty_sign_ins_at_once_exactly_as_many_as_allowed_stay(
    store: SessionStore, clock: Clock, most: int
) -> None:
    world = World(store, clock, max_sessions_per_user=most)
    browsers = await asyncio.gather(*(world.signed_in() for _ in range(20)))
    live = [browser for browser in browsers if await world.opens(browser.token)]

    assert len(live) == most
    assert len(await world.kit.sessions.list("ada")) == most


async def test_a_handle_that_cannot_be_one_is_nobodys_and_no_outage(world: World) -> None:
    browser = await world.signed_in()
    answers = {
        name: [await world.kit.sessions.revoke(handle), await world.kit.sessions.revoke(handle, user_id="ada")]
        for name, handle in ODD_HANDLES.items()
    }

    assert answers == {name: [False, False] for name in ODD_HANDLES}
    assert await world.opens(browser.token)


async def test_sessions_are_listed_revoked_and_changed(world: World, clock: Clock) -> None:
    browsers = []
    for device in ("phone", "laptop", "tablet"):
        browsers.append(await world.signed_in())
        await browsers[-1].post(f"/fields/device/{device}")
        clock.advance(1)
    other = await world.signed_in("grace")
    listed = await world.kit.sessions.list("ada")
    first_revoked = await world.kit.sessions.revoke(listed[0].handle, user_id="ada")
    foreign_revoked = await world.kit.sessions.revoke(listed[1].handle, user_id="grace")
    changed = await world.kit.sessions.update_user("ada", role="admin")
    ended = (await browsers[1].post("/others/end")).body

    assert [active.session.model_extra for active in listed] == [
        {"device": "phone"}, {"device": "laptop"}, {"device": "tablet"},
    ]  # fmt: skip
    assert (first_revoked, foreign_revoked, changed, ended) == (True, False, 2, 1)
    assert [await world.opens(browser.token) for browser in (*browsers, other)] == [False, True, False, True]
    assert (await browsers[1].get("/me")).body["role"] == "admin"
