"""Another site can't sign people out: what did not come with the request is not removed."""

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.testclient import TestClient

from fastapi_sessionkit import SessionBackend, SessionKit, clear_session, set_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import ADA, COOKIE, AppSession, app_kit, client_of

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


def client_that_signs_out(kit: SessionKit[AppSession]) -> TestClient:
    app = FastAPI()
    kit.install(app)

    @app.get("/logout")
    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    @app.post("/in-and-out")
    async def in_and_out(request: Request) -> None:
        set_session(request, ADA)
        clear_session(request)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        clear_session(websocket)
        await websocket.accept()
        await websocket.close()

    return client_of(app)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_form_of_another_site_without_the_cookie_signs_nobody_out(kit: SessionKit[AppSession], method: str) -> None:
    """The browser leaves a Lax cookie out of such a request, and would take its removal from the answer."""
    victim = signed_in(client_that_signs_out(kit), kit, ADA)
    answer = client_that_signs_out(kit).request(method, "/logout", headers=CROSS_SITE)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert session_of(victim, kit) == ADA


def test_with_the_cookie_it_is_refused(kit: SessionKit[AppSession]) -> None:
    client = signed_in(client_that_signs_out(kit), kit, ADA)

    assert client.post("/logout", headers=CROSS_SITE).status_code == 403
    assert session_of(client, kit) == ADA


@pytest.mark.parametrize("path", ["/logout", "/in-and-out"])
def test_without_a_cookie_nothing_is_removed(kit: SessionKit[AppSession], path: str) -> None:
    answer = client_that_signs_out(kit).post(path, headers={"Cookie": "theme=dark; x__Host-session=1"})

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_without_a_cookie_a_web_socket_removes_nothing(kit: SessionKit[AppSession]) -> None:
    with client_that_signs_out(kit).websocket_connect("wss://testserver/ws") as connection:
        headers: list[tuple[bytes, bytes]] = connection.extra_headers or []

    assert b"set-cookie" not in dict(headers)


@pytest.mark.parametrize(
    "sent",
    [
        f"{COOKIE}=",
        f"{COOKIE}=nonsense",
        f"{COOKIE}={'x' * 5_000}",
        f"{COOKIE}=one; {COOKIE}=two",
        f"{COOKIE}=one; {COOKIE}=one",
        f"{COOKIE}=; {COOKIE}=",
    ],
    ids=["empty", "nonsense", "too long", "twice", "twice the same", "twice and empty"],
)
def test_a_cookie_that_came_is_removed_whatever_is_in_it(kit: SessionKit[AppSession], sent: str) -> None:
    answer = client_that_signs_out(kit).post("/logout", headers={"Cookie": sent})

    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=; Max-Age=0")


def test_signing_out_removes_each_kit_s_own_cookie_alone(backend: SessionBackend) -> None:
    kit = app_kit(backend=backend)
    client = signed_in(client_that_signs_out(kit), kit, ADA)
    client.cookies.set("other", "value", domain="testserver.local")
    client.post("/logout")

    assert client.cookies.get("other") == "value"
    assert session_of(client, kit) is None
