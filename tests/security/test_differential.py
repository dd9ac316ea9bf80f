"""What the same application answers without its guard, and never with it, however a protected path is spelled.

Nobody is signed in here. Whatever the unguarded application lets out of a protected area under some odd spelling, the
guarded one must keep: the guard and what stands behind it may not read one path in two ways.
"""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule, SessionKit

SECRET = "a secret of at least thirty-two characters"
MARK = "TOP-SECRET"

PROTECTED = [
    Rule("/admin/**", role="admin"),
    Rule("/static/private/**", role="admin"),
    Rule("/sub/**", role="admin"),
    Rule("/starlette/hidden", role="admin"),
    Rule("/caf\u00e9/**", role="admin"),
    Rule("/a b/**", role="admin"),
    Rule("/docs", role="admin"),
]

GUARDS = {
    "rules": lambda: RouterGuard(protect=PROTECTED, login_path="/login"),
    "rules and methods": lambda: RouterGuard(
        protect=[Rule("/admin/**", role="admin", methods=["GET", "POST", "OPTIONS"]), *PROTECTED]
    ),
    "global": lambda: RouterGuard(
        protect=[Rule("/admin/**", role="admin")],
        global_protect=True,
        exclude=["/", "/open/**", "/static/public/**"],
        login_path="/login",
    ),
}


async def marked():
    return MARK


async def opened():
    return "open to everybody"


async def secret(request: Request) -> PlainTextResponse:
    return PlainTextResponse(MARK)


def application(files: Path, guard: RouterGuard | None, *, root_path: str = "") -> FastAPI:
    """One of every kind of thing that can stand behind a path; what is protected says so in its answer."""
    app = FastAPI(root_path=root_path)
    app.api_route("/admin", methods=["GET", "POST"])(marked)
    app.get("/admin/users/{name}")(marked)
    app.api_route("/admin/users", methods=["GET", "OPTIONS"])(marked)
    app.get("/admin/files/{path:path}")(marked)
    app.get("/caf\u00e9")(marked)
    app.get("/a b/c")(marked)
    app.api_route("/open", methods=["GET", "POST"])(opened)
    app.get("/login")(opened)
    app.mount("/sub", Starlette(routes=[Route("/", secret), Route("/secret", secret), Mount("/deep", routes=DEEP)]))
    app.mount("/static", StaticFiles(directory=files))
    app.add_route("/starlette/hidden", secret)
    if guard is not None:
        SessionKit(secret_key=SECRET, cookie=CookieSettings(https_only=False)).install(app, guard=guard)
    return app


