"""Bearer tokens on every store: their sessions are kept, changed, listed and ended as every other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from fastapi_sessionkit import SessionStore
from tests.bearer.support import Site
from tests.support import SITE, Clock

pytestmark = pytest.mark.anyio


class Devices:
    """Clients of one site that bring a token, a cookie or nothing."""

    def __init__(self, site: Site, client: httpx.AsyncClient) -> None:
        self.site, self.client = site, client

    async def send(self, method: str, path: str, token: str = "", cookie: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= {"cookie": f"{self.site.kit.cookie_name}={cookie}"} if cookie else {}
        return await self.client.request(method, path, headers=headers)

    async def token(self, user: str) -> str:
        given: str = (await self.send("POST", f"/token/{user}")).json()
        return given

    async def who(self, token: str = "", cookie: str = "") -> str:
        name: str = (await self.send("GET", "/who", token, cookie)).json()
        return name


@pytest.fixture
async def devices(store: SessionStore, clock: Clock) -> AsyncIterator[Devices]:
    async with devices_of(Site(backend=store, clock=clock)) as devices:
        yield devices


@asynccontextmanager
async def devices_of(site: Site) -> AsyncIterator[Devices]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site.app), base_url=SITE) as client:
        yield Devices(site, client)


async def test_a_token_is_kept_changed_and_ended(devices: Devices) -> None:
    token = await devices.token("ada")
    assert await devices.who(token) == "ada"
    assert (await devices.send("GET", "/admin", token)).status_code == 403
    await devices.send("POST", "/promote", token)
    assert (await devices.send("GET", "/admin", token)).status_code == 200
    await devices.send("POST", "/logout", token)

    assert await devices.who(token) == "nobody"


async def test_a_token_is_no_cookie_and_a_cookie_no_token(devices: Devices) -> None:
    token = await devices.token("ada")
    cookie = (await devices.send("POST", "/login/grace")).cookies[devices.site.kit.cookie_name]

    assert (await devices.who(cookie=token), await devices.who(cookie)) == ("nobody", "nobody")
    assert (await devices.who(token), await devices.who(cookie=cookie)) == ("ada", "grace")


async def test_changes_at_the_same_time_all_win_also_where_rights_change(devices: Devices) -> None:
    token = await devices.token("ada")
    changes = ["/cart/tea", "/note/hello", "/promote"]
    answers = await asyncio.gather(*(devices.send("POST", path, token) for path in changes))
    session = (await devices.send("GET", "/me", token)).json()

    assert {answer.status_code for answer in answers} == {200}
    assert (session["cart"], session["note"], session["role"]) == (["tea"], "hello", "admin")


async def test_a_token_is_found_listed_and_revoked(devices: Devices) -> None:
    kept, revoked = await devices.token("ada"), await devices.token("ada")
    sessions = devices.site.kit.sessions
    listed = (await devices.send("GET", "/devices?user=ada", revoked)).json()
    [handle] = [each.handle for each, current in zip(await sessions.list("ada"), listed, strict=True) if current]

    assert await sessions.revoke(handle, user_id="ada")
    assert (await devices.who(kept), await devices.who(revoked)) == ("ada", "nobody")
    assert await sessions.revoke_user("ada") == 1
    assert await devices.who(kept) == "nobody"


async def test_a_switch_of_the_user_is_found_under_the_new_one(devices: Devices) -> None:
    token = await devices.token("ada")
    await devices.send("POST", "/switch/eve", token)

    assert [len(await devices.site.kit.sessions.list(user)) for user in ("ada", "eve")] == [0, 1]
    assert await devices.who(token) == "eve"


async def test_use_is_noted_and_idleness_ends_it(devices: Devices, clock: Clock) -> None:
    used, unused = await devices.token("ada"), await devices.token("ada")
    for _ in range(3):
        clock.advance(4 * 86_400)
        assert await devices.who(used) == "ada"

    assert await devices.who(unused) == "nobody"
    assert len(await devices.site.kit.sessions.list("ada")) == 1


async def test_tokens_count_for_the_most_sessions_of_a_user(store: SessionStore, clock: Clock) -> None:
    async with devices_of(Site(backend=store, clock=clock, max_sessions_per_user=2)) as devices:
        tokens = []
        for _ in range(3):
            tokens.append(await devices.token("ada"))
            clock.advance(1)

        assert [await devices.who(token) for token in tokens] == ["nobody", "ada", "ada"]
