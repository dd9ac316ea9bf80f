"""Attack: a method, or a header, that shall make the guard look away. What is behind it never runs."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse
from starlette.types import Message

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule, Session
from fastapi_sessionkit.testing import signed_in
from tests.support import COOKIE, client_of, new_kit

pytestmark = pytest.mark.anyio

GUARD = RouterGuard(
    protect=[
        Rule("/admin/**", role="admin"),
        Rule("/reports/**", methods=["POST", "DELETE"], role="editor"),
        Rule("/reports/**", methods=["GET"], public=True),
        Rule("/public/**", public=True),
    ],
    global_protect=True,
)
Headers = Sequence[tuple[str, str]]


def application() -> tuple[FastAPI, list[str], str]:
    """Everything that serves every method; what has run; and a token of somebody who may do nothing."""
    app, kit, ran = FastAPI(), new_kit(model=Session), list[str]()
    kit.install(app, guard=GUARD)

    async def everything(scope: Any, receive: Any, send: Any) -> None:
        ran.append(f"{scope['method']} {scope['path']}")
        await PlainTextResponse("ran")(scope, receive, send)

    @app.get("/admin/page")
    @app.post("/admin/page")
    @app.delete("/reports/{number}")
    @app.post("/reports/{number}")
    @app.get("/public/page")
    async def page(request: Request) -> str:
        ran.append(f"{request.method} {request.url.path}")
        return "ran"

    for path in ("/admin/all", "/reports/all", "/public/all"):
        app.mount(path, everything)
    token = str(signed_in(client_of(app), kit, Session(user_id="ada")).cookies[COOKIE])
    return app, ran, token


async def status_of(app: Any, method: str, path: str, headers: Headers = (), **more: Any) -> int:
    """The status over bare ASGI: no client and no server corrects the method."""
    messages: list[Message] = []
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *((name.lower().encode(), value.encode()) for name, value in headers)],
        "scheme": "https",
        "server": ("testserver", 443),
        "client": ("127.0.0.1", 1),
        **more,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    began = time.perf_counter()
    await app(scope, receive, send)
    assert time.perf_counter() - began < 5
    return int(messages[0]["status"])


METHODS = [
    "get",
    "Get",
    "GET ",
    " GET",
    "gEt",
    "post",
    "HEAD",
    "head",
    "OPTIONS",
    "options",
    "TRACE",
    "CONNECT",
    "PRI",
    "PATCH",
]
METHODS += ["PROPFIND", "QUERY", "", "\u0130", "GET\x00", "GET,POST", "*", "DELETE", "delete", "PUT", "M" * 10_000]


@pytest.mark.parametrize("who", ["nobody", "somebody"])
async def test_attack_by_a_method_that_no_rule_spells_so(who: str) -> None:
    app, ran, token = application()
    headers = [("cookie", f"{COOKIE}={token}")] if who == "somebody" else []

    for method in METHODS:
        for path in ("/admin/page", "/admin/all", "/admin/all/x"):
            assert await status_of(app, method, path, headers) in {401, 403}, (method, path)
    assert ran == []


async def test_attack_by_a_small_letter_on_a_rule_of_some_methods() -> None:
    app, ran, token = application()

    for method in ("DELETE", "delete", "Delete", "POST", "post", "pOST"):
        for path in ("/reports/1", "/reports/all"):
            assert await status_of(app, method, path) == 401, method
            assert await status_of(app, method, path, [("cookie", f"{COOKIE}={token}")]) == 403, method
    assert ran == []


OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "HTTP-Method-Override", "_method"]


@pytest.mark.parametrize("name", OVERRIDES)
async def test_attack_by_a_header_that_overrides_the_method(name: str) -> None:
    app, ran, _ = application()

    for real, said in (("POST", "GET"), ("DELETE", "GET"), ("DELETE", "HEAD"), ("POST", "OPTIONS")):
        assert await status_of(app, real, "/reports/1", [(name, said)]) == 401
        assert await status_of(app, real, "/reports/1", query_string=f"_method={said}&{name}={said}".encode()) == 401
    assert ran == []


async def test_attack_by_a_header_that_overrides_the_method_of_a_forgery() -> None:
    """An unsafe request with the cookie from elsewhere stays one, whatever it says that it is."""
    app, ran, token = application()
    foreign = [("cookie", f"{COOKIE}={token}"), ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]

    for name in OVERRIDES:
        assert await status_of(app, "POST", "/public/all", [*foreign, (name, "GET")]) == 403
    for method in ("post", "Get", "QUERY", ""):
        assert await status_of(app, method, "/public/all", foreign) == 403
    assert ran == []


SWITCHES: list[tuple[str, str]] = [
    ("X-Original-URL", "/public/page"),
    ("X-Rewrite-URL", "/public/page"),
    ("X-Original-URI", "/public/page"),
    ("X-Override-URL", "/public/page"),
    ("X-Forwarded-URI", "/public/page"),
    ("X-Forwarded-Path", "/public/page"),
    ("X-Forwarded-Prefix", "/public"),
    ("X-Forwarded-Prefix", "/admin"),
    ("X-Script-Name", "/admin"),
    ("Script-Name", "/admin"),
    ("X-Envoy-Original-Path", "/public/page"),
    ("Forwarded", "for=127.0.0.1;host=localhost;proto=https"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Forwarded-Host", "localhost"),
    ("Host", "localhost"),
    ("X-Forwarded-User", "admin"),
    ("X-Remote-User", "admin"),
    ("Remote-User", "admin"),
    ("X-User-Id", "ada"),
    ("X-Roles", "admin"),
    ("X-Middleware-Subrequest", "middleware:middleware"),
    ("X-Purpose", "preview"),
    ("Purpose", "prefetch"),
    ("Sec-Purpose", "prefetch"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Access-Control-Request-Method", "GET"),
    ("Origin", "https://testserver"),
    ("Upgrade", "websocket"),
    ("Expect", "100-continue"),
    ("Max-Forwards", "0"),
    ("Authorization", "Basic YWRtaW46YWRtaW4="),
    ("Cookie", "role=admin; session=admin; __Host-session=admin"),
]


async def test_attack_by_a_header_that_switches_a_guard_off() -> None:
    app, ran, token = application()
    mine = ("cookie", f"{COOKIE}={token}")

    for switch in [*((each,) for each in SWITCHES), tuple(each for each in SWITCHES if each[0] != "Cookie")]:
        for path in ("/admin/page", "/admin/all/x"):
            for method in ("GET", "POST"):
                assert await status_of(app, method, path, switch) == 401, switch
                if switch[0][0] != "Cookie":
                    assert await status_of(app, method, path, [mine, *switch]) == 403, switch
    assert ran == []


async def test_attack_by_a_header_that_moves_what_is_open() -> None:
    """Nor does one shut a page: what a client says about paths is not looked at."""
    app, ran, _ = application()

    for switch in SWITCHES:
        assert await status_of(app, "GET", "/public/page", [switch]) == 200, switch
    assert len(ran) == len(SWITCHES)


COOKIES: list[str] = [
    '{name}="{token}"',
    '"{name}"={token}',
    "{name}='{token}'",
    "={name}={token}",
    "={token}",
    "{token}",
    "{lower}={token}",
    "{upper}={token}",
    "__host-session={token}",
    "__HOST-session={token}",
    "__Host-Session={token}",
    "__Secure-session={token}",
    "__Http-session={token}",
    "__Host-Http-session={token}",
    "session={token}",
    "{name}[0]={token}",
    "{name}.0={token}",
    "$Version=1; {name}={token}.; $Path=/",
    "{name} {token}",
    "{name}:{token}",
    "a=1, {name}={token}",
    "a=1,{name}={token}",
    'a="b; {name}={token}x"',
    "%5F%5FHost-session={token}",
    "__Host%2Dsession={token}",
    "_\u200b_Host-session={token}",
]


async def test_attack_by_a_cookie_that_is_quoted_nameless_or_in_another_case() -> None:
    app, kit = FastAPI(), new_kit(model=Session)
    kit.install(app, guard=RouterGuard(global_protect=True))
    token = str(signed_in(client_of(app), kit, Session(user_id="ada")).cookies[COOKIE])

    assert await status_of(app, "GET", "/", [("cookie", f"{COOKIE}={token}")]) == 404
    for cookie in COOKIES:
        sent = cookie.format(name=COOKIE, token=token, lower=COOKIE.lower(), upper=COOKIE.upper())
        assert await status_of(app, "GET", "/", [("cookie", sent)]) == 401, cookie


@pytest.mark.parametrize("name", ["session", "sid"])
async def test_attack_by_the_prefix_where_the_site_has_none(name: str) -> None:
    """A cookie of another name is none of the site's, also where it would be a safer one."""
    app, kit = FastAPI(), new_kit(model=Session, cookie=CookieSettings(name=name, https_only=False))
    kit.install(app, guard=RouterGuard(global_protect=True))
    token = str(signed_in(client_of(app), kit, Session(user_id="ada")).cookies[name])

    assert await status_of(app, "GET", "/", [("cookie", f"{name}={token}")]) == 404
    for other in (f"__Host-{name}", f"__Secure-{name}", f"__host-{name}", name.upper(), f"={name}", f"{name}="):
        assert await status_of(app, "GET", "/", [("cookie", f"{other}={token}")]) == 401, other
