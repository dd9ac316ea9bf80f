"""Where `next` may lead: to a path on this site, judged by a parser that reads URLs as browsers do."""

from urllib.parse import unquote

import ada_url
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import URL, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fastapi_sessionkit import login_redirect_target

SITE = "https://app.example"
LOGIN_PAGES = [f"{SITE}/", f"{SITE}/login", f"{SITE}/a/b/login?next=x#y", f"{SITE}:8443/login"]


def request_with(query: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/login", "query_string": query.encode(), "headers": []})


def target_of(wanted: str, default: str = "/default") -> str:
    """What the query `next=wanted`, encoded as a browser would, leads to."""
    return login_redirect_target(request_with(str(QueryParams([("next", wanted)]))), default)


def stays_on_site(location: str) -> bool:
    """Whether a browser that follows this `Location` from any page of the site stays on it (WHATWG URL)."""
    return all(ada_url.URL(location, base=page).origin == ada_url.URL(page).origin for page in LOGIN_PAGES)


@pytest.mark.parametrize(
    "wanted",
    [
        "/",
        "/dashboard",
        "/dashboard/",
        "/search?q=a%20b&page=2",
        "/docs#/default/me",
        "/a:b@c",
        "/?next=/other",
        "/redirect?to=https://elsewhere.example/",
        "/a//b",
        "/%2F%2Felsewhere.example",
        "/%5Celsewhere.example",
        "/.//elsewhere.example",
        "/..//elsewhere.example",
        "/@elsewhere.example",
        "/https://elsewhere.example",
    ],
)
def test_a_path_on_this_site_is_let_through(wanted: str) -> None:
    assert target_of(wanted) == wanted
    assert stays_on_site(wanted)


ATTACKS = [
    "https://evil.example/",
    "http://evil.example",
    "HTTPS://EVIL.EXAMPLE",
    "https:evil.example",
    "https:/evil.example",
    "https:\\\\evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example/%2e%2e",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "//\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    "\n//evil.example",
    " //evil.example",
    "\x00//evil.example",
    "\x01/\x02/evil.example",
    "\x1f//evil.example",
    "/\x00/evil.example",
    "/\x0b/evil.example",
    "\u00a0//evil.example",
    "\u2028//evil.example",
    "/\u2028/evil.example",
    "/\ufffd/evil.example",
    "//evil.example@app.example",
    "//app.example@evil.example",
    "@evil.example",
    "evil.example",
    ".evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://app.example/x",
    "//[::1]/",
    "//1.1.1.1",
    "//0x7f.1",
    "/ok\r\nSet-Cookie: session=stolen",
    "/ok\nLocation: https://evil.example",
    "../x",
    "./x",
    "",
    " ",
    "/" + "a" * 3_000,
]


@pytest.mark.parametrize("wanted", ATTACKS, ids=ascii)
def test_what_leads_elsewhere_or_is_no_plain_path_falls_back_to_the_default(wanted: str) -> None:
    assert target_of(wanted) == "/default"


@pytest.mark.parametrize("query", ["next=%2Fa&next=%2Fb", "next=%2Fa&next=", "next=%2Fa&next=%2Fa"])
def test_next_given_twice_counts_as_none(query: str) -> None:
    assert login_redirect_target(request_with(query)) == "/"


@pytest.mark.parametrize("query", ["", "next", "next=", "Next=/a", "next[]=/a", "nextt=/a"])
def test_without_next_the_default_holds(query: str) -> None:
    assert login_redirect_target(request_with(query)) == "/"
    assert login_redirect_target(request_with(query), "/home") == "/home"


def test_next_that_is_no_utf_8_falls_back_to_the_default() -> None:
    assert login_redirect_target(request_with("next=/%ff%fe"), "/home") == "/home"


_PIECES = st.sampled_from(
    ["/", "//", "\\", ".", "..", "%2f", "%5c", "%09", "@", ":", "?", "#", "\t", "\n", "\r", " ", "\x00", "\x0b",
     "\u2028", "\u00a0", "\u3002", "\uff0f", "\ufeff", "\ufffd", "evil.example", "https:", "javascript:", "[::1]", "é", "日", "a", "next="]
)  # fmt: skip
_TEXTS = st.text(max_size=30) | st.lists(_PIECES, max_size=8).map("".join)
_WANTED = _TEXTS | _TEXTS.map(lambda text: "/" + text)


@given(_WANTED)
@example("/\uff0fevil.example")
@example("/\u2044/evil.example")
@example("/\ufeff/evil.example")
def test_whatever_is_let_through_resolves_to_the_same_origin(wanted: str) -> None:
    target = target_of(wanted)

    assert stays_on_site(target)


@given(_WANTED)
@example("/\u65e5\u672c")
@example("/a\u00adb")
@example('/"quoted"<b>')
def test_whatever_is_let_through_is_safe_as_a_header(wanted: str) -> None:
    target = target_of(wanted)
    by_hand = Response(status_code=303, headers={"Location": target, "HX-Redirect": target})

    assert stays_on_site(by_hand.headers["location"])
    assert stays_on_site(RedirectResponse(target).headers["location"])


@given(_WANTED)
def test_a_target_that_was_let_through_once_is_let_through_again_unchanged(wanted: str) -> None:
    target = target_of(wanted)

    assert target_of(target) == target


@given(st.text(max_size=20))
def test_what_is_let_through_names_the_page_that_was_wanted(name: str) -> None:
    wanted = "/" + name
    target = target_of(wanted)

    if target != "/default":
        assert unquote(ada_url.URL(target, base=SITE).href) == unquote(ada_url.URL(wanted, base=SITE).href)


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_the_judge_agrees_that_an_attack_is_no_path_on_this_site(attack: str) -> None:
    """The list is of attacks: each leads elsewhere, can't stand in a header, or is no absolute path."""
    harmless = attack.startswith("/") and not attack.startswith("//") and len(attack) < 2_048
    printable = all(" " < char < "\x7f" for char in attack)

    try:
        assert not (harmless and printable and stays_on_site(attack))
    except ValueError:  # no URL at all
        return


def test_a_page_of_the_site_is_the_base_that_the_judge_resolves_against() -> None:
    assert not stays_on_site("//evil.example")
    assert not stays_on_site("/\\evil.example")
    assert not stays_on_site("/\t/evil.example")
    assert stays_on_site("/a")
    assert URL(SITE).hostname == "app.example"


@pytest.mark.parametrize("default", ["https://evil.example", "//evil.example", "javascript:alert(1)", ""])
def test_open_redirect_by_a_default_that_is_taken_from_the_query(default: str) -> None:
    assert login_redirect_target(request_with("")) == "/"
    assert login_redirect_target(request_with(""), default) == "/"
    assert target_of("//evil.example", default) == "/"
