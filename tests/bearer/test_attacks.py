"""Attacks on bearer tokens, by name."""

import pytest

from tests.bearer.support import Site
from tests.support import Clock, RecordingStore

CROSS_SITE = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}


def test_a_bearer_token_planted_as_a_cookie_is_nobodys(site: Site) -> None:
    assert site.who(cookie=site.token("ada")) == "nobody"


def test_a_stolen_cookie_presented_as_a_bearer_token_is_nobodys(site: Site) -> None:
    """Else it would be out of reach of the cross-origin check, and of the move to a new id."""
    assert site.who(site.cookie("grace")) == "nobody"


@pytest.mark.parametrize("path", ["/promote", "/logout", "/note/x"])
def test_a_bearer_token_as_a_cookie_changes_and_ends_nothing(stored: Site, path: str) -> None:
    token = stored.token("ada")

    stored.send("POST", path, cookie=token)

    assert stored.send("GET", "/me", token).json()["role"] == "user"


def test_signing_in_over_a_bearer_token_as_a_cookie_does_not_end_it(stored: Site) -> None:
    token = stored.token("ada")
    stored.send("POST", "/login/eve", cookie=token)

    assert stored.who(token) == "ada"


def test_a_cookie_as_a_bearer_token_changes_and_ends_nothing(stored: Site) -> None:
    cookie = stored.cookie("grace")
    for path in ("/promote", "/logout", "/note/x"):
        stored.send("POST", path, cookie)

    assert stored.who(cookie=cookie) == "grace"


def test_a_token_of_the_other_kind_is_no_device_of_ones_own(stored: Site) -> None:
    token, cookie = stored.token("ada"), stored.cookie("ada")

    assert stored.send("GET", "/devices?user=ada", cookie=token).json() == [False, False]
    assert stored.send("GET", "/devices?user=ada", cookie).json() == [False, False]


def test_a_bearer_token_stays_no_cookie_after_it_was_changed(stored: Site) -> None:
    token = stored.token("ada")
    stored.send("POST", "/promote", token)
    stored.send("POST", "/switch/eve", token)

    assert (stored.who(token), stored.who(cookie=token)) == ("eve", "nobody")


def test_a_bearer_token_is_no_cookie_once_bearer_is_switched_off(store: RecordingStore, clock: Clock) -> None:
    token = Site(backend=store, clock=clock).token("ada")
    without = Site(backend=store, clock=clock, bearer=False)

    assert without.who(cookie=token) == "nobody"
    assert without.who(token) == "nobody"


def test_a_token_of_another_kit_is_nobodys(store: RecordingStore, clock: Clock) -> None:
    token = Site(backend=store, clock=clock).token("ada")
    staff = Site(backend=store, clock=clock, name="staff")

    assert staff.who(token) == "nobody"


def test_a_forged_note_does_not_make_a_token_of_a_cookie(site: Site) -> None:
    """What a session holds is the application's; the note beside it is the library's."""
    cookie = site.cookie("grace")
    with pytest.raises(ValueError, match="__sessionkit__"):
        site.kit.services.codec.check_patch({"__sessionkit__": ["issued"]})

    assert site.who(cookie) == "nobody"


# Cross-site requests


def test_csrf_does_not_reach_a_bearer_so_its_requests_pass_from_anywhere(stored: Site) -> None:
    token = stored.token("ada")

    assert stored.send("POST", "/promote", token, **CROSS_SITE).status_code == 200


def test_csrf_with_a_header_beside_the_cookie_does_not_act_for_the_cookie(site: Site) -> None:
    """No page can make a browser send it without being asked (CORS); and if it could, the cookie is not read."""
    cookie = site.cookie("grace")

    response = site.send("POST", "/logout", "nonsense", cookie, **CROSS_SITE)

    assert "set-cookie" not in response.headers
    assert site.who(cookie=cookie) == "grace"


def test_csrf_with_credentials_of_another_scheme_is_refused_for_the_cookie(site: Site) -> None:
    """A link may hold a name and a password (``https://user:pass@host``), which browsers send as ``Basic``."""
    headers = {"authorization": "Basic YWRhOmRlbW8=", **CROSS_SITE}

    assert site.send("POST", "/promote", cookie=site.cookie("grace"), **headers).status_code == 403


def test_login_csrf_is_refused_without_a_token_as_before(site: Site) -> None:
    assert site.send("POST", "/login/eve", **CROSS_SITE).status_code == 403


# Leaks


def test_a_leaked_table_opens_no_session(stored: Site, store: RecordingStore) -> None:
    token = stored.token("ada")
    [(key, record)] = [
        arguments for name, arguments in zip(store.calls, store.arguments, strict=True) if name == "create"
    ]

    assert token.partition(".")[0] not in f"{key} {record}"
    assert stored.who(key) == "nobody"


def test_a_cookie_jar_never_holds_the_token(site: Site) -> None:
    client = site.client(site.cookie("grace"))
    token = client.post("/token/ada").json()

    assert token not in [cookie.value for cookie in client.cookies.jar]
