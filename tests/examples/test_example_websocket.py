"""``examples/websocket.py``: the session in a WebSocket."""

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from examples.websocket import app
from tests.examples.serving import PATIENCE, cookie_of, served
from tests.support import client_of

ECHO = "wss://testserver/echo"


@pytest.fixture
def client() -> TestClient:
    return client_of(app)


def test_the_socket_knows_who_is_talking(client: TestClient) -> None:
    client.post("/login", data={"name": "Ada"})

    with client.websocket_connect(ECHO, headers={"origin": "https://testserver"}) as socket:
        greeting = socket.receive_text()
        socket.send_text("good morning")
        answer = socket.receive_text()

    assert (greeting, answer) == ("Hello, Ada.", "Ada: good morning")


def test_the_handshake_is_refused_when_nobody_is_signed_in(client: TestClient) -> None:
    with pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)), client.websocket_connect(ECHO):
        pass


def test_the_handshake_is_refused_after_signing_out(client: TestClient) -> None:
    client.post("/login", data={"name": "Ada"})
    client.post("/logout")

    with pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)), client.websocket_connect(ECHO):
        pass


def test_the_socket_is_closed_at_once_when_one_signs_out() -> None:
    with served(app) as host:
        headers = cookie_of(host, "Ada")
        with connect(f"ws://{host}/echo", additional_headers=headers) as socket:
            assert socket.recv(PATIENCE) == "Hello, Ada."
            httpx.post(f"http://{host}/logout", headers=headers)
            with pytest.raises(ConnectionClosed):
                socket.recv(PATIENCE)

        assert (socket.close_code, socket.close_reason) == (4401, "The session has ended")


def test_cross_site_websocket_hijacking_is_refused(client: TestClient) -> None:
    client.post("/login", data={"name": "Ada"})
    handshake = client.websocket_connect(ECHO, headers={"origin": "https://evil.example"})

    with pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)), handshake:
        pass


@pytest.mark.parametrize("name", ["", " ", "<b>", "a" * 41])
def test_a_name_that_is_none_is_refused(client: TestClient, name: str) -> None:
    assert client.post("/login", data={"name": name}).status_code == 422


def test_the_front_page_is_open(client: TestClient) -> None:
    assert "new WebSocket" in client.get("/").text
