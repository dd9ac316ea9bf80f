"""The redirect check: a browser that follows what it lets through stays on the site, by the parser that browsers have."""

import ada_url
from starlette.datastructures import QueryParams
from starlette.requests import Request

from fastapi_sessionkit import login_redirect_target
from fastapi_sessionkit._paths.denial import page_to_return_to
from fastapi_sessionkit._paths.redirects import is_same_site, location, requested

_PAGES = ["https://app.example/", "https://app.example:8443/a/b/login?next=x#y"]
_DEFAULT = "/default"

# What ``next`` says, what HTMX says where it is, a target in the settings, the ``root_path``, the request's path.
SEEDS = [
    text.encode()
    for text in (
        "/dashboard\nhttps://app.example/page?q=1\n/login\n\n/admin",
        "//evil.example\nhttps://evil.example//evil.example\n/login?x=1#y\n//evil.example\n//evil.example/x",
        "/\\evil.example\nhttps:\\\\evil.example/\\evil.example\n/login\n/\\evil.example\n/a",
        "/\t/evil.example\n//\n/\n/shop/\n/shop/a b",
        "https://evil.example\njavascript:alert(1)\n/%2F%2Fevil.example\n\\\n/%2F",
        "/.//evil.example\nhttps://[::1\n/..//evil.example\n/..\n/.//evil.example",
        "/\uff0fevil.example\n\u2028\n/\u3002\n/\u00e9\n/\u00e9",
        "/" + "\u00e9" * 400 + "\nx\n/a?b\n/a/\n/" + "x" * 60,
    )
]


def check(data: bytes) -> None:
    """Whatever leads on is a header's text, stays on the site, and is let through again as it is. No server decodes to a lone surrogate."""
    wanted, on, target, root, path, *_ = [*data.decode("utf-8", "replace").split("\n"), *[""] * 4]
    target = target if is_same_site(target) else _DEFAULT
    query = str(QueryParams([("next", wanted)])) if wanted.isprintable() else "next=" + wanted
    headers = [(b"hx-request", b"true"), (b"hx-current-url", on.encode("latin-1", "replace"))]
    asked = {"path": path, "root_path": root, "query_string": query.encode()}
    scope = {"type": "http", "method": "GET", "headers": headers, **asked}

    found = login_redirect_target(Request(scope), _DEFAULT)
    _assert_stays(found)
    assert login_redirect_target(_request_for(found), _DEFAULT) == found
    for back in (page_to_return_to(scope), requested(scope), found, None):
        _assert_stays(location(scope, target, back))


def _request_for(wanted: str) -> Request:
    query = str(QueryParams([("next", wanted)])).encode()
    return Request({"type": "http", "method": "GET", "path": "/login", "query_string": query, "headers": []})


def _assert_stays(target: str) -> None:
    assert target.isascii()
    assert all("!" <= char <= "~" for char in target)
    for page in _PAGES:
        assert ada_url.URL(target, base=page).origin == ada_url.URL(page).origin
