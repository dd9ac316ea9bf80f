"""The session cookie: read from raw bytes, written, removed, and what caches are told about it."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.websockets import WebSocket

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    CookieSettings,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    clear_session,
    get_session,
    has_role,
    require_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in

SECRET = "a-secret-for-tests-that-is-long-enough"
NAME = b"__Host-session"

BACKENDS: dict[str, Callable[[], Any]] = {
    "signed": CookieBackend,
    "encrypted": lambda: CookieBackend(encrypt=True),
    "memory": MemoryStore,
}


class Site:
    """An application that says who one is, and hands out tokens."""

    def __init__(self, *, guard: RouterGuard | None = None, **options: Any) -> None:
        self.kit = SessionKit(secret_key=SECRET, **options)
        self.app = FastAPI()
        self.kit.install(self.app, guard=guard)

        @self.app.get("/who")
        async def who(session: Annotated[Session | None, Depends(get_session)]) -> Response:
            return PlainTextResponse("nobody" if session is None else session.user_id)

        @self.app.get("/idle")
        async def idle() -> str:
            return "ok"

        @self.app.post("/login")
        async def login(request: Request) -> None:
            set_session(request, Session(user_id="ada"))

        @self.app.post("/logout")
        async def logout(request: Request) -> None:
            clear_session(request)

    def client(self, base_url: str = "https://testserver") -> TestClient:
        return TestClient(self.app, base_url=base_url)

    def token(self, user_id: str) -> bytes:
        client = signed_in(self.client(), self.kit, Session(user_id=user_id))
        return client.cookies["__Host-session"].encode()

    async def answer(self, *cookies: bytes) -> tuple[int, bytes]:
        """The status and the body for a request with these ``Cookie`` headers, byte for byte."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"testserver"), *((b"cookie", cookie) for cookie in cookies)]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
            "path": "/who", "raw_path": b"/who", "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("testserver", 443),
        }  # fmt: skip
        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    async def who(self, *cookies: bytes) -> str:
        status, body = await self.answer(*cookies)
        assert status == 200
        return body.decode()


@pytest.fixture
def site() -> Site:
    return Site()


# Reading


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        [b"__Host-session=%b"],
        [b"theme=dark; __Host-session=%b"],
        [b"__Host-session=%b; theme=dark"],
        [b"theme=dark;__Host-session=%b;x=y"],
        [b"a=b;\t __Host-session=%b \t;x=y"],
        [b"; ;;__Host-session=%b;;"],
        [b"theme=dark", b"__Host-session=%b", b"x=y"],
        [b"odd; =; \xff\xfe=\x00; __Host-session=%b"],
        [b"session=mine; host-session=mine; __host-session=mine; x__Host-session=mine; __Host-session=%b"],
        [b'a="; __Host-session=%b; b="'],
    ],
)  # fmt: skip
async def test_the_cookie_is_found_among_others(site: Site, headers: list[bytes]) -> None:
    token = site.token("ada")

    assert await site.who(*[header.replace(b"%b", token) for header in headers]) == "ada"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"%b",
        b"=%b",
        b"__Host-session",
        b"__Host-session=",
        b"__Host-session= ",
        b"session=%b",
        b"__host-session=%b",
        b"__HOST-SESSION=%b",
        b"x__Host-session=%b",
        b"__Host-sessionx=%b",
        b"__Host-session =%b",
        b"__Host-session\t=%b",
        b"__Host%2Dsession=%b",
        b"a=__Host-session=%b",
        b"a=b, __Host-session=%b",
        b"a=b __Host-session=%b",
        b'"__Host-session"=%b',
        b'__Host-session="%b"',
        b"__Host-session='%b'",
        b"$__Host-session=%b",
    ],
)
async def test_what_is_not_exactly_the_cookie_is_not_taken_for_it(site: Site, header: bytes) -> None:
    assert await site.who(header.replace(b"%b", site.token("ada"))) == "nobody"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "space", [b"\xa0", b"\x85", b"\x0b", b"\x0c", b"\x1c", b"\x1f", b"\x00", b"\r", b"\n", "\u2003".encode(), "\ufeff".encode()]
)  # fmt: skip
async def test_cookie_tossing_behind_a_unicode_space_plants_nothing(site: Site, space: bytes) -> None:
    """A subdomain may set ``\\xa0__Host-session``; a parser that strips it would see the prefixed name."""
    ada, eve = site.token("ada"), site.token("eve")

    assert await site.who(space + NAME + b"=" + eve) == "nobody"
    assert await site.who(NAME + b"=" + ada + b"; " + space + NAME + b"=" + eve) == "ada"


