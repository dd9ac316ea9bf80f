"""Origins that are no web site's: web views and extensions; and all that is below a domain."""

from typing import Any

import pytest

from fastapi_sessionkit import ConfigurationError
from tests.support import new_kit
from tests.test_origin import refusal_of, verdict


@pytest.mark.parametrize(
    ("trusted", "origin", "status"),
    [
        ("capacitor://localhost", "capacitor://localhost", 200),
        ("ionic://localhost", "ionic://localhost", 200),
        ("tauri://localhost", "tauri://localhost", 200),
        ("app://com.example.mine", "app://com.example.mine", 200),
        ("app://.", "app://.", 200),
        ("app://-", "app://-", 200),
        ("capacitor-electron://-", "capacitor-electron://-", 200),
        ("app://.", "app://-", 403),
        ("app://.", "app://anything", 403),
        ("vscode-webview://1a2b", "vscode-webview://1a2b", 200),
        ("http://tauri.localhost", "http://tauri.localhost", 200),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop", 200),
        ("moz-extension://0e8e51fd-9c4a-4f4d-8a5e-0f1e2d3c4b5a", "moz-extension://0e8e51fd-9c4a-4f4d-8a5e-0f1e2d3c4b5a", 200),
        ("safari-web-extension://0E8E51FD-9C4A", "safari-web-extension://0e8e51fd-9c4a", 200),
        ("Capacitor://LOCALHOST", "capacitor://localhost", 200),
        ("capacitor://localhost:80", "capacitor://localhost:80", 200),
        ("capacitor://localhost", "capacitor://localhost:80", 403),
        ("capacitor://localhost", "ionic://localhost", 403),
        ("capacitor://localhost", "http://localhost", 403),
        ("capacitor://localhost", "capacitor://localhost.evil.example", 403),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://ponmlkjihgfedcba", 403),
        ("chrome-extension://abcdefghijklmnop", "moz-extension://abcdefghijklmnop", 403),
        ("capacitor://localhost", "null", 403),
    ],
)  # fmt: skip
def test_a_web_view_or_an_extension_is_trusted_by_its_own_scheme(trusted: str, origin: str, status: int) -> None:
    for site in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none, cross-site"}):
        assert verdict({"Origin": origin, **site}, trusted_origins=[trusted]) == status


@pytest.mark.parametrize("wrong", ["null", "NULL", "file://", "file:///index.html", "FILE://"])
def test_what_sends_null_is_refused_with_the_reason(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sandboxed frame.*cross_origin_exempt"):
        new_kit(trusted_origins=[wrong])


@pytest.mark.parametrize(
    "wrong",
    [
        "capacitor://",
        "capacitor:localhost",
        "://localhost",
        "1a://localhost",
        "capacitor://localhost/",
        "chrome-extension://*",
        "app://*.",
        "app://*.-",
        "https://.",
        "https://-",
        "http://a..example",
        "https://-a.example",
        "chrome-extension://*.abc",
        "chrome-extension://abc/page.html",
        "ws://app.example",
        "wss://app.example",
        "blob:https://app.example",
        "data://app.example",
    ],
)
def test_what_no_page_has_as_its_origin_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="trusted_origins takes origins as browsers send them"):
        new_kit(trusted_origins=[wrong])


def test_a_refused_null_is_explained() -> None:
    text = refusal_of("/act", {"Origin": "null"})

    assert "it came from 'null'" in text
    assert "sandboxed frame" in text


# All that is below a domain


@pytest.mark.parametrize(
    ("trusted", "origin", "status"),
    [
        ("https://*.example.com", "https://a.example.com", 200),
        ("https://*.example.com", "https://a.b.c.example.com", 200),
        ("https://*.example.com", "https://A.Example.Com", 200),
        ("https://*.Example.com", "https://a.example.com:443", 200),
        ("https://*.example.com:443", "https://a.example.com", 200),
        ("https://*.example.com:8443", "https://a.example.com:8443", 200),
        ("https://*.a.example.co.uk", "https://x.a.example.co.uk", 200),
        ("http://*.localhost:5173", "http://tenant.localhost:5173", 200),
        ("https://*.example.com", "https://example.com", 403),
        ("https://*.example.com", "https://.example.com", 403),
        ("https://*.example.com", "https://a..example.com", 403),
        ("https://*.example.com", "http://a.example.com", 403),
        ("https://*.example.com", "https://a.example.com:8443", 403),
        ("https://*.example.com:8443", "https://a.example.com", 403),
        ("https://*.example.com", "https://aexample.com", 403),
        ("https://*.example.com", "https://evil.example/.example.com", 403),
        ("https://*.example.com", "https://evil.example?.example.com", 403),
        ("https://*.example.com", "https://evil.example#.example.com", 403),
        ("https://*.example.com", "https://me@a.example.com", 403),
        ("https://*.example.com", "https://a.example.com.evil.example", 403),
        ("https://*.example.com", "https://a.exampleXcom", 403),
        ("https://*.example.com", "https://a.example.com, https://evil.example", 403),
        ("https://*.example.com", "capacitor://a.example.com", 403),
    ],
)
def test_a_star_is_one_label_or_more_and_never_the_domain_itself(trusted: str, origin: str, status: int) -> None:
    for site in ({}, {"Sec-Fetch-Site": "same-site"}):
        assert verdict({"Origin": origin, **site}, trusted_origins=[trusted]) == status


@pytest.mark.parametrize(
    "wrong",
    [
        "https://*.com",
        "https://*.example",
        "https://*.co.uk",
        "https://*.com.au",
        "https://*.CO.UK",
        "https://*.github.io",
        "https://*.vercel.app",
        "https://*.pages.dev:8443",
        "https://*.herokuapp.com",
    ],
)
def test_a_star_below_which_anybody_gets_a_name_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="sites of strangers"):
        new_kit(trusted_origins=[wrong])


@pytest.mark.parametrize(
    "right", ["https://*.mine.github.io", "https://*.example.co.uk", "https://*.go.dev", "https://*.co.app"]
)
def test_a_star_below_a_domain_of_ones_own_is_not(right: str) -> None:
    new_kit(trusted_origins=[right])


@pytest.mark.parametrize(
    "wrong",
    ["https://*", "https://*:443", "https://*.*.example.com", "https://a.*.example.com", "https://*a.example.com",
     "https://**.example.com", "*.example.com", "https://*.", "https://*.[::1]", "https://*.0.0.1", "wss://*.example.com"],
)  # fmt: skip
def test_a_star_anywhere_else_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="trusted_origins takes origins as browsers send them"):
        new_kit(trusted_origins=[wrong])


def test_denial_of_service_by_a_long_origin_takes_no_time() -> None:
    origin = "https://" + "a." * 30_000 + "-"

    assert verdict({"Origin": origin}, trusted_origins=["https://*.example.com"]) == 403
