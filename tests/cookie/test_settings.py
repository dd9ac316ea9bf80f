"""``CookieSettings``: what no browser would follow is refused, and what development mode changes."""

from typing import Any

import pytest

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
)
from tests.cookie.support import Site, parsed


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a;b"},
        {"name": "a=b"},
        {"name": "caf\u00e9"},
        {"name": "a\r\nSet-Cookie: b"},
        {"name": "session\n"},
        {"name": "x" * 1_025},
        {"name": 1},
        {"name": False},
        {"name": b"session"},
        {"name": "__Host-session"},
        {"name": "__host-session"},
        {"name": "__Secure-session"},
        {"name": "__SECURE-session"},
        {"path": None},
        {"path": b"/"},
        {"path": ""},
        {"path": "app"},
        {"path": "/a;b"},
        {"path": "/a\r\nX: y"},
        {"path": "/a\n"},
        {"path": "/\u65e5"},
        {"path": "/caf\u00e9"},
        {"domain": ""},
        {"domain": "https://example.com"},
        {"domain": "example.com; Secure"},
        {"domain": "example.com:443"},
        {"domain": "b\u00fccher.example"},
        {"domain": "example.com\n"},
        {"domain": "..."},
        {"domain": "-"},
        {"domain": "a..example.com"},
        {"domain": "example.com."},
        {"domain": 0},
        {"domain": False},
        {"same_site": "Lax"},
        {"same_site": None},
        {"same_site": "no"},
        {"same_site": True},
        {"https_only": "false"},
        {"https_only": "true"},
        {"https_only": ""},
        {"https_only": 0},
        {"https_only": 1},
        {"same_site": "none", "https_only": False},
        {"partitioned": True, "https_only": False},
        {"partitioned": "yes"},
        {"partitioned": None},
    ],
)
def test_settings_that_no_browser_would_follow_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        CookieSettings(**wrong)


def test_the_longest_name_still_carries_a_session() -> None:
    site = Site(cookie=CookieSettings(name="x" * 1_024))
    client = site.client()

    client.post("/login")

    assert client.get("/who").text == "ada"


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        CookieSettings().https_only = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environment", "options", "secure"),
    [
        ("development", {}, False),
        ("development", {"https_only": True}, True),
        ("development", {"same_site": "none"}, True),
        ("development", {"partitioned": True}, True),
        ("production", {}, True),
        ("Development", {}, True),
        ("", {}, True),
        (None, {}, True),
        (None, {"https_only": False}, False),
    ],
)
def test_development_mode_alone_sends_the_cookie_over_plain_http(
    monkeypatch: pytest.MonkeyPatch, environment: str | None, options: dict[str, Any], secure: bool
) -> None:
    if environment is not None:
        monkeypatch.setenv("FASTAPI_ENV", environment)
    site = Site(cookie=CookieSettings(**options))

    name, _, attributes = parsed(site.client("http://testserver").post("/login").headers["set-cookie"])

    assert ("secure" in attributes) is secure
    assert name == ("__Host-session" if secure else "sessionkit")


def test_the_environment_counts_when_the_kit_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = CookieSettings()
    monkeypatch.setenv("FASTAPI_ENV", "development")
    site = Site(cookie=cookie)
    monkeypatch.delenv("FASTAPI_ENV")

    assert "Secure" not in site.client("http://testserver").post("/login").headers["set-cookie"]
