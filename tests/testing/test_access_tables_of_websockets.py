"""Handshakes of WebSockets in a table of ``assert_access``."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI, WebSocket, WebSocketException

from fastapi_sessionkit import RouterGuard, Rule, require_role
from fastapi_sessionkit.testing import assert_access
from tests.support import app_kit


async def echo(connection: WebSocket) -> None:
    await connection.accept()
    while True:
        await connection.send_text(await connection.receive_text())


async def greeting(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_text("hello")


async def shut(connection: WebSocket) -> None:
    raise WebSocketException(1008)


async def closing(connection: WebSocket) -> None:
    await connection.accept()
    await connection.close(4000)


async def broken(connection: WebSocket) -> None:
    raise ZeroDivisionError


def application(**options: Any) -> FastAPI:
    app = FastAPI()
    for path, endpoint in {
        "/echo": echo,
        "/greeting": greeting,
        "/shut": shut,
        "/closing": closing,
        "/broken": broken,
    }.items():
        app.add_api_websocket_route(path, endpoint)
    app.add_api_websocket_route("/log", echo, dependencies=[Depends(require_role("auditor"))])
    app_kit(**options).install(app, guard=RouterGuard([Rule("/echo", role="admin")]))
    return app


TABLE = {
    ("WEBSOCKET", "/echo"): {"admin": 101, "editor": 403, "anonymous": 401},
    ("websocket", "/log"): {"auditor": 101, "admin": 403, "anonymous": 401},
    ("WEBSOCKET", "/greeting"): {"anonymous": 101},
    ("WEBSOCKET", "/closing"): {"anonymous": 101},
    ("WEBSOCKET", "/shut"): {"admin": 403},
    ("WEBSOCKET", "/broken"): {"admin": 500},
    ("WEBSOCKET", "/nowhere"): {"admin": 403},
}


def test_a_handshake_is_accepted_or_refused_with_its_status() -> None:
    assert_access(application(), TABLE)


@pytest.mark.parametrize("operation", TABLE)
def test_each_wrong_answer_of_a_handshake_fails(operation: tuple[str, str]) -> None:
    wrong = dict.fromkeys(TABLE[operation], 200)

    with pytest.raises(AssertionError, match="not 200"):
        assert_access(application(), {operation: wrong})
