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
