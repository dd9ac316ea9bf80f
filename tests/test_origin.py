"""Cross-site request forgery, login forgery and WebSocket hijacking: who may act with somebody's cookie."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    clear_session,
    get_session,
    set_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import new_kit

SITE = "https://app.example"
ADA = Session(user_id="ada")
UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"]
SAFE = ["GET", "HEAD", "OPTIONS", "TRACE"]


class Scenario:
    """An application, and what it did to the person behind the cookie."""

    def __init__(self, *, guard: RouterGuard | None = None, base_url: str = SITE, **settings: Any) -> None:
        self.done: list[str] = []
        self.kit = new_kit(**settings)
        app = FastAPI()
        self.kit.install(app, guard=guard)

        @app.api_route("/act", methods=[*UNSAFE, *SAFE])
        async def act(request: Request) -> None:
            self.done.append(request.method)

        @app.api_route("/login", methods=["GET", "POST"])
        async def login(request: Request, name: str = "eve") -> None:
            set_session(request, Session(user_id=name))

        @app.post("/logout")
        async def logout(request: Request) -> None:
            clear_session(request)

        @app.websocket("/socket")
        async def socket(websocket: WebSocket) -> None:
            session = await get_session(websocket)
            await websocket.accept()
            await websocket.send_text(session.user_id if session else "nobody")

        @app.websocket("/socket-login")
        async def socket_login(websocket: WebSocket) -> None:
            set_session(websocket, Session(user_id="eve"))
            await websocket.accept()
            await websocket.send_text("in")

        self.client = TestClient(app, base_url=base_url)

    def sign_in(self) -> "Scenario":
        signed_in(self.client, self.kit, ADA)
        return self

    def act(self, headers: dict[str, str] | list[tuple[str, str]], method: str = "POST") -> int:
        """The status; that nothing happened when it was refused is checked on the way."""
        self.done.clear()
        status = self.client.request(method, "/act", headers=headers).status_code
        assert bool(self.done) == (status == 200)
        return status


def verdict(headers: dict[str, str] | list[tuple[str, str]], method: str = "POST", **settings: Any) -> int:
    return Scenario(**settings).sign_in().act(headers, method)


# The table

SAME, ELSEWHERE, SIBLING = "https://app.example", "https://evil.example", "https://blog.app.example"


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        ("same-origin", SAME, 200),
        ("same-origin", None, 200),
        ("none", None, 200),
        ("none", SAME, 200),
        ("same-site", SIBLING, 403),
        ("same-site", SAME, 403),
        ("same-site", None, 403),
        ("cross-site", ELSEWHERE, 403),
        ("cross-site", SAME, 403),
        ("cross-site", "null", 403),
        ("cross-site", None, 403),
        ("", SAME, 403),
        ("same-origin, cross-site", SAME, 403),
        ("whatever", SAME, 403),
        (None, SAME, 200),
        (None, None, 200),
        (None, ELSEWHERE, 403),
        (None, SIBLING, 403),
        (None, "null", 403),
        (None, "", 403),
    ],
)
def test_an_unsafe_request_with_the_cookie(site: str | None, origin: str | None, status: int) -> None:
    headers = {"Sec-Fetch-Site": site, "Origin": origin}

    assert verdict({name: value for name, value in headers.items() if value is not None}) == status


@pytest.mark.parametrize("method", UNSAFE)
def test_csrf_with_every_unsafe_method_is_refused(method: str) -> None:
    assert verdict({"Sec-Fetch-Site": "cross-site"}, method) == 403
    assert verdict({"Origin": ELSEWHERE}, method) == 403


@pytest.mark.parametrize("method", SAFE)
def test_safe_methods_pass_from_anywhere(method: str) -> None:
    assert verdict({"Sec-Fetch-Site": "cross-site", "Origin": ELSEWHERE}, method) == 200


def test_without_the_cookie_there_is_nothing_to_forge() -> None:
    assert Scenario().act({"Sec-Fetch-Site": "cross-site", "Origin": ELSEWHERE}) == 200


def test_a_cookie_that_opens_no_session_is_held_to_the_same() -> None:
    scenario = Scenario()
    scenario.client.cookies.set("__Host-session", "made-up", domain="app.example")

    assert scenario.act({"Origin": ELSEWHERE}) == 403


def test_other_cookies_are_no_business_of_the_check() -> None:
    scenario = Scenario()
    scenario.client.cookies.set("theme", "dark", domain="app.example")

    assert scenario.act({"Origin": ELSEWHERE}) == 200


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("https://app.example", "app.example", True),
        ("https://app.example", "APP.EXAMPLE", True),
        ("https://app.example:443", "app.example", True),
        ("https://app.example", "app.example:443", True),
        ("http://app.example:80", "app.example", False),
        ("http://app.example", "app.example:80", False),
        ("http://app.example", "app.example", False),
        ("http://app.example:443", "app.example:443", False),
        ("http://app.example:8443", "app.example:8443", False),
        ("capacitor://app.example", "app.example", False),
        ("wss://app.example", "app.example", False),
        ("https://app.example:8443", "app.example:8443", True),
        ("https://[::1]:8443", "[::1]:8443", True),
        ("https://[::1]", "[::1]:443", True),
        ("https://[2001:DB8::1]", "[2001:db8::1]", True),
        ("https://app.example:8443", "app.example", False),
        ("https://app.example", "app.example:8443", False),
        ("https://app.example", "app.example:80", False),
        ("http://app.example", "app.example:443", False),
        ("https://app.example:80", "app.example", False),
        ("https://[::1]", "[::2]", False),
        ("https://[::443]", "[::]", False),
        ("https://app.example.evil.example", "app.example", False),
        ("https://evilapp.example", "app.example", False),
        ("https://app.example@evil.example", "app.example", False),
        ("https://app.example/", "app.example", False),
        ("https://app.example, https://app.example", "app.example", False),
        ("app.example", "app.example", False),
        ("https://", "", False),
        ("https:app.example", "app.example", False),
        ("null", "null", False),
        ("", "", False),
    ],
)
def test_origin_matches_the_host_up_to_case_and_the_default_port(origin: str, host: str, same: bool) -> None:
    scenario = Scenario()
    cookie = signed_in(scenario.client, scenario.kit, ADA).cookies["__Host-session"]
    scenario.client.cookies.clear()
    headers = {"Origin": origin, "Host": host, "Cookie": f"__Host-session={cookie}"}

    assert scenario.act(headers) == (200 if same else 403)


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://app.example", "app.example", True),
        ("http://app.example:80", "app.example", True),
        ("http://app.example", "app.example:80", True),
        ("https://app.example", "app.example", True),
        ("https://app.example", "app.example:443", True),
        ("http://app.example", "app.example:443", False),
        ("https://app.example", "app.example:80", False),
        ("capacitor://app.example", "app.example", False),
    ],
)
def test_what_looks_like_an_http_site_may_be_behind_a_proxy_that_ends_tls(origin: str, host: str, same: bool) -> None:
    scenario = Scenario(base_url="http://app.example", cookie=CookieSettings(https_only=False)).sign_in()

    assert scenario.act({"Origin": origin, "Host": host}) == (200 if same else 403)


def test_an_http_page_of_the_same_host_acts_where_it_is_trusted() -> None:
    assert verdict({"Origin": "http://app.example"}, trusted_origins=["http://app.example"]) == 200


# What a refusal says


def refusal_of(path: str, headers: dict[str, str] | list[tuple[str, str]], **request: Any) -> str:
    scenario = Scenario()
    if path == "/act":
        scenario.sign_in()
    response = scenario.client.post(path, headers=headers, **request)
    assert response.status_code == 403
    return str(response.json()["detail"])


@pytest.mark.parametrize(("path", "what"), [("/act", "request"), ("/login", "sign-in")])
def test_a_refusal_names_the_origin_and_the_setting(path: str, what: str) -> None:
    text = refusal_of(path, {"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site"})

    assert text.startswith(f"Cross-origin {what} refused: ")
    assert repr(ELSEWHERE) in text
    assert "SessionKit(trusted_origins=[...])" in text
    assert "identity provider" not in text


@pytest.mark.parametrize("path", ["/act", "/login"])
@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ([("Sec-Fetch-Site", "cross-site")], "another site, which sent no Origin"),
        ([("Origin", ELSEWHERE), ("Origin", SAME)], "more than one Origin"),
        ([("Origin", "null")], "'null'"),
    ],
)
def test_a_refusal_says_so_where_there_is_no_one_origin(path: str, headers: list[tuple[str, str]], named: str) -> None:
    assert f"it came from {named}." in refusal_of(path, headers)


@pytest.mark.parametrize("path", ["/act", "/login"])
def test_a_refusal_shows_no_more_of_an_origin_than_is_safe(path: str) -> None:
    headers: Any = [(b"origin", b"x" * 90 + b"\x1b[2J\xc3\xa9'\"" + b"y" * 5_000)]
    text = refusal_of(path, headers)

    assert "\\x1b[2J\\xc3\\xa9" in text
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize("form", [{"data": {"code": "1"}}, {"files": {"code": b"1"}}])
def test_a_refused_form_post_that_signs_in_may_be_an_identity_provider_s(form: dict[str, Any]) -> None:
    assert "An identity provider" in refusal_of("/login", {"Origin": ELSEWHERE}, **form)
    assert "identity provider" not in refusal_of("/act", {"Origin": ELSEWHERE}, **form)
    assert "identity provider" not in refusal_of("/login", {"Origin": ELSEWHERE}, json={"code": "1"})


# Headers given twice


@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", SAME), ("Origin", ELSEWHERE)],
        [("Origin", ELSEWHERE), ("Origin", SAME)],
        [("Origin", SAME), ("Origin", SAME)],
        [("Origin", SAME), ("Origin", SAME), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "none")],
        [("Origin", SAME), ("Host", "app.example"), ("Host", "evil.example")],
    ],
)
def test_a_header_given_twice_is_no_way_around(headers: list[tuple[str, str]]) -> None:
    assert verdict(headers) == 403


# Trusted origins


@pytest.mark.parametrize(
    ("trusted", "origin", "status"),
    [
        ("https://accounts.example", "https://accounts.example", 200),
        ("https://accounts.example", "https://accounts.example:443", 200),
        ("https://accounts.example:443", "https://accounts.example", 200),
        ("https://Accounts.Example", "https://accounts.example", 200),
        ("https://accounts.example:8443", "https://accounts.example:8443", 200),
        ("https://[::1]:8443", "https://[::1]:8443", 200),
        ("http://localhost:5173", "http://localhost:5173", 200),
        ("https://accounts.example", "http://accounts.example", 403),
        ("https://accounts.example", "https://accounts.example:8443", 403),
        ("https://accounts.example", "https://accounts.example.evil.example", 403),
        ("https://accounts.example", "https://x.accounts.example", 403),
        ("https://accounts.example", "null", 403),
    ],
)
def test_a_trusted_origin_is_that_origin_and_no_other(trusted: str, origin: str, status: int) -> None:
    for site in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert verdict({"Origin": origin, **site}, trusted_origins=[trusted]) == status


def test_a_trusted_origin_does_not_open_the_door_to_who_names_two() -> None:
    headers = [("Origin", "https://accounts.example"), ("Origin", ELSEWHERE)]

    assert verdict(headers, trusted_origins=["https://accounts.example"]) == 403


@pytest.mark.parametrize(
    "wrong",
    [
        "accounts.example",
        "https://accounts.example/",
        "https://accounts.example/path",
        "https://accounts.example?x",
        "*",
        "null",
        "",
        "https://",
        "https://user@accounts.example",
        "https://accounts.example:port",
        "https://accounts.example:99999",
        "https://accounts.example:0443",
        "https://accounts.example:",
        "https://accounts.example\n",
        " https://accounts.example",
        "https://b\u00fccher.example",
        "https://[::1",
        "https://[zz]",
        "https://[1:2:3]",
        "ftp://accounts.example",
        "javascript:alert(1)",
        "https://a..example",
        7,
        None,
        b"https://accounts.example",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused_at_construction(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="trusted_origins"):
        new_kit(trusted_origins=[wrong])


def test_one_string_instead_of_a_list_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes a list"):
        new_kit(trusted_origins="https://accounts.example")


@pytest.mark.parametrize("wrong", [None, 5])
def test_what_is_no_list_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a list"):
        new_kit(trusted_origins=wrong)


# Switched off


@pytest.mark.parametrize("wrong", [0, None, "false"])
def test_protection_is_switched_off_by_false_alone(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="cross_origin_protection"):
        new_kit(cross_origin_protection=wrong)


def test_switched_off_nothing_is_checked() -> None:
    scenario = Scenario(cross_origin_protection=False).sign_in()

    assert scenario.act({"Origin": ELSEWHERE}) == 200
    assert handshake(scenario, {"Origin": ELSEWHERE}) == "ada"
    assert scenario.client.post("/login", headers={"Origin": ELSEWHERE}).status_code == 200


# Sign-ins


@pytest.mark.parametrize("with_session", [False, True])
@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": ELSEWHERE}, {"Origin": "null"}],
)
def test_login_csrf_signs_nobody_in_as_the_attacker(headers: dict[str, str], with_session: bool) -> None:
    scenario = Scenario().sign_in() if with_session else Scenario()

    response = scenario.client.post("/login", headers=headers)

    assert response.status_code == 403
    assert "set-cookie" not in response.headers
    assert session_of(scenario.client, scenario.kit) == (ADA if with_session else None)


def test_a_trusted_identity_provider_that_posts_back_may_sign_in() -> None:
    scenario = Scenario(trusted_origins=["https://accounts.example"])
    headers = {"Origin": "https://accounts.example", "Sec-Fetch-Site": "cross-site"}

    assert scenario.client.post("/login?name=ada", headers=headers).status_code == 200
    assert session_of(scenario.client, scenario.kit) == ADA


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": SAME}]
)
def test_the_site_s_own_login_form_signs_in(headers: dict[str, str]) -> None:
    scenario = Scenario()

    assert scenario.client.post("/login?name=ada", headers=headers).status_code == 200
    assert session_of(scenario.client, scenario.kit) == ADA


def test_a_sign_in_by_link_is_a_safe_request() -> None:
    scenario = Scenario()

    assert scenario.client.get("/login?name=ada", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert session_of(scenario.client, scenario.kit) == ADA


def test_logout_csrf_signs_nobody_out() -> None:
    scenario = Scenario(backend=MemoryStore()).sign_in()

    assert scenario.client.post("/logout", headers={"Origin": ELSEWHERE}).status_code == 403
    assert session_of(scenario.client, scenario.kit) == ADA


def test_login_csrf_with_a_cookie_sent_twice_is_refused_too() -> None:
    """Whichever of the two is the session's, if one is: the check does not wait to find out."""
    headers = {"Origin": ELSEWHERE, "Cookie": "__Host-session=a; __Host-session=b"}

    assert Scenario().client.post("/login", headers=headers).status_code == 403


