"""How each kind of client is told no, and where a browser is sent instead."""

from typing import Any

import pytest
from fastapi import FastAPI, Form
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    Session,
    login_redirect_target,
    set_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import SITE, client_of, new_kit

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Accept": "*/*"}
OLD_BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
FETCH = {"Sec-Fetch-Mode": "cors", "Accept": "text/html"}
HTMX = {"HX-Request": "true", "Sec-Fetch-Mode": "cors", "HX-Current-URL": f"{SITE}/board?page=2#top"}
API = {"Accept": "application/json"}

RULES = [
    Rule("/admin/**", role="admin", redirect_to="/unauthorized"),
    Rule("/reports/**", role="admin"),
]


def client_behind(guard: RouterGuard, *, root_path: str = "", who: Session | None = None) -> TestClient:
    app = FastAPI()
    kit = new_kit()
    kit.install(app, guard=guard)

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE"])
    async def everything(path: str) -> str:
        return path

    @app.websocket("/{path:path}")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")

    client = client_of(app, root_path=root_path)
    return client if who is None else signed_in(client, kit, who)


def visitor(**settings: Any) -> TestClient:
    return client_behind(RouterGuard(protect=RULES, login_path="/login", **settings))


def customer(**settings: Any) -> TestClient:
    return client_behind(
        RouterGuard(protect=RULES, login_path="/login", **settings), who=Session(user_id="u", role="customer")
    )


# Nobody signed in


@pytest.mark.parametrize("headers", [NAVIGATION, OLD_BROWSER, {**NAVIGATION, "Accept": "application/json"}])
def test_a_browser_of_nobody_is_sent_to_login_with_where_it_wanted_to_go(
    headers: dict[str, str],
) -> None:
    response = visitor().get("/reports/2024?sort=a%26b&x=1", headers=headers)

    assert response.status_code == 302
    assert response.headers["location"] == "/login?next=/reports/2024%3Fsort%3Da%2526b%26x%3D1"
    assert response.content == b""


def test_the_rule_s_own_target_comes_before_the_login_page() -> None:
    response = visitor().get("/admin/x", headers=NAVIGATION)

    assert response.headers["location"] == "/unauthorized?next=/admin/x"


def test_head_is_answered_like_get() -> None:
    response = visitor().head("/reports", headers=NAVIGATION)

    assert (response.status_code, response.headers["location"]) == (302, "/login?next=/reports")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_an_unsafe_navigation_becomes_a_get_and_loses_next(method: str) -> None:
    response = visitor().request(method, "/reports?x=1", headers=NAVIGATION)

    assert (response.status_code, response.headers["location"]) == (303, "/login")


@pytest.mark.parametrize(
    "headers",
    [API, {}, {"Accept": "*/*"}, FETCH, {"Sec-Fetch-Mode": "no-cors", "Accept": "text/html"}, {"Sec-Fetch-Mode": "same-origin"}],
)  # fmt: skip
def test_whatever_is_no_navigation_gets_401_with_a_challenge(headers: dict[str, str]) -> None:
    response = visitor().get("/reports", headers={"Accept": "*/*", **headers})

    assert response.status_code == 401
    assert response.headers["www-authenticate"]
    assert response.json() == {"detail": "Not authenticated"}
    assert "location" not in response.headers


def test_a_browser_gets_401_where_there_is_no_login_page() -> None:
    response = client_behind(RouterGuard(protect=[Rule("/reports")])).get("/reports", headers=NAVIGATION)

    assert response.status_code == 401


def test_htmx_gets_401_and_is_sent_to_login_with_the_page_that_it_is_on() -> None:
    response = visitor().get("/reports/rows", headers=HTMX)

    assert response.status_code == 401
    assert response.headers["hx-redirect"] == "/login?next=/board%3Fpage%3D2"
    assert response.headers["www-authenticate"]
    assert "location" not in response.headers


def test_htmx_on_another_method_is_answered_the_same() -> None:
    response = visitor().delete("/reports/7", headers=HTMX)

    assert (response.status_code, response.headers["hx-redirect"]) == (401, "/login?next=/board%3Fpage%3D2")


def test_htmx_that_does_not_say_where_it_is_gets_no_next() -> None:
    response = visitor().get("/reports/rows", headers={"HX-Request": "true"})

    assert response.headers["hx-redirect"] == "/login"


@pytest.mark.parametrize("page", ["https://[", "https://evil.example//evil.example", "javascript:alert(1)", "//[::"])
def test_htmx_with_an_odd_page_never_leads_elsewhere(page: str) -> None:
    response = visitor().get("/reports/rows", headers={"HX-Request": "true", "HX-Current-URL": page})
    target = response.headers["hx-redirect"]

    assert response.status_code == 401
    assert target.split("?")[0] == "/login"
    assert "evil" not in target


