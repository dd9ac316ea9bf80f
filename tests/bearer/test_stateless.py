"""A token of ``CookieBackend`` is the session itself: it has a fixed lifetime, and nothing can change it."""

from typing import Any

import pytest

from fastapi_sessionkit import ConfigurationError, CookieBackend
from fastapi_sessionkit.backends import Loaded
from tests.bearer.support import Site
from tests.support import AppSession, Clock

DAY = 86_400


@pytest.mark.parametrize("path", ["/promote", "/note/hello", "/cart/tea", "/switch/eve"])
def test_a_change_is_an_error_that_says_what_to_do(stateless: Site, path: str) -> None:
    token = stateless.token("ada")

    with pytest.raises(ConfigurationError, match=r"bearer token is the session itself.*StoreBackend.*issue_token"):
        stateless.send("POST", path, token)
    assert stateless.send("GET", "/me", token).json()["role"] == "user"


def test_the_same_change_through_the_cookie_is_saved(stateless: Site) -> None:
    response = stateless.send("POST", "/promote", cookie=stateless.cookie("grace"))

    assert response.status_code == 200
    assert "set-cookie" in response.headers


def test_use_does_not_make_it_live_longer(stateless: Site, clock: Clock) -> None:
    token = stateless.token("ada", ttl=2 * DAY)
    clock.advance(DAY)
    response = stateless.send("GET", "/me", token)
    clock.advance(DAY + 1)

    assert (response.status_code, "set-cookie" in response.headers) == (200, False)
    assert stateless.who(token) == "nobody"


def test_without_a_ttl_it_lives_as_long_as_an_idle_session(stateless: Site, clock: Clock) -> None:
    token = stateless.token("ada")
    clock.advance(7 * DAY - 1)
    assert stateless.who(token) == "ada"
    clock.advance(1)

    assert stateless.who(token) == "nobody"


def test_no_use_is_noted_that_no_response_could_tell_the_client(clock: Clock) -> None:
    class Watched(CookieBackend):
        touched = 0

        async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
            self.touched += 1
            return await super().touch(loaded, last_seen_at=last_seen_at, expires_at=expires_at)

    backend = Watched()
    site = Site(backend=backend, clock=clock)
    token, cookie = site.token("ada"), site.cookie("grace")
    clock.advance(6 * DAY)

    assert (site.who(token), backend.touched) == ("ada", 0)
    assert (site.who(cookie=cookie), backend.touched) == ("grace", 1)


def test_signing_out_can_not_end_it(stateless: Site) -> None:
    """As with a stateless cookie, of which somebody has kept a copy."""
    token = stateless.token("ada")

    assert stateless.send("POST", "/logout", token).status_code == 200
    assert stateless.who(token) == "ada"


def test_what_revalidate_changes_holds_for_each_request(clock: Clock) -> None:
    asked: list[str] = []

    async def without_rights(session: AppSession) -> AppSession:
        asked.append(session.user_id)
        return session.model_copy(update={"role": None})

    site = Site(clock=clock, revalidate=without_rights)
    token = site.token("ada")

    for count in (1, 2):
        response = site.send("GET", "/me", token)
        assert (response.status_code, response.json()["role"]) == (200, None)
        assert response.headers["cache-control"] == "private, no-cache"  # nothing is saved, so nothing changes hands
        assert len(asked) == count


def test_what_revalidate_ends_is_nobody_each_time(clock: Clock) -> None:
    async def ended(_: Any) -> None: ...

    site = Site(clock=clock, revalidate=ended)
    token = site.token("ada")

    assert [site.who(token) for _ in range(2)] == ["nobody", "nobody"]
