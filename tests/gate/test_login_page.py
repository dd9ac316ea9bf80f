"""The login page behind a guard: it is shown, and never sends a browser in circles."""

from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient

from fastapi_sessionkit import RouterGuard, Rule, Session
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit


def signed_in_browser(guard: RouterGuard) -> TestClient:
    kit = new_kit()
    app = FastAPI()
    kit.install(app, guard=guard)
    for path in ("/", "/login"):
        app.add_api_route(path, lambda: "here")
    client = client_of(app, headers={"accept": "text/html"})
    return signed_in(client, kit, Session(user_id="ada", role="user"))


@pytest.mark.parametrize(
    "settings",
    [{"exclude": ["/login"]}, {"protect": [Rule("/login", public=True)]}, {"protect": [Rule("/login", role="user")]}],
)
def test_a_login_page_that_a_rule_or_exclude_names_is_shown_when_signed_in(settings: Any) -> None:
    guard = RouterGuard(**settings, login_path="/login", global_protect=True)

    assert signed_in_browser(guard).get("/login").status_code == 200


@pytest.mark.parametrize("target", ["/login", "/login?denied=1", "/login#denied"])
def test_home_and_the_login_page_never_send_a_browser_in_circles(target: str) -> None:
    rules = [Rule("/", role="admin", redirect_to=target)]
    browser = signed_in_browser(RouterGuard(protect=rules, login_path="/login", global_protect=True))

    assert browser.get("/").status_code == 403


def test_a_websocket_at_the_login_page_is_no_browser_to_send_home() -> None:
    """Its handshake counts as a GET, and may well say that it accepts HTML."""
    kit = new_kit()
    app = FastAPI()
    kit.install(app, guard=RouterGuard(login_path="/login", global_protect=True))

    @app.websocket("/login")
    async def login(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("here")
        await websocket.close()

    client = signed_in(client_of(app), kit, Session(user_id="ada"))
    headers = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
    with client.websocket_connect("wss://testserver/login", headers=headers) as socket:
        assert socket.receive_text() == "here"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
def test_only_a_get_of_the_login_page_is_sent_home(method: str) -> None:
    """Whoever signs in as somebody else posts to it while signed in."""
    kit, app = new_kit(), FastAPI()
    kit.install(app, guard=RouterGuard(login_path="/login", global_protect=True))
    app.add_api_route("/login", lambda: "here", methods=[method])
    browser = signed_in(client_of(app, headers={"Sec-Fetch-Mode": "navigate"}), kit, Session(user_id="ada"))

    assert browser.request(method, "/login").status_code == 200


def test_a_client_that_is_no_browser_sees_the_login_page_though_signed_in() -> None:
    browser = signed_in_browser(RouterGuard(login_path="/login", global_protect=True))

    assert browser.get("/login", headers={"Accept": "application/json"}).status_code == 200
    assert browser.get("/login").status_code == 302


@pytest.mark.parametrize("who", [Session(user_id="ada", role="user"), None], ids=["signed in", "nobody"])
def test_a_refused_home_sends_those_not_signed_in_to_the_login_page(who: Session | None) -> None:
    """Nobody is sent to the login page, which does not send nobody back."""
    kit, app = new_kit(), FastAPI()
    rules = [Rule("/", role="admin", redirect_to="/login?denied=1")]
    kit.install(app, guard=RouterGuard(protect=rules, login_path="/login", global_protect=True))
    browser = client_of(app, headers={"accept": "text/html"})
    if who is not None:
        signed_in(browser, kit, who)

    answer = browser.get("/")

    assert answer.status_code == (302 if who is None else 403)
    assert answer.headers.get("location") == ("/login?denied=1&next=/" if who is None else None)