# WebSockets


def handshake(scenario: Scenario, headers: dict[str, str], path: str = "/socket") -> str:
    try:
        with scenario.client.websocket_connect(f"wss://app.example{path}", headers=headers) as socket:
            return socket.receive_text()
    except WebSocketDisconnect:
        return "refused"


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"Origin": SAME}, "ada"),
        ({"Origin": SAME, "Sec-Fetch-Site": "same-origin"}, "ada"),
        ({"Origin": "https://accounts.example", "Sec-Fetch-Site": "cross-site"}, "ada"),
        ({}, "ada"),
        ({"Origin": ELSEWHERE}, "refused"),
        ({"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site"}, "refused"),
        ({"Origin": SIBLING, "Sec-Fetch-Site": "same-site"}, "refused"),
        ({"Origin": "null"}, "refused"),
        ({"Origin": "https://app.example:8443"}, "refused"),
        ({"Origin": "http://app.example"}, "refused"),
    ],
)
def test_websocket_hijacking_is_refused_at_the_handshake(headers: dict[str, str], answer: str) -> None:
    scenario = Scenario(trusted_origins=["https://accounts.example"]).sign_in()

    assert handshake(scenario, headers) == answer


def test_a_websocket_without_the_cookie_may_come_from_anywhere() -> None:
    assert handshake(Scenario(), {"Origin": ELSEWHERE}) == "nobody"