def test_an_htmx_request_header_that_is_not_true_is_no_htmx() -> None:
    response = visitor().get("/reports", headers={**NAVIGATION, "HX-Request": "false"})

    assert response.status_code == 302


# Somebody signed in who may not


@pytest.mark.parametrize("headers", [NAVIGATION, OLD_BROWSER, FETCH, API, HTMX])
def test_somebody_signed_in_who_may_not_gets_403_and_is_never_sent_to_login(headers: dict[str, str]) -> None:
    response = customer().get("/reports", headers=headers)

    assert response.status_code == 403
    assert response.json() == {"detail": "Requires role:admin"}
    assert "location" not in response.headers
    assert "hx-redirect" not in response.headers


@pytest.mark.parametrize(("method", "status"), [("GET", 302), ("HEAD", 302), ("POST", 303)])
def test_a_signed_in_browser_goes_where_the_rule_says_without_next(method: str, status: int) -> None:
    response = customer().request(method, "/admin", headers={**NAVIGATION, "Sec-Fetch-Site": "same-origin"})

    assert (response.status_code, response.headers["location"]) == (status, "/unauthorized")


def test_signed_in_htmx_goes_where_the_rule_says() -> None:
    response = customer().get("/admin", headers=HTMX)

    assert (response.status_code, response.headers["hx-redirect"]) == (403, "/unauthorized")


def test_the_rule_s_target_is_no_business_of_a_json_client() -> None:
    assert customer().get("/admin", headers=API).status_code == 403
    assert visitor().get("/admin", headers=API).status_code == 401


# WebSockets


@pytest.mark.parametrize("path", ["/reports", "/admin/x"])
@pytest.mark.parametrize("make", [visitor, customer])
def test_a_websocket_handshake_is_refused_and_never_redirected(make: Any, path: str) -> None:
    with pytest.raises(WebSocketDisconnect), make().websocket_connect(path, headers=OLD_BROWSER):
        pass


def test_an_open_websocket_is_let_in() -> None:
    with visitor().websocket_connect("/open") as socket:
        assert socket.receive_text() == "in"


# Loops


@pytest.mark.parametrize("path", ["/login", "/login/", "/login?next=/x", "/login?a=1"])
def test_login_never_redirects_to_itself(path: str) -> None:
    guard = RouterGuard(protect=[Rule("/**", role="admin")], login_path="/login")

    assert client_behind(guard).get(path, headers=NAVIGATION).status_code == 401
    assert client_behind(guard).get(path, headers=HTMX).headers.get("hx-redirect") is None
    assert client_behind(guard, who=Session(user_id="u")).get(path, headers=NAVIGATION).status_code == 403


@pytest.mark.parametrize("target", ["/no", "/no?why=role", "/no#why", "/n%6F", "/no[way]", "/n\u00f6"])
def test_a_rule_that_covers_its_own_target_does_not_redirect_for_ever(target: str) -> None:
    guard = RouterGuard(protect=[Rule("/**", role="admin", redirect_to=target)])
    client = client_behind(guard, who=Session(user_id="u"))

    assert client.get("/elsewhere", headers=NAVIGATION).status_code == 302
    assert client.get(target, headers=NAVIGATION).status_code == 403


def test_under_a_prefix_login_never_redirects_to_itself() -> None:
    guard = RouterGuard(protect=[Rule("/**", role="admin")], login_path="/login")

    assert client_behind(guard, root_path="/app").get("/login", headers=NAVIGATION).status_code == 401
    assert client_behind(guard, root_path="/app").get("/app/login", headers=NAVIGATION).status_code == 401


def test_a_signed_in_browser_is_not_sent_in_circles_between_login_and_home() -> None:
    guard = RouterGuard(
        protect=[Rule("/", role="admin", redirect_to="/login")], login_path="/login", global_protect=True
    )
    client = client_behind(guard, who=Session(user_id="u", role="customer"))

    assert client.get("/login", headers=NAVIGATION).headers["location"] == "/"
    assert client.get("/", headers=NAVIGATION).status_code == 403


def test_a_rule_may_send_somebody_signed_in_to_login_from_any_other_page() -> None:
    guard = RouterGuard(
        protect=[Rule("/x", role="admin", redirect_to="/login")], login_path="/login", global_protect=True
    )

    assert client_behind(guard, who=Session(user_id="u")).get("/x", headers=NAVIGATION).headers["location"] == "/login"


