"""Sessions of another library move to the kit's own, once: nobody is signed out by switching, and who signs out stays out."""

from collections.abc import Iterator
from typing import Any

import pytest

from fastapi_sessionkit import (
    CookieBackend,
)
from fastapi_sessionkit.stores.sql import SQLStore
from tests.bridges.switched import OLD, OLD_KEY, Switched, from_a_store, from_starlette, session_of, signed
from tests.events.support import told
from tests.support import COOKIE, client_of


@pytest.fixture(params=["cookie", "encrypted", "memory", "sqlite"])
def switched(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Switched]:
    if request.param == "cookie":
        yield from_starlette()
    elif request.param == "encrypted":
        backend = CookieBackend(encrypt=True, accept_starlette=(OLD_KEY, session_of))
        yield Switched(backend, lambda: signed({"user": "ada"}))
    elif request.param == "memory":
        yield from_a_store()
    else:
        yield from_a_store(SQLStore(f"sqlite+aiosqlite:///{tmp_path}/sessions.db"))


def test_a_session_that_is_taken_over_is_told_as_a_sign_in_that_says_so(switched: Switched) -> None:
    events = told(switched.kit)
    browser = switched.browser()
    browser.get("/me")
    browser.post("/note/later")

    assert [(event.name, event.user_id, event.path, event.reason) for event in events] == [
        ("signed_in", "ada", "/me", "taken over from another library"),
        ("updated", "ada", "/note/later", None),
    ]
    assert events[0].fingerprint == events[1].fingerprint


def test_nobody_is_signed_out_by_switching(switched: Switched) -> None:
    client = switched.browser()

    assert client.get("/me").json() == ["ada", ""]
    assert list(client.cookies) == [COOKIE]  # the old one is gone
    assert client.get("/me").json() == ["ada", ""]


def test_a_response_that_asks_for_nobody_takes_nothing_over(switched: Switched) -> None:
    client = switched.browser()

    assert "set-cookie" not in client.get("/idle").headers


def test_a_response_with_the_new_cookie_is_kept_by_no_cache(switched: Switched) -> None:
    assert switched.browser().get("/me").headers["cache-control"] == "no-store"


def test_a_response_of_500_moves_nothing_and_the_next_one_does(switched: Switched) -> None:
    client = switched.browser()
    client.get("/fail")

    assert list(client.cookies) == ["session"]
    assert client.get("/me").json() == ["ada", ""]


@pytest.mark.parametrize("path", ["/note/tea", "/note-unseen/tea"])
def test_a_change_in_the_request_that_moves_is_saved(switched: Switched, path: str) -> None:
    client = switched.browser()
    assert client.post(path).status_code == 200

    assert client.get("/me").json() == ["ada", "tea"]


@pytest.mark.parametrize("path", ["/move", "/prove"])
def test_a_move_to_a_new_id_before_anything_was_read_serves(switched: Switched, path: str) -> None:
    client = switched.browser()

    assert client.post(path).status_code == 200
    assert client.get("/me").json() == ["ada", ""]


def test_who_signs_out_stays_out(switched: Switched) -> None:
    client = switched.browser()
    client.get("/me")
    client.post("/logout")

    assert list(client.cookies) == []
    assert client.get("/me").status_code == 401


def test_who_signs_out_before_anything_else_stays_out(switched: Switched) -> None:
    client = switched.browser()
    client.post("/logout")

    assert list(client.cookies) == []
    assert client.get("/me").status_code == 401


def test_a_sign_in_removes_the_old_cookie(switched: Switched) -> None:
    client = switched.browser()
    client.post("/login")

    assert list(client.cookies) == [COOKIE]


@pytest.mark.parametrize("path", ["/note/evil", "/logout", "/login"])
def test_another_site_can_not_use_the_old_cookie(switched: Switched, path: str) -> None:
    client = switched.browser()
    evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}

    assert client.post(path, headers=evil).status_code == 403
    assert client.get("/me").json() == ["ada", ""]


def test_nobody_knows_how_long_ago_its_user_signed_in(switched: Switched) -> None:
    client = switched.browser()

    assert client.get("/fresh").status_code == 401
    assert client.get("/info").json() == {"authenticated": 0.0}
    assert client.get("/fresh").status_code == 401
    client.post("/prove")
    assert client.get("/fresh").status_code == 200


def test_who_proves_who_they_are_as_they_move_is_fresh(switched: Switched) -> None:
    client = switched.browser()
    client.post("/prove")

    assert client.get("/fresh").status_code == 200


@pytest.mark.parametrize("junk", ["", "null", "made-up", "a.b.c", "=", "x" * 5_000, '"quoted"'])
def test_what_nobody_vouches_for_is_nobody(switched: Switched, junk: str) -> None:
    client = switched.browser(junk)

    assert client.get("/me").status_code == 401
    assert client.post("/note/tea").status_code == 401


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        (["XaX"], ["XaX"]),
        (["x" * 4_096, "x" * 4_097], ["x" * 4_096]),
        ([*"12345678"], [*"12345678"]),
        ([*"123456789"], []),
    ],
)
def test_the_function_is_asked_of_a_few_values_that_are_not_too_long(values: list[str], asked: list[str]) -> None:
    seen: list[str] = []
    client = client_of(from_a_store(adopt=seen.append).app)

    client.get("/me", headers={"cookie": "; ".join(f"session={value}" for value in values)})

    assert seen == asked


def test_a_cookie_of_another_name_is_not_looked_at(switched: Switched) -> None:
    assert switched.browser(name="other").get("/me").status_code == 401


def test_two_old_cookies_that_both_lead_somewhere_count_as_none(switched: Switched) -> None:
    other = signed({"user": "bob"}) if switched.old() != OLD else "their-id-of-bob"
    both = {"cookie": f"session={switched.old()}; session={other}"}

    assert client_of(switched.app).get("/me", headers=both).status_code == 401


def test_one_of_two_old_cookies_that_leads_somewhere_counts(switched: Switched) -> None:
    both = {"cookie": f"session=junk; session={switched.old()}"}

    assert client_of(switched.app).get("/me", headers=both).status_code == 200


def test_whoever_has_a_cookie_of_the_kits_has_moved_already(switched: Switched) -> None:
    client = switched.browser()
    client.cookies.set(COOKIE, "expired", domain="testserver.local", path="/")

    assert client.get("/me").status_code == 401


def test_a_session_of_another_model_says_what_to_give() -> None:
    async def wrong(_: str) -> Any:
        return {"user_id": "ada"}

    with pytest.raises(TypeError, match="gives a AppSession"):
        from_a_store(adopt=wrong).browser().get("/me")