@pytest.mark.anyio
@pytest.mark.parametrize("pair", [(b"ada", b"eve"), (b"eve", b"ada"), (b"ada", b"ada"), (b"ada", b""), (b"", b"ada")])
@pytest.mark.parametrize("together", [True, False])
async def test_cookie_tossing_the_same_name_twice_counts_as_none(
    site: Site, pair: tuple[bytes, bytes], together: bool
) -> None:
    values = [site.token(who.decode()) if who else b"" for who in pair]
    cookies = [NAME + b"=" + value for value in values]

    assert await site.who(*([b"; ".join(cookies)] if together else cookies)) == "nobody"


class Watched(CookieBackend):
    """Notes what it is asked to open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    async def load(self, token: bytes) -> Any:
        self.asked.append(token)
        return await super().load(token)


@pytest.mark.anyio
@pytest.mark.parametrize("value", [b"plain", b'"quoted\\073"', b"%41", b"a=b=c", b"\xff\x00\xa0", b"a,b", b"x" * 4_096])
async def test_the_value_reaches_the_backend_byte_for_byte(value: bytes) -> None:
    backend = Watched()

    assert await Site(backend=backend).who(NAME + b"=" + value) == "nobody"
    assert backend.asked == [value]


@pytest.mark.anyio
@pytest.mark.parametrize("value", [b"", b" \t ", b"x" * 4_097, b"x" * 1_000_000])
async def test_a_value_that_is_empty_or_too_long_never_reaches_the_backend(value: bytes) -> None:
    backend = Watched()

    assert await Site(backend=backend).who(NAME + b"=" + value) == "nobody"
    assert backend.asked == []


@pytest.mark.anyio
async def test_denial_of_service_by_quotes_and_backslashes_takes_no_time() -> None:
    """Unquoting is quadratic on some Pythons: a megabyte takes Starlette's parser minutes there. The gate has none."""
    site = Site(guard=RouterGuard(protect=[Rule("/who")]))
    header = NAME + b'="' + b"\\" * 1_000_000 + b'"; ' + b" ;" * 500_000

    assert (await site.answer(header))[0] == 401


# Fuzzing: never a 5xx, never somebody else

_SITES = {kind: Site(backend=make()) for kind, make in BACKENDS.items()}
_TOKENS = {kind: {name: site.token(name) for name in ("ada", "eve")} for kind, site in _SITES.items()}
_GARBAGE = st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
_PIECES = st.sampled_from(
    [
        NAME,
        b"=",
        b";",
        b" ",
        b"__Host-",
        b"session",
        b'"',
        b"\\",
        b".",
        b"\xa0",
        b"\x00",
        b"==",
        b"-",
        b"_",
        b"eyJ",
        b"%00",
    ]
)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
@given(cookies=st.lists(st.lists(_PIECES | _GARBAGE, max_size=12).map(b"".join), max_size=3))
@example(cookies=[NAME + b"=."])
@example(cookies=[NAME + b"=..."])
@example(cookies=[NAME + b"=\xff.\xff"])
@example(cookies=[NAME + b"=" + b"A" * 4_000])
async def test_any_cookie_bytes_are_nobody_and_never_an_error(kind: str, cookies: list[bytes]) -> None:
    assert await _SITES[kind].answer(*cookies) == (200, b"nobody")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
@given(where=st.integers(0, 400), cut=st.integers(0, 3), put=_GARBAGE, other=st.booleans())
async def test_a_token_that_was_tampered_with_is_never_somebody_else(
    kind: str, where: int, cut: int, put: bytes, other: bool
) -> None:
    token = _TOKENS[kind]["eve"]
    tail = _TOKENS[kind]["ada"] if other else token
    where = 20 + where % (len(token) - 19)  # not so near the start that the other token is spliced in whole
    tampered = token[:where] + put + tail[where + cut :]

    status, body = await _SITES[kind].answer(NAME + b"=" + tampered)

    assert status == 200
    assert body in {b"nobody", b"eve"}  # some other spellings of a token are that token


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
async def test_every_single_changed_byte_is_nobody_or_the_same_person(kind: str) -> None:
    token = _TOKENS[kind]["eve"]
    for where in range(len(token)):
        for char in b"AQgw_-09.=":
            changed = token[:where] + bytes([char]) + token[where + 1 :]
            assert await _SITES[kind].who(NAME + b"=" + changed) in {"nobody", "eve"}


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
async def test_a_token_of_another_kit_another_cookie_or_another_key_opens_nothing(kind: str) -> None:
    make = BACKENDS[kind]
    foreign = [
        Site(backend=make(), name="staff"),
        Site(backend=make(), cookie=CookieSettings(name="other")),
    ]
    stolen = Site(backend=make())
    stolen.kit = SessionKit(secret_key="another-secret-that-is-long-enough-too", backend=make())
    for site in [*foreign, stolen]:
        client = signed_in(site.client(), site.kit, Session(user_id="eve"))
        token = next(iter(client.cookies.values())).encode()
        assert await _SITES[kind].who(NAME + b"=" + token) == "nobody"


