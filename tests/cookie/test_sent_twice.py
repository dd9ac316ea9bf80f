"""The cookie's name sent more than once: what leads to a live session counts, and two of those are nobody's."""

from itertools import permutations
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fastapi_sessionkit import CookieBackend, MemoryStore, Session, StoreBackend
from fastapi_sessionkit.testing import signed_in
from tests.cookie.support import NAME, Site
from tests.support import COOKIE, Clock, RecordingStore


def cookies(*values: bytes) -> bytes:
    return b"; ".join(NAME + b"=" + value for value in values)


class Watched(CookieBackend):
    """Notes what it is asked to open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    async def load(self, token: bytes) -> Any:
        self.asked.append(token)
        return await super().load(token)


@pytest.mark.anyio
@pytest.mark.parametrize("rest", [b"", b"planted", b"x" * 4_097, b"\xff\x00"])
@pytest.mark.parametrize("together", [True, False])
async def test_beside_what_does_not_verify_the_session_is_found(site: Site, rest: bytes, together: bool) -> None:
    for values in permutations([site.token("ada"), rest]):
        pairs = [NAME + b"=" + value for value in values]

        assert await site.who(*([b"; ".join(pairs)] if together else pairs)) == "ada"


@pytest.mark.anyio
async def test_each_value_reaches_the_backend_byte_for_byte_if_it_is_not_too_long() -> None:
    backend, longest = Watched(), b"x" * 4_096

    assert await Site(backend=backend).who(cookies(b"XaX", longest, longest + b"x", b"")) == "nobody"
    assert list(dict.fromkeys(backend.asked)) == [b"XaX", longest]


@pytest.mark.anyio
async def test_cookie_tossing_of_a_session_that_is_alive_too_counts_as_none(site: Site) -> None:
    ada, eve = site.token("ada"), site.token("eve")

    assert await site.who(cookies(ada, eve)) == "nobody"
    assert await site.who(cookies(eve, ada)) == "nobody"
    assert await site.who(cookies(ada, b"planted", eve)) == "nobody"


@pytest.mark.anyio
async def test_the_same_value_twice_is_one(site: Site) -> None:
    ada = site.token("ada")

    assert await site.who(cookies(ada, ada), cookies(ada)) == "ada"


@pytest.mark.parametrize("ended", ["signed out", "idle", "absolute"])
def test_what_led_to_a_session_that_has_ended_does_not_count(ended: str, clock: Clock) -> None:
    site = Site(backend=MemoryStore(clock=clock), clock=clock, idle_timeout=50, absolute_timeout=100)
    eve = client_of_user(site, "eve")
    old = eve.cookies[COOKIE].encode()
    if ended == "signed out":
        eve.post("/logout")
    elif ended == "idle":
        clock.advance(60)
    else:
        for _ in range(4):
            clock.advance(30)
            eve.get("/who")
    ada = site.token("ada")

    assert who(site, cookies(old, ada)) == "ada"


def test_what_a_shorter_absolute_timeout_has_ended_by_now_does_not_count(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    old = Site(backend=store, clock=clock).token("eve")
    clock.advance(200)
    site = Site(backend=store, clock=clock, absolute_timeout=100)

    assert who(site, cookies(old, site.token("ada"))) == "ada"


@pytest.mark.anyio
async def test_a_flood_of_cookies_is_nobodys_and_asks_nothing() -> None:
    backend = Watched()
    site = Site(backend=backend)
    ada = site.token("ada")
    backend.asked.clear()

    assert await site.who(cookies(ada, *(b"%d" % number for number in range(8)))) == "nobody"
    assert backend.asked == []
    assert await site.who(cookies(*[ada] * 50, *(b"%d" % number for number in range(7)))) == "ada"
    assert len(backend.asked) == 8 + 1


@pytest.mark.anyio
async def test_one_cookie_is_looked_up_once() -> None:
    backend = Watched()
    site = Site(backend=backend)
    ada = site.token("ada")
    backend.asked.clear()

    assert await site.who(cookies(ada)) == "ada"
    assert backend.asked == [ada]


def test_what_is_no_signed_id_never_reaches_the_store() -> None:
    store = RecordingStore()
    site = Site(backend=StoreBackend(store))
    ada = site.token("ada")
    store.calls.clear()

    assert who(site, cookies(b"planted", ada)) == "ada"
    assert store.calls == ["get", "get"]


def test_signing_out_ends_the_one_that_verifies(backend: Any) -> None:
    site = Site(backend=backend)
    with site.client() as client:
        signed_in(client, site.kit, Session(user_id="ada"))
        ada = client.cookies[COOKIE].encode()
        client.cookies.clear()
        answer = client.post("/logout", headers={"Cookie": cookies(b"planted", ada).decode()})
        ended = "nobody" if site.kit.services.backend is not backend else "ada"  # a signed cookie can't be ended

        assert f"{COOKIE}=;" in answer.headers["set-cookie"]
        assert client.get("/who", headers={"Cookie": cookies(ada).decode()}).text == ended


def test_signing_in_ends_the_one_that_verifies() -> None:
    site = Site(backend=MemoryStore())
    ada = site.token("ada")

    site.client().post("/login", headers={"Cookie": cookies(b"planted", ada).decode()})

    assert who(site, cookies(ada)) == "nobody"


def client_of_user(site: Site, user_id: str) -> TestClient:
    return signed_in(site.client(), site.kit, Session(user_id=user_id))


def who(site: Site, header: bytes) -> str:
    return site.client().get("/who", headers={"Cookie": header.decode()}).text
