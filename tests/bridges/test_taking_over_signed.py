"""Sessions that another library signed move to the kit's signed cookie, which forgets none of their age."""

from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.middleware.sessions import SessionMiddleware

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    CookieSettings,
    StoreBackend,
)
from tests.bridges.switched import DAY, OLD_KEY, Switched, from_starlette, session_of, signed, signed_at
from tests.support import COOKIE, SECRET, SITE, AppSession, Clock, RecordingStore


@pytest.mark.parametrize("name", [None, "session"])
def test_a_session_that_starlettes_middleware_wrote_is_taken_over(name: str | None) -> None:
    before = FastAPI()
    before.add_middleware(SessionMiddleware, secret_key=OLD_KEY)

    @before.post("/login")
    async def login(request: Request) -> None:
        request.session["user"] = "ada"

    old = TestClient(before, base_url=SITE)
    old.post("/login")
    switched = from_starlette(cookie=CookieSettings(name=name, https_only=False) if name else CookieSettings())
    client = switched.browser(old.cookies["session"])

    assert client.get("/me").json() == ["ada", ""]
    assert list(client.cookies) == [name or COOKIE]
    assert client.get("/me").json() == ["ada", ""]
    client.post("/logout")
    assert client.get("/me").status_code == 401


def test_a_cookie_that_was_signed_with_another_key_is_nobody() -> None:
    assert from_starlette().browser(signed({"user": "ada"}, SECRET)).get("/me").status_code == 401


@pytest.mark.parametrize("data", [[], "ada", None, 1, {}, {"flash": "hello"}])
def test_a_signed_cookie_without_a_user_is_nobody(data: Any) -> None:
    assert from_starlette().browser(signed(data)).get("/me").status_code == 401


@pytest.mark.parametrize(("age", "status"), [(14 * DAY, 200), (14 * DAY + 1, 401), (-10, 200), (-11, 401)])
def test_an_old_cookie_serves_as_long_as_it_did(age: float, status: int) -> None:
    clock = Clock()
    switched = from_starlette(clock=clock)
    old = signed_at(clock() - age)

    assert switched.browser(old).get("/me").status_code == status


def test_a_copy_of_the_old_cookie_does_not_outlive_the_absolute_timeout() -> None:
    clock = Clock()
    switched = from_starlette(clock=clock, absolute_timeout=3 * 86_400, idle_timeout=3 * 86_400)
    client = switched.browser(signed_at(clock() - 2 * 86_400))

    assert client.get("/me").status_code == 200
    clock.advance(86_400 + 1)
    assert client.get("/me").status_code == 401
    assert switched.browser(signed_at(clock() - 4 * 86_400)).get("/me").status_code == 401


@pytest.mark.parametrize(
    ("settings", "removed"),
    [
        ({}, ["Path=/; HttpOnly; SameSite=Lax; Secure"]),
        (
            {"path": "/app"},
            ["Path=/app; HttpOnly; SameSite=Lax; Secure", "Path=/; HttpOnly; SameSite=Lax; Secure"],
        ),
        (
            {"domain": "testserver.local"},
            [
                "Path=/; HttpOnly; SameSite=Lax; Domain=testserver.local; Secure",
                "Path=/; HttpOnly; SameSite=Lax; Secure",
            ],
        ),
        ({"name": "session", "path": "/app"}, []),  # the kit's own takes its place
    ],
)
def test_the_old_cookie_is_removed_at_the_kits_place_and_at_the_site_s(
    settings: dict[str, Any], removed: list[str]
) -> None:
    headers = from_starlette(cookie=CookieSettings(**settings)).browser().get("/me").headers.get_list("set-cookie")
    gone = "session=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "

    assert [header for header in headers if header.startswith("session=;")] == [gone + flags for flags in removed]
    assert len(headers) == len(removed) + 1


def test_an_object_that_does_not_understand_is_nobody_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    class Careless:
        def __call__(self, data: dict[str, Any]) -> AppSession:
            return AppSession(user_id=data["user"])

    switched = Switched(CookieBackend(accept_starlette=(OLD_KEY, Careless())), lambda: signed({}))

    assert switched.browser().get("/me").status_code == 401
    assert "Careless raised KeyError" in caplog.text


def test_data_that_the_function_does_not_understand_is_nobody_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def careless(data: dict[str, Any]) -> AppSession:
        return AppSession(user_id=data["user"])

    switched = Switched(CookieBackend(accept_starlette=(OLD_KEY, careless)), lambda: signed({"secret": "value"}))

    assert switched.browser().get("/me").status_code == 401
    assert "careless raised KeyError" in caplog.text
    assert "value" not in caplog.text


@pytest.mark.parametrize(
    "accepted",
    [
        ("short", session_of),
        ("x" * 31, session_of),
        [OLD_KEY, session_of],
        (" " * 40, session_of),
        (None, session_of),
        (OLD_KEY, None),
        (OLD_KEY, lambda: None),
        (OLD_KEY,),
        OLD_KEY,
    ],
)
def test_what_can_not_take_over_is_refused(accepted: Any) -> None:
    with pytest.raises(ConfigurationError, match="accept_starlette"):
        CookieBackend(accept_starlette=accepted)


@pytest.mark.parametrize(
    "options",
    [{"old_cookie": name} for name in ("", "a b", "a;b", "a=b", "a\tb", "sitzung\xe4", None)] + [{"old_max_age": 0}],
)
def test_other_settings_that_can_not_work_are_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="old_"):
        CookieBackend(accept_starlette=(OLD_KEY, session_of), **options)


def test_the_shortest_key_and_any_name_of_a_cookie_will_do() -> None:
    backend = CookieBackend(accept_starlette=("x" * 32, session_of), old_cookie="__Host-X_1.SESSION")

    assert backend.takeover() is not None


@pytest.mark.parametrize("adopt", [0, "adopted", lambda: None])
def test_what_can_not_adopt_is_refused(adopt: Any) -> None:
    with pytest.raises(ConfigurationError, match="adopt"):
        StoreBackend(RecordingStore(), adopt=adopt)