@pytest.mark.anyio
async def test_kits_whose_names_and_cookies_only_look_alike_when_joined_are_still_apart() -> None:
    one = Site(name="a.b", cookie=CookieSettings(name="c", path="/x", https_only=False))
    two = Site(name="a", cookie=CookieSettings(name="b.c", path="/x", https_only=False))
    client = one.client("http://testserver")
    token = client.post("/login").headers["set-cookie"].partition("=")[2].partition(";")[0]

    assert await one.who(b"c=" + token.encode()) == "ada"
    assert await two.who(b"b.c=" + token.encode()) == "nobody"


# Writing


def parsed(cookie: str) -> tuple[str, str, dict[str, str | bool]]:
    """Name, value and attributes, as RFC 6265bis reads them."""
    pair, *attributes = [part.strip() for part in cookie.split(";")]
    name, _, value = pair.partition("=")
    found: dict[str, str | bool] = {}
    for attribute in attributes:
        key, mark, text = attribute.partition("=")
        assert key.lower() not in found, "an attribute given twice"
        found[key.lower()] = text if mark else True
    return name, value, found


DEFAULT = {"path": "/", "httponly": True, "samesite": "Lax", "secure": True}


@pytest.mark.parametrize(
    ("options", "name", "attributes"),
    [
        ({}, "__Host-session", DEFAULT),
        ({"name": "sid"}, "__Host-sid", DEFAULT),
        ({"same_site": "strict"}, "__Host-session", {**DEFAULT, "samesite": "Strict"}),
        ({"same_site": "none"}, "__Host-session", {**DEFAULT, "samesite": "None"}),
        ({"path": "/app"}, "session", {**DEFAULT, "path": "/app"}),
        ({"domain": "testserver.example"}, "session", {**DEFAULT, "domain": "testserver.example"}),
        ({"https_only": False}, "session", {"path": "/", "httponly": True, "samesite": "Lax"}),
        ({"https_only": True, "domain": "testserver.example", "path": "/app"}, "session",
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
        {"path": "/app"},
        {"domain": "testserver.example", "path": "/app"},
        {"https_only": False},
        {"https_only": False, "domain": "testserver.example"},
    ],
)
def test_the_cookie_is_removed_with_the_attributes_that_it_was_set_with(options: dict[str, Any]) -> None:
    """A browser keeps a cookie whose removal differs in name, path, domain or ``Secure``."""
    site = Site(cookie=CookieSettings(**options))
    name, _, attributes = parsed(site.client().post("/login").headers["set-cookie"])
    removed_name, value, removed = parsed(site.client().post("/logout").headers["set-cookie"])

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


# Settings


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
        {"name": "__Host-session"},
        {"name": "__host-session"},
        {"name": "__Secure-session"},
        {"name": "__SECURE-session"},
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
        {"same_site": "none", "https_only": False},
    ],
)
def test_settings_that_no_browser_would_follow_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CookieSettings(**wrong)


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        CookieSettings().https_only = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environment", "options", "secure"),
    [
        ("development", {}, False),
        ("development", {"https_only": True}, True),
        ("development", {"same_site": "none"}, True),
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
    assert name == ("__Host-session" if secure else "session")


def test_the_environment_counts_when_the_kit_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = CookieSettings()
    monkeypatch.setenv("FASTAPI_ENV", "development")
    site = Site(cookie=cookie)
    monkeypatch.delenv("FASTAPI_ENV")

    assert "Secure" not in site.client("http://testserver").post("/login").headers["set-cookie"]


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


# What caches are told


def caching_site() -> tuple[TestClient, SessionKit[Session]]:
    guard = RouterGuard(
        protect=[Rule("/public/**", public=True), Rule("/gated/**"), Rule("/staff/**", role="staff")],
        login_path="/login",
    )
    kit = SessionKit(secret_key=SECRET)
    app = FastAPI()
    kit.install(app, guard=guard)

    def reply(request: Request) -> JSONResponse:
        headers = {
            name: request.query_params[name] for name in ("cache-control", "vary") if name in request.query_params
        }
        return JSONResponse("ok", headers=headers)

    @app.get("/public/page")
    @app.get("/unasked")
    @app.get("/gated/page")
    @app.get("/staff/page")
    async def plain(request: Request) -> Response:
        return reply(request)

    @app.get("/asked", dependencies=[Depends(get_session)])
    @app.get("/role", dependencies=[Depends(has_role("x"))])
    @app.get("/required", dependencies=[Depends(require_session)])
    async def asking(request: Request) -> Response:
        return reply(request)

    @app.get("/in")
    async def sign_in(request: Request) -> Response:
        set_session(request, Session(user_id="ada"))
        return reply(request)

    @app.get("/out")
    async def sign_out(request: Request) -> Response:
        clear_session(request)
        return reply(request)

    @app.get("/change")
    async def change(request: Request, session: Annotated[Session, Depends(require_session)]) -> Response:
        update_session(request, email="ada@example.com")
        return reply(request)

    @app.get("/stream", dependencies=[Depends(get_session)])
    async def stream() -> Response:
        return StreamingResponse(iter(["a", "b"]))

    return TestClient(app, base_url="https://testserver", follow_redirects=False), kit


@pytest.mark.parametrize(
    ("path", "someone", "app_says", "told"),
    [
        ("/unasked", True, None, None),
        ("/unasked", False, "max-age=60", "max-age=60"),
        ("/public/page", True, None, None),
        ("/asked", False, None, None),
        ("/asked", True, None, "private, no-cache"),
        ("/asked", True, "max-age=60", "max-age=60"),
        ("/asked", True, "public", "public"),
        ("/asked", True, "no-store", "no-store"),
        ("/asked", False, "max-age=60", "max-age=60"),
        ("/role", True, None, "private, no-cache"),
        ("/required", True, None, "private, no-cache"),
        ("/required", False, None, None),
        ("/gated/page", True, None, "private, no-cache"),
        ("/gated/page", False, None, None),
        ("/staff/page", True, None, "private, no-cache"),
        ("/stream", True, None, "private, no-cache"),
        ("/nowhere", True, None, None),
        ("/in", False, None, "no-store"),
        ("/in", False, "public, max-age=60", "no-store"),
        ("/in", False, "no-cache", "no-store"),
        ("/in", False, "private, max-age=60", "private, max-age=60"),
        ("/in", False, "PRIVATE", "PRIVATE"),
        ("/in", False, "no-store", "no-store"),
        ("/in", False, 'private="x-user", max-age=60', "no-store"),
        ("/in", False, "x-private", "no-store"),
        ("/change", True, None, "no-store"),
        ("/change", True, "max-age=60", "no-store"),
        ("/change", True, "private", "private"),
        ("/out", True, None, "no-store"),
        ("/out", False, "max-age=60", "no-store"),
    ],
)
def test_cache_control(path: str, someone: bool, app_says: str | None, told: str | None) -> None:
    client, kit = caching_site()
    if someone:
        signed_in(client, kit, Session(user_id="ada"))

    response = client.get(path, params=None if app_says is None else {"cache-control": app_says})

    assert response.headers.get("cache-control") == told


@pytest.mark.parametrize("someone", [True, False])
@pytest.mark.parametrize(
    ("path", "app_says", "told"),
    [
        ("/unasked", None, None),
        ("/unasked", "Accept", "Accept"),
        ("/public/page", None, None),
        ("/nowhere", None, None),
        ("/asked", None, "Cookie"),
        ("/asked", "Accept", "Accept, Cookie"),
        ("/asked", "accept-encoding,COOKIE", "accept-encoding,COOKIE"),
        ("/asked", "X-Cookie", "X-Cookie, Cookie"),
        ("/asked", "*", "*"),
        ("/required", None, "Cookie"),
        ("/gated/page", None, "Cookie"),
        ("/staff/page", None, "Cookie"),
        ("/stream", None, "Cookie"),
        ("/in", None, "Cookie"),
        ("/out", None, "Cookie"),
    ],
)
def test_vary(path: str, app_says: str | None, told: str | None, someone: bool) -> None:
    client, kit = caching_site()
    if someone:
        signed_in(client, kit, Session(user_id="ada"))

    response = client.get(path, params=None if app_says is None else {"vary": app_says})

    assert response.headers.get("vary") == told


def test_a_redirect_to_login_depends_on_the_cookie() -> None:
    client, _ = caching_site()

    response = client.get("/gated/page", headers={"Sec-Fetch-Mode": "navigate"})

    assert (response.status_code, response.headers["vary"]) == (302, "Cookie")
