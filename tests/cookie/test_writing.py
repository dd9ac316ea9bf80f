"""The session cookie is set and removed with the attributes of its settings, and lost cookies are explained."""

from typing import Any

import pytest
from starlette.websockets import WebSocket

from fastapi_sessionkit import CookieSettings, Session, set_session
from tests.cookie.support import Site, parsed

# Writing


DEFAULT = {"path": "/", "httponly": True, "samesite": "Lax", "secure": True}


@pytest.mark.parametrize(
    ("options", "name", "attributes"),
    [
        ({}, "__Host-session", DEFAULT),
        ({"name": "sid"}, "__Host-sid", DEFAULT),
        ({"same_site": "strict"}, "__Host-session", {**DEFAULT, "samesite": "Strict"}),
        ({"same_site": "none"}, "__Host-session", {**DEFAULT, "samesite": "None"}),
        ({"path": "/app"}, "sessionkit", {**DEFAULT, "path": "/app"}),
        ({"domain": "testserver.example"}, "sessionkit", {**DEFAULT, "domain": "testserver.example"}),
        ({"https_only": False}, "sessionkit", {"path": "/", "httponly": True, "samesite": "Lax"}),
        ({"name": "session", "https_only": False}, "session", {"path": "/", "httponly": True, "samesite": "Lax"}),
        ({"partitioned": True}, "__Host-session", {**DEFAULT, "partitioned": True}),
        ({"partitioned": True, "same_site": "none", "path": "/app"}, "sessionkit",
         {**DEFAULT, "samesite": "None", "path": "/app", "partitioned": True}),
        ({"https_only": True, "domain": "testserver.example", "path": "/app"}, "sessionkit",
         {**DEFAULT, "domain": "testserver.example", "path": "/app"}),
    ],
)  # fmt: skip
def test_the_cookie_has_the_attributes_of_its_settings(
    options: dict[str, Any], name: str, attributes: dict[str, Any]
) -> None:
    cookie = Site(cookie=CookieSettings(**options)).client().post("/login").headers["set-cookie"]
    given_name, value, given_attributes = parsed(cookie)

    assert value
    assert given_name == name
    assert int(str(given_attributes.pop("max-age"))) > 0
    assert given_attributes == attributes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "sid", "same_site": "strict"},
        {"same_site": "none"},
        {"same_site": "none", "partitioned": True},
        {"path": "/app"},
        {"domain": "testserver.example", "path": "/app"},
        {"https_only": False},
        {"https_only": False, "domain": "testserver.example"},
    ],
)
def test_the_cookie_is_removed_with_the_attributes_that_it_was_set_with(options: dict[str, Any]) -> None:
    """A browser keeps a cookie whose removal differs in name, path, domain or ``Secure``."""
    site = Site(cookie=CookieSettings(**options))
    login = site.client().post("/login").headers["set-cookie"]
    name, _, attributes = parsed(login)
    cookie = {"cookie": login.partition(";")[0]}
    removed_name, value, removed = parsed(site.client().post("/logout", headers=cookie).headers["set-cookie"])

    assert (removed_name, value) == (name, "")
    assert removed.pop("max-age") == "0"
    assert removed.pop("expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    del attributes["max-age"]
    assert removed == attributes


def test_a_client_forgets_the_cookie_when_it_signs_out(site: Site) -> None:
    client = site.client()
    client.post("/login")
    assert client.get("/who").text == "ada"

    client.post("/logout")

    assert list(client.cookies.jar) == []
    assert client.get("/who").text == "nobody"


def test_max_age_is_what_is_left_of_the_absolute_lifetime(clock: Any) -> None:
    site = Site(absolute_timeout=1_000, idle_timeout=500, clock=clock)
    client = site.client()
    assert "Max-Age=1000;" in client.post("/login").headers["set-cookie"]

    clock.advance(300)

    assert "Max-Age=700;" in client.get("/who").headers["set-cookie"]


def test_max_age_is_never_longer_than_what_is_left(clock: Any) -> None:
    client = Site(absolute_timeout=1_000, idle_timeout=1_000, clock=clock).client()
    client.post("/login")

    clock.advance(999.5)

    assert "Max-Age=0;" in client.get("/who").headers["set-cookie"]


def test_the_name_of_the_header_is_lower_case_as_http_2_has_it(site: Site) -> None:
    assert b"set-cookie" in dict(site.client().post("/login").headers.raw)


# A Secure cookie over plain http


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "plain http" in record.getMessage()]


def test_a_secure_cookie_over_plain_http_is_logged_once_with_the_reason(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    client = site.client("http://testserver")

    for _ in range(3):
        client.post("/login")

    assert len(warnings_of(caplog)) == 1
    assert "browsers drop it" in warnings_of(caplog)[0]
    assert "https_only" in warnings_of(caplog)[0]


@pytest.mark.parametrize("base_url", ["https://testserver"])
def test_over_https_nothing_is_logged(site: Site, base_url: str, caplog: pytest.LogCaptureFixture) -> None:
    site.client(base_url).post("/login")

    assert warnings_of(caplog) == []


def test_a_cookie_that_is_not_secure_is_not_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    Site(cookie=CookieSettings(https_only=False)).client("http://testserver").post("/login")

    assert warnings_of(caplog) == []


def test_a_secure_cookie_over_a_plain_websocket_is_logged_too(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    @site.app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        set_session(websocket, Session(user_id="ada"))
        await websocket.accept()
        await websocket.close()

    with site.client().websocket_connect("ws://testserver/ws"):
        pass

    assert len(warnings_of(caplog)) == 1
