"""A session behind a bearer token: begun, read, changed and ended."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, Request, Response

from fastapi_sessionkit import ConfigurationError, SessionKit, SessionKitError
from tests.bearer.support import Site
from tests.support import ADA, AppSession, Clock, RecordingStore, app_kit, application

DAY = 86_400


def names(response: Any) -> set[str]:
    return {name.strip() for value in response.headers.get_list("vary") for name in value.split(",")}


# Whose a request is


def test_a_token_is_its_sessions(site: Site) -> None:
    assert site.who(site.token("ada")) == "ada"


def test_a_request_with_a_token_is_not_the_cookies(site: Site) -> None:
    assert site.who(site.token("ada"), site.cookie("grace")) == "ada"


@pytest.mark.parametrize("token", ["nonsense", "", "a.b"])
def test_an_invalid_token_is_nobody_whatever_the_cookie(site: Site, token: str) -> None:
    response = site.send("GET", "/me", token, site.cookie("grace"))

    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_a_request_without_a_token_is_the_cookies(site: Site) -> None:
    assert site.who(cookie=site.cookie("grace")) == "grace"


def test_a_kit_without_bearer_reads_no_token(clock: Clock) -> None:
    site = Site(bearer=False, clock=clock)

    assert site.who("nonsense", site.cookie("grace")) == "grace"
    assert site.send("GET", "/me").headers.get_list("www-authenticate") == ["Cookie"]
    assert site.send("GET", "/me").headers["vary"] == "Cookie"


# Issuing


def test_issuing_sets_no_cookie_and_leaves_the_requests_own_session(site: Site) -> None:
    cookie = site.cookie("grace")

    response = site.send("POST", "/token/ada", cookie=cookie)

    assert "set-cookie" not in response.headers
    assert site.who(response.json()) == "ada"
    assert site.who(cookie=cookie) == "grace"


def test_no_cache_keeps_a_response_that_gives_a_token(site: Site) -> None:
    assert site.send("POST", "/token/ada").headers["cache-control"] == "no-store"
    assert site.send("POST", "/token/ada", cookie=site.cookie()).headers["cache-control"] == "no-store"


def test_every_token_is_a_session_of_its_own(stored: Site) -> None:
    first = stored.token("ada")
    second = stored.send("POST", "/token/ada", first).json()
    stored.send("POST", "/logout", first)

    assert first != second
    assert (stored.who(first), stored.who(second)) == ("nobody", "ada")


def inside(kit: SessionKit[AppSession], act: Callable[[Request], Awaitable[Any]]) -> Any:
    """What a function of the request gives in an endpoint."""
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> Any:
        return await act(request)

    return client.post("/").json()


@pytest.mark.parametrize(
    ("setting", "session", "options", "error", "text"),
    [
        (False, ADA, {}, ConfigurationError, "bearer=True"),
        (True, {"user_id": "ada"}, {}, TypeError, "issue_token takes a AppSession"),
        (True, ADA, {"ttl": 0}, ConfigurationError, "ttl"),
        (True, ADA, {"ttl": 365 * DAY}, ConfigurationError, "absolute_timeout"),
    ],
)
def test_what_can_not_be_issued_is_an_error_that_says_why(
    setting: bool, session: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    kit = app_kit(bearer=setting)
    with pytest.raises(error, match=re.escape(text)):
        inside(kit, lambda request: kit.issue_token(request, session, **options))


def test_a_token_is_not_issued_after_the_response_has_started(store: RecordingStore) -> None:
    kit = app_kit(bearer=True, backend=store)
    app, client = application(kit)

    @app.get("/")
    async def endpoint(request: Request, tasks: BackgroundTasks) -> None:
        tasks.add_task(kit.issue_token, request, ADA)

    with pytest.raises(SessionKitError, match="issue_token came too late"):
        client.get("/")

    assert store.calls == []


def test_a_store_that_fails_is_503_and_no_token(stored: Site, store: RecordingStore) -> None:
    store.broken = {"create"}

    assert stored.send("POST", "/token/ada").status_code == 503


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_bearer_is_true_or_false(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"SessionKit\(bearer=...\) is True or False"):
        app_kit(bearer=value)


# Changing


def test_a_change_of_rights_keeps_the_token(stored: Site) -> None:
    token = stored.token("ada")

    response = stored.send("POST", "/promote", token)

    assert (response.status_code, "set-cookie" in response.headers) == (200, False)
    assert stored.send("GET", "/admin", token).status_code == 200


def test_a_change_of_rights_writes_one_record_and_makes_none(stored: Site, store: RecordingStore) -> None:
    token = stored.token("ada")
    store.calls.clear()
    stored.send("POST", "/promote", token)

    assert store.calls == ["get", "replace"]


def test_a_switch_of_the_user_keeps_the_token(stored: Site) -> None:
    token = stored.token("ada")
    stored.send("POST", "/switch/eve", token)

    assert stored.who(token) == "eve"
    assert stored.send("GET", "/devices?user=eve", token).json() == [True]


@pytest.mark.anyio
async def test_an_administrator_s_change_leaves_no_move_to_be_done(stored: Site, store: RecordingStore) -> None:
    stored.token("ada")
    await stored.kit.sessions.update_user("ada", role="admin")

    [(_, record)] = [given for name, given in zip(store.calls, store.arguments, strict=True) if name == "replace"]
    assert record.data.startswith(b'{"__sessionkit__":["issued"],')


@pytest.mark.anyio
async def test_what_an_administrator_changes_holds_and_keeps_the_token(stored: Site) -> None:
    token, cookie = stored.token("ada"), stored.cookie("ada")
    await stored.kit.sessions.update_user("ada", role="admin")

    by_token, by_cookie = stored.send("GET", "/admin", token), stored.send("GET", "/admin", cookie=cookie)

    assert (by_token.status_code, by_cookie.status_code) == (200, 200)
    assert ("set-cookie" in by_token.headers, "set-cookie" in by_cookie.headers) == (False, True)
    assert stored.send("GET", "/admin", token).status_code == 200


def test_a_change_in_place_is_saved(stored: Site) -> None:
    token = stored.token("ada")
    stored.send("POST", "/cart/tea", token)

    assert stored.send("GET", "/me", token).json()["cart"] == ["tea"]


def test_no_token_or_cookie_comes_from_set_session_with_a_bearer(site: Site) -> None:
    for token in (site.token("ada"), "nonsense"):
        response = site.send("POST", "/login/grace", token)

        assert response.status_code == 403
        assert "kit.issue_token" in response.json()["detail"]
        assert "set-cookie" not in response.headers


def test_regenerate_session_says_that_a_bearers_token_stays(site: Site) -> None:
    token = site.token("ada")

    response = site.send("POST", "/regenerate", token)

    assert response.status_code == 403
    assert "kit.issue_token" in response.json()["detail"]
    assert site.who(token) == "ada"


# Ending


def test_clear_session_ends_the_session_and_removes_no_cookie(stored: Site) -> None:
    token, cookie = stored.token("ada"), stored.cookie("grace")

    response = stored.send("POST", "/logout", token, cookie)

    assert "set-cookie" not in response.headers
    assert (stored.who(token), stored.who(cookie=cookie)) == ("nobody", "grace")


@pytest.mark.anyio
async def test_tokens_are_listed_and_revoked_as_every_other_session(stored: Site, clock: Clock) -> None:
    token = stored.token("ada")
    clock.advance(1)
    cookie = stored.cookie("ada")

    assert stored.send("GET", "/devices?user=ada", token).json().count(True) == 1
    [by_token, _] = await stored.kit.sessions.list("ada")
    assert await stored.kit.sessions.revoke(by_token.handle, user_id="ada")
    assert (stored.who(token), stored.who(cookie=cookie)) == ("nobody", "ada")


def test_tokens_count_for_max_sessions_per_user(store: RecordingStore, clock: Clock) -> None:
    site = Site(backend=store, clock=clock, max_sessions_per_user=2)
    first, second = site.token("ada"), site.token("ada")
    clock.advance(1)
    cookie = site.cookie("ada")

    assert [site.who(first), site.who(second)].count("ada") == 1
    assert site.who(cookie=cookie) == "ada"


def test_a_token_that_is_used_lives_on_and_one_that_is_not_ends(stored: Site, clock: Clock) -> None:
    used, unused = stored.token("ada", ttl=DAY), stored.token("ada", ttl=DAY)
    for _ in range(4):
        clock.advance(DAY / 2)
        assert stored.who(used) == "ada"

    assert stored.who(unused) == "nobody"


def test_the_absolute_lifetime_ends_a_token(stored: Site, clock: Clock) -> None:
    token = stored.token("ada")
    for _ in range(30):
        assert stored.who(token) == "ada"
        clock.advance(DAY)

    assert stored.who(token) == "nobody"


# What the response says


def test_what_depends_on_the_session_varies_by_both_headers(site: Site) -> None:
    token, cookie = site.token("ada"), site.cookie("grace")
    for response in (
        site.send("GET", "/who"),
        site.send("GET", "/who", token),
        site.send("GET", "/who", cookie=cookie),
        site.send("POST", "/logout", cookie=cookie),
        site.send("POST", "/login/grace"),
        site.send("GET", "/me", "nonsense"),
    ):
        assert names(response) == {"Cookie", "Authorization"}


def test_what_does_not_depend_on_the_session_says_nothing(site: Site) -> None:
    assert names(site.send("GET", "/idle", site.token("ada"))) == set()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Accept", ["Accept", "Cookie, Authorization"]),
        ("authorization", ["authorization", "Cookie"]),
        ("cookie, Accept", ["cookie, Accept", "Authorization"]),
        ("Cookie, Authorization", ["Cookie, Authorization"]),
        ("*", ["*"]),
    ],
)
def test_a_header_that_the_application_names_is_not_named_again(site: Site, given: str, expected: list[str]) -> None:
    @site.app.get("/varied", dependencies=[Depends(site.kit.get_session)])
    async def varied() -> Response:
        return Response(headers={"vary": given})

    assert site.send("GET", "/varied").headers.get_list("vary") == expected


def test_what_a_bearer_reads_is_private(site: Site) -> None:
    assert site.send("GET", "/me", site.token("ada")).headers["cache-control"] == "private, no-cache"