def test_login_csrf_over_a_websocket_is_refused() -> None:
    scenario = Scenario()

    assert handshake(scenario, {"Origin": ELSEWHERE}, "/socket-login") == "refused"
    assert session_of(scenario.client, scenario.kit) is None
    assert handshake(scenario, {"Origin": SAME}, "/socket-login") == "in"


# Together with the rest


def test_csrf_is_refused_before_the_rules_are_asked() -> None:
    asked: list[object] = []
    guard = RouterGuard(protect=[Rule("/act", allow=lambda session: asked.append(session) or True)])

    assert verdict({"Origin": ELSEWHERE}, guard=guard) == 403
    assert asked == []


def test_two_kits_each_look_after_their_own_cookie() -> None:
    app = FastAPI()
    customers = new_kit()
    staff = new_kit(name="staff", cookie=CookieSettings(name="staff"), trusted_origins=[ELSEWHERE])
    customers.install(app)
    staff.install(app)

    @app.post("/act")
    async def act() -> None: ...

    staff_only = signed_in(TestClient(app, base_url=SITE), staff, ADA)
    customer_only = signed_in(TestClient(app, base_url=SITE), customers, ADA)

    assert staff_only.post("/act", headers={"Origin": ELSEWHERE}).status_code == 200
    assert customer_only.post("/act", headers={"Origin": ELSEWHERE}).status_code == 403


_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["Origin", "Sec-Fetch-Site", "Referer", "Host"]),
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=20)
        | st.sampled_from([ELSEWHERE, "null", "cross-site", "same-site", "https://app.example.evil.example"]),
    ),
    max_size=4,
)
_SCENARIO = Scenario().sign_in()


@given(_HEADERS)
def test_csrf_whatever_else_the_request_says_an_origin_elsewhere_never_acts(headers: list[tuple[str, str]]) -> None:
    elsewhere = [("Origin", ELSEWHERE), ("Sec-Fetch-Site", "cross-site"), ("Host", "app.example")]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in [*headers, *elsewhere]]

    assert _SCENARIO.client.post("/act", headers=raw).status_code == 403