DEEP = [Route("/x", secret)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    for name, text in {"public/open.txt": "open", "private/secret.txt": MARK, "private/a b.txt": MARK}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def lets_out(status: int, body: bytes) -> bool:
    """Whether an answer has what is protected: the text, or for HEAD and OPTIONS the consent."""
    return status == 200 and (MARK.encode() in body or not body)


# Raw ASGI


def scope_of(
    path: str, *, method: str = "GET", root_path: str = "", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """What any server might make of a request, the ones that no known server makes included."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 50_000),
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "root_path": root_path,
        "query_string": b"",
        "headers": [
            (name.encode(), value.encode()) for name, value in {"host": "testserver", **(headers or {})}.items()
        ],
    }


async def answer(app: Any, scope: dict[str, Any]) -> tuple[int, bytes]:
    messages: list[dict[str, Any]] = []
    bodies = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not bodies:
            await anyio.sleep_forever()
        return bodies.pop()

    async def send(message: Any) -> None:
        messages.append(message)

    await app(dict(scope), receive, send)
    body = b"".join(message.get("body", b"") for message in messages if message["type"] == "http.response.body")
    return messages[0]["status"], body


ATTACKS = [
    "/admin",
    "/admin/",
    "/admin//",
    "//admin",
    "///admin",
    "/./admin",
    "/admin/.",
    "/admin/./users",
    "/open/../admin",
    "/open/..//admin",
    "/../admin",
    "/admin/..",
    "/admin\n",
    "/admin\r\n",
    "/admin\x00",
    "/admin\t",
    "/admin ",
    "/admin\x0b",
    "/admin\x85",
    "/admin\u2028",
    "/admin\u2029",
    "/admin\ufffd",
    "/admin\udcff",
    "/admin;",
    "/admin;jsessionid=1",
    "/admin;/users",
    "/admin/;/users",
    "/open;/../admin",
    "/ADMIN",
    "/Admin/users",
    "/adm\u0131n",
    "/\uff41dmin",
    "/admin%2fusers",
    "/admin%00",
    "/%61dmin",
    "/%2561dmin",
    "/admin\\users",
    "\\admin",
    "/\\admin",
    "/open\\..\\admin",
    "/admin#",
    "/admin?",
    "/admin/users\n",
    "/admin/users/x\n",
    "/admin/users/..",
    "/admin/files/",
    "/admin/files//",
    "/admin/files/../../admin",
    "/admin/files/%2e%2e",
    "/caf\u00e9",
    "/cafe\u0301",
    "/caf\u00e9\n",
    "/caf\u00e9/",
    "/CAF\u00c9",
    "/a b/c",
    "/a%20b/c",
    "/a+b/c",
    "/sub",
    "/sub/",
    "/sub/secret",
    "/sub/secret/",
    "/sub//secret",
    "/sub/./secret",
    "/sub/deep/x",
    "/sub/deep/../secret",
    "/sub/secret\n",
    "/sub\n/secret",
    "/static/private/secret.txt",
    "/static/private//secret.txt",
    "/static//private/secret.txt",
    "/static/./private/secret.txt",
    "/static/public/../private/secret.txt",
    "/static/public/..\\private\\secret.txt",
    "/static/x/../private/secret.txt",
    "/static/PRIVATE/secret.txt",
    "/static/private/secret.txt/",
    "/static/private/secret.txt\n",
    "/static/private/secret.txt\x00",
    "/static/private/a b.txt",
    "/static\\private\\secret.txt",
    "/open/../static/private/secret.txt",
    "/starlette/hidden",
    "/starlette/hidden\n",
    "/starlette/hidden/",
    "/starlette//hidden",
    "/docs",
    "/docs/",
    "/docs\n",
    "/login/../admin",
    "/login//admin",
    "",
    "/",
    "admin",
    "*",
    "http://testserver/admin",
    "//testserver/admin",
    "/http://testserver/admin",
]
METHODS = ["GET", "HEAD", "POST", "OPTIONS", "get", "Get", "PROPFIND", "GET ", ""]
ROOTS = ["", "/", "/root", "/root/", "/admin", "/adm", "/sub", "/static", "/open", "/root\n", "root", "/caf\u00e9"]
OVERRIDES = [
    {},
    {"x-http-method-override": "GET"},
    {"x-original-url": "/open", "x-rewrite-url": "/open"},
    {"x-forwarded-prefix": "/admin", "x-forwarded-path": "/open", "x-script-name": "/admin"},
    {"origin": "http://testserver", "access-control-request-method": "GET"},
    {"upgrade": "websocket", "connection": "upgrade"},
    {"sec-fetch-mode": "navigate", "accept": "text/html"},
    {"hx-request": "true"},
]


@dataclass(frozen=True)
class Pair:
    """The same application twice."""

    guarded: FastAPI
    unguarded: FastAPI

    async def check(self, scope: dict[str, Any]) -> bool:
        """Whether the unguarded one lets something out; fails when the guarded one does so too."""
        status, body = await answer(self.unguarded, scope)
        protected = MARK.encode() in body
        kept, kept_body = await answer(self.guarded, scope)

        assert MARK.encode() not in kept_body, scope
        assert not protected or kept not in {200, 204, 206}, scope
        return protected and status == 200


@pytest.fixture(scope="module", params=GUARDS)
def pair(request: pytest.FixtureRequest, files: Path) -> Pair:
    return Pair(application(files, GUARDS[request.param]()), application(files, None))


@pytest.mark.anyio
async def test_the_unguarded_application_does_let_secrets_out_under_odd_spellings(files: Path) -> None:
    """Otherwise this file would prove nothing: these are the spellings that a guard has to know about."""
    app = application(files, None)
    odd = ["/admin\n", "/admin/users\n", "/static/public/../private/secret.txt", "/static//private/secret.txt", "/sub/"]

    answers = [await answer(app, scope_of(path)) for path in odd]

    assert all(lets_out(*each) for each in answers)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ATTACKS)
async def test_attack_by_spelling_a_protected_path_in_another_way(pair: Pair, path: str) -> None:
    for method in METHODS:
        for headers in OVERRIDES:
            await pair.check(scope_of(path, method=method, headers=headers))


@pytest.mark.anyio
@pytest.mark.parametrize("root_path", ROOTS)
async def test_attack_by_a_root_path_that_the_guard_reads_differently(pair: Pair, root_path: str) -> None:
    for path in ATTACKS:
        for spelled in (path, root_path + path, root_path.rstrip("/") + path, root_path + root_path + path):
            await pair.check(scope_of(spelled, root_path=root_path))


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")  # applications still have it
@pytest.mark.parametrize("root_path", ["/root", "/admin", "/sub"])
async def test_attack_on_an_application_that_says_its_own_root_path(files: Path, root_path: str) -> None:
    pair = Pair(
        application(files, GUARDS["rules"](), root_path=root_path), application(files, None, root_path=root_path)
    )

    for path in ATTACKS:
        for spelled in (path, root_path + path, root_path + root_path + path):
            await pair.check(scope_of(spelled))


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["/outer", "/admin", "/outer/{tenant}"])
async def test_attack_on_an_application_that_is_mounted_in_another(files: Path, place: str) -> None:
    guarded = Starlette(routes=[Mount(place, application(files, GUARDS["rules"]()))])
    unguarded = Starlette(routes=[Mount(place, application(files, None))])
    at = place.replace("{tenant}", "acme")
    let_out = 0

    for path in ATTACKS:
        for spelled in (at + path, at + "/" + path, at.upper() + path, at + "\n" + path):
            scope = scope_of(spelled)
            let_out += MARK.encode() in (await answer(unguarded, scope))[1]
            assert MARK.encode() not in (await answer(guarded, scope))[1], scope

    assert let_out


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/admin/users", "/admin/users/", "/admin/users\n", "/admin//users", "/admin/./users"])
async def test_attack_on_a_guard_that_is_a_dependency_of_a_router(path: str) -> None:
    app = FastAPI()
    SessionKit(secret_key=SECRET, cookie=CookieSettings(https_only=False)).install(app)
    guard = RouterGuard(protect=[Rule("/admin/**", role="admin")])
    router = APIRouter(prefix="/admin", dependencies=[Depends(guard)])

    @router.get("/users")
    async def users():
        return MARK

    app.include_router(router)

    for method in METHODS:
        for headers in OVERRIDES:
            status, body = await answer(app, scope_of(path, method=method, headers=headers))
            assert status != 200
            assert MARK.encode() not in body


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/static/private/secret.txt", "/sub/secret", "/starlette/hidden"])
async def test_attack_by_head_where_a_rule_names_get(files: Path, path: str) -> None:
    """The answer to HEAD has no body and still says too much: that it is there, how long it is, and its hash."""
    guard = RouterGuard(protect=[Rule("/**", methods=["GET"], role="admin")])

    assert (await answer(application(files, None), scope_of(path, method="HEAD")))[0] == 200
    assert (await answer(application(files, guard), scope_of(path, method="HEAD")))[0] == 401


NAMES = [
    "admin",
    "users",
    "files",
    "static",
    "private",
    "public",
    "secret.txt",
    "sub",
    "secret",
    "deep",
    "open",
    "docs",
]
ODDITIES = [
    "",
    ".",
    "..",
    "...",
    ";",
    ";x=1",
    "%2e",
    "%2E%2e",
    "%2f",
    "%5c",
    "%00",
    "%0a",
    "%252f",
    "\\",
    "\n",
    "\r",
    "\t",
]
ODDITIES += [
    "\x00",
    "\x7f",
    "\x85",
    "\xa0",
    " ",
    "\u2028",
    "\u2029",
    "\u200b",
    "\ufeff",
    "\ufffd",
    "\u0131",
    "\uff0f",
    "~",
    "+",
]
JOINTS = ["/", "/", "/", "/", "//", "/./", "/../", "\\", "%2f", "%5c", "/;/", ""]


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """Protected paths, bent: names with oddities around them, joined in ways that something might read as a slash."""
    path = draw(st.sampled_from(["/", "/", "/", "//", "", "\\", "/./"]))
    for number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(NAMES))
        name = draw(st.sampled_from([name, name, name, name.upper(), name.title()]))
        before, after = (draw(st.sampled_from(["", "", "", *ODDITIES])) for _ in range(2))
        path += (draw(st.sampled_from(JOINTS)) if number else "") + before + name + after
    return path + draw(st.sampled_from(["", "", "", "/", "\n", "//", *ODDITIES]))


@pytest.mark.anyio
@given(
    path=spellings(),
    method=st.sampled_from(["GET", "GET", "GET", *METHODS]),
    root_path=st.sampled_from(["", "", "", *ROOTS]),
    under_root=st.booleans(),
)
@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_attack_by_any_spelling_that_can_be_generated(
    pair: Pair, path: str, method: str, root_path: str, *, under_root: bool
) -> None:
    await pair.check(scope_of(root_path + path if under_root else path, method=method, root_path=root_path))


@pytest.mark.anyio
@given(path=st.text(max_size=20).map(lambda text: "/" + text))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_attack_by_any_text_at_all(pair: Pair, path: str) -> None:
    await pair.check(scope_of(path))


# Over real servers

PATIENCE = 60.0
"""Seconds for a server to start, to answer and to end: slow machines take some."""


@dataclass
class Served:
    """An application on a real server with one of its parsers, in a thread of its own."""

    app: FastAPI
    parser: str
    port: int = field(init=False)

    def __post_init__(self) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self.app, http=self.parser, ws="none", lifespan="off", log_config=None, access_log=False, loop="asyncio"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self.thread.start()
        _wait_for(lambda: self.server.started)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE)

    def answer(self, request: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
        return received


def _wait_for(condition: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            pytest.fail("the server did not start")
        threading.Event().wait(0.01)


@dataclass(frozen=True)
class ServedPair:
    guarded: Served
    unguarded: Served

    def check(self, request: bytes) -> None:
        let_out = MARK.encode() in self.unguarded.answer(request)
        kept = self.guarded.answer(request)

        assert MARK.encode() not in kept, request
        assert not let_out or not kept.startswith(b"HTTP/1.1 200"), request


@pytest.fixture(scope="module", params=["h11", "httptools"])
def served(request: pytest.FixtureRequest, files: Path) -> Iterator[ServedPair]:
    parser = request.param
    pair = ServedPair(Served(application(files, GUARDS["rules"]()), parser), Served(application(files, None), parser))
    yield pair
    pair.guarded.stop()
    pair.unguarded.stop()


def http(target: bytes, method: bytes = b"GET", extra: bytes = b"") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n" + extra + b"\r\n"


TARGETS = [
    b"/admin",
    b"/admin/",
    b"//admin",
    b"/./admin",
    b"/open/../admin",
    b"/open/%2e%2e/admin",
    b"/open/..%2fadmin",
    b"/%61dmin",
    b"/%61%64%6d%69%6e",
    b"/%2561dmin",
    b"/%2fadmin",
    b"/admin%2f",
    b"/admin%2fusers",
    b"/admin%2Fusers",
    b"/admin%252fusers",
    b"/admin%5cusers",
    b"/admin%0a",
    b"/admin%0A",
    b"/admin%0d%0a",
    b"/admin%00",
    b"/admin%09",
    b"/admin%20",
    b"/admin%c2%85",
    b"/admin%e2%80%a8",
    b"/admin%ff",
    b"/admin%c0%af",
    b"/%c0%afadmin",
    b"/admin%ed%a0%80",
    b"/admin;x=1",
    b"/admin/;x=1/users",
    b"/admin?",
    b"/admin?x=/open",
    b"/admin#x",
    b"/admin%23",
    b"/admin%3f",
    b"/ADMIN",
    b"/admin/users%0a",
    b"/admin/users/%2e%2e",
    b"/admin/files/%2e%2e/%2e%2e/x",
    b"/caf%c3%a9",
    b"/caf\xc3\xa9",
    b"/caf%e9",
    b"/cafe%cc%81",
    b"/a%20b/c",
    b"/a+b/c",
    b"/sub/",
    b"/sub/secret",
    b"/sub%2fsecret",
    b"/sub//secret",
    b"/sub/%2e/secret",
    b"/sub/secret%0a",
    b"/static/private/secret.txt",
    b"/static/public/../private/secret.txt",
    b"/static/public/%2e%2e/private/secret.txt",
    b"/static/public/..%2fprivate/secret.txt",
    b"/static/public%2f..%2fprivate%2fsecret.txt",
    b"/static%2fprivate%2fsecret.txt",
    b"/static//private/secret.txt",
    b"/static/private%2fsecret.txt",
    b"/static/private/a%20b.txt",
    b"/static%5cprivate%5csecret.txt",
    b"/static/private/secret.txt%00",
    b"/starlette/hidden",
    b"/starlette/hidden%0a",
    b"/docs",
    b"/docs%0a",
    b"http://testserver/admin",
    b"http://testserver/open/../admin",
    b"http://testserver:80/admin/users",
    b"http://evil.example/sub/secret",
    b"https://testserver/admin",
    b"HTTP://testserver/admin",
    b"http://user:password@testserver/admin",
    b"http:///admin",
    b"http:admin",
    b"ws://testserver/admin",
    b"//testserver/admin",
    b"///admin",
    b"*",
    b"admin",
    b"\\admin",
    b"/\\admin",
    b"/admin\x00",
    b"/admin\x0b",
    b"/admin\xff",
    b"?/admin",
    b"#/admin",
    b"",
]
SMUGGLED = [
    http(b"/admin", b"get"),
    http(b"/admin", b"HEAD"),
    http(b"/admin/users", b"OPTIONS"),
    http(b"*", b"OPTIONS"),
    http(b"testserver:80", b"CONNECT"),
    http(b"/admin", b"TRACE"),
    http(b"/admin", b"POST", b"X-HTTP-Method-Override: GET\r\n"),
    http(b"/open", extra=b"X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n"),
    http(b"/open", extra=b"X-Forwarded-Prefix: /admin\r\nX-Script-Name: /admin\r\n"),
    http(b"/admin", extra=b"Upgrade: websocket\r\n"),
    http(b"/admin", extra=b"Upgrade: h2c\r\n"),
    b"GET /admin HTTP/1.0\r\n\r\n",
    b"GET /admin\r\n\r\n",
    b"GET  /admin HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"GET\t/admin\tHTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n",
]
BEHIND_ANOTHER = [
    http(b"/admin/users", b"OPTIONS", b"Origin: http://testserver\r\nAccess-Control-Request-Method: GET\r\n"),
    b"GET /open HTTP/1.1\r\nHost: testserver\r\nContent-Length: 0\r\n\r\n" + http(b"/admin"),
    b"GET /open HTTP/1.1\r\nHost: testserver\r\nContent-Length: 4\r\n\r\nbody" + http(b"/admin/users"),
    b"POST /open HTTP/1.1\r\nHost: testserver\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + http(b"/admin"),
]


def test_the_unguarded_server_does_let_secrets_out_under_odd_spellings(served: ServedPair) -> None:
    odd = [b"/admin%0a", b"/%61dmin", b"/static/public/..%2fprivate/secret.txt", b"/sub%2fsecret", b"/admin%2fusers"]

    assert all(MARK.encode() in served.unguarded.answer(http(target)) for target in odd)


@pytest.mark.parametrize("target", TARGETS)
def test_attack_over_a_server_by_spelling_a_protected_path_in_another_way(served: ServedPair, target: bytes) -> None:
    served.check(http(target))


@pytest.mark.parametrize("request_bytes", SMUGGLED)
def test_attack_over_a_server_by_an_odd_request(served: ServedPair, request_bytes: bytes) -> None:
    served.check(request_bytes)


@pytest.mark.parametrize("request_bytes", BEHIND_ANOTHER)
def test_attack_over_a_server_behind_a_request_that_may_pass(served: ServedPair, request_bytes: bytes) -> None:
    """An open page, or a CORS preflight, is answered with 200; what is protected is not in it."""
    assert MARK.encode() in served.unguarded.answer(request_bytes)
    assert MARK.encode() not in served.guarded.answer(request_bytes)


@st.composite
def targets(draw: st.DrawFn) -> bytes:
    """Spellings, some of their characters percent-encoded once or twice, and sometimes in absolute form."""
    encoded = b""
    for byte in draw(spellings()).encode():
        must = byte <= 0x20 or byte == 0x7F
        form = draw(st.sampled_from(["as it is", "as it is", "as it is", "once", "twice"]))
        if form == "as it is" and not must:
            encoded += bytes([byte])
        else:
            encoded += (b"%%25%02x" if form == "twice" else b"%%%02x") % byte
    return draw(st.sampled_from([b"", b"", b"", b"http://testserver", b"http://evil.example:81"])) + encoded


@given(target=targets(), method=st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST", b"OPTIONS"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_attack_over_a_server_by_any_spelling_that_can_be_generated(
    served: ServedPair, target: bytes, method: bytes
) -> None:
    served.check(http(target, method))