# The login page, for whom is signed in


def test_under_global_protection_a_signed_in_browser_leaves_login_for_home() -> None:
    for home in ("/", "/dashboard", "/dashboard?from=login#top"):
        response = customer(global_protect=True, home_path=home).get("/login?next=/x", headers=NAVIGATION)

        assert (response.status_code, response.headers["location"]) == (302, home)


def test_the_login_page_is_shown_to_everybody_else() -> None:
    assert visitor(global_protect=True).get("/login", headers=NAVIGATION).status_code == 200
    assert customer(global_protect=True).get("/login", headers=API).status_code == 200
    assert customer(global_protect=True).post("/login", headers=NAVIGATION).status_code == 200
    assert customer().get("/login", headers=NAVIGATION).status_code == 200


def test_a_login_page_that_is_home_is_shown() -> None:
    guard = RouterGuard(login_path="/", home_path="/", global_protect=True)

    assert client_behind(guard, who=Session(user_id="u")).get("/", headers=NAVIGATION).status_code == 200


# Redirects stay on the site


@pytest.mark.parametrize(
    ("root_path", "path", "location"),
    [
        ("", "/reports", "/login?next=/reports"),
        ("/app", "/reports", "/app/login?next=/app/reports"),
        ("/app", "/app/reports", "/app/login?next=/app/reports"),
        ("/app/", "/reports", "/app/login?next=/app/reports"),
    ],
)
def test_a_redirect_is_relative_and_under_the_prefix_that_the_browser_knows(
    root_path: str, path: str, location: str
) -> None:
    guard = RouterGuard(protect=RULES, login_path="/login")
    headers = {**NAVIGATION, "Host": "evil.example", "X-Forwarded-Host": "evil.example"}

    assert client_behind(guard, root_path=root_path).get(path, headers=headers).headers["location"] == location


def test_the_page_at_a_prefix_is_named_by_the_prefix_alone() -> None:
    client = client_behind(RouterGuard(login_path="/login", global_protect=True), root_path="/app")

    assert client.get("/app", headers=NAVIGATION).headers["location"] == "/app/login?next=/app"
    assert client.get("/apple", headers=NAVIGATION).headers["location"] == "/app/login?next=/app/apple"


def test_a_prefix_from_a_careless_proxy_makes_no_host_of_the_redirect() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(login_path="/login", global_protect=True))

    async def prefixed(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "//evil.example"}, receive, send)

    response = client_of(prefixed).get("/x", headers=NAVIGATION)

    assert response.headers["location"].startswith("/evil.example/login")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/reports/a%20b", "/reports/a%20b"),
        ("/reports/%C3%A9", "/reports/%C3%A9"),
        ("/reports/a%3Fb%23c", "/reports/a%3Fb%23c"),
        ("/reports/100%25", "/reports/100%25"),
        ("/reports?next=//evil.example", "/reports?next=//evil.example"),
        ("/reports/a&b=c", "/reports/a&b=c"),
        ("/reports/a;b@c:d", "/reports/a;b@c:d"),
    ],
)
def test_login_brings_the_browser_back_to_exactly_where_it_wanted_to_go(path: str, wanted: str) -> None:
    app = FastAPI()
    kit = new_kit()
    kit.install(app, guard=RouterGuard(login_path="/login", global_protect=True))

    @app.post("/login")
    async def login(request: Request, name: str = Form()) -> RedirectResponse:
        set_session(request, Session(user_id=name))
        return RedirectResponse(login_redirect_target(request), 303)

    client = client_of(app)
    to_login = client.get(path, headers=NAVIGATION).headers["location"]
    back = client.post(to_login, data={"name": "ada"})

    assert back.headers["location"] == wanted


def test_a_page_too_far_to_name_is_left_out() -> None:
    response = visitor().get("/reports?" + "a" * 3_000, headers=NAVIGATION)

    assert response.headers["location"] == "/login"


def test_a_target_with_a_query_and_a_fragment_takes_next_between_them() -> None:
    guard = RouterGuard(protect=[Rule("/x", redirect_to="/in?via=x#form")])

    assert client_behind(guard).get("/x", headers=NAVIGATION).headers["location"] == "/in?via=x&next=/x#form"


def test_a_refusal_says_to_caches_that_it_depends_on_the_cookie() -> None:
    for client, path in (
        (visitor(), "/reports"),
        (customer(), "/reports"),
        (visitor(), "/admin"),
        (customer(), "/admin"),
    ):
        for headers in (NAVIGATION, API, HTMX):
            assert "Cookie" in client.get(path, headers=headers).headers["vary"]
