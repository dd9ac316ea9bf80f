"""``cross_origin_exempt``: endpoints that prove their caller otherwise; they, and no others."""

from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import ConfigurationError, Session, set_session
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

ELSEWHERE = {"Origin": "https://accounts.example", "Sec-Fetch-Site": "cross-site"}


def application(**settings: Any) -> FastAPI:
    app = FastAPI()
    new_kit(**settings).install(app)
    add_routes(app)
    return app


def add_routes(app: FastAPI) -> None:
    @app.post("/callback")
    @app.post("/callback/{path:path}")
    @app.post("/login")
    async def callback(request: Request) -> None:
        set_session(request, Session(user_id="ada"))

    @app.websocket("/callback")
    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()


def status(app: Any, path: str, **options: Any) -> int:
    """Of a cross-origin POST, the same with a cookie and without."""
    client = TestClient(app, base_url="https://testserver", headers=ELSEWHERE, **options)
    without = client.post(path).status_code
    client.cookies.set("__Host-session", "whatever", domain="testserver.local")
    assert client.post(path).status_code == without
    return without


@pytest.mark.parametrize(
    ("exempt", "path", "answer"),
    [
        ("/callback", "/callback", 200),
        ("/callback", "/callback/", 200),
        ("/callback", "/callback?code=1", 200),
        ("/callback/*", "/callback/google", 200),
        ("/callback/**", "/callback", 200),
        ("/callback", "/login", 403),
        ("/callback", "/callback/google", 403),
        ("/callback/*", "/callback", 403),
        ("/Callback", "/callback", 403),
        ("/callback/**", "/callback/../login", 403),
        ("/callback/**", "/callback//login", 403),
        ("/callback/**", "/callback/%2e%2e/login", 403),
        ("/callback/**", "/callback/a%0A", 403),
    ],
)
def test_both_checks_pass_an_exempt_path_and_no_other(exempt: str, path: str, answer: int) -> None:
    app = application(cross_origin_exempt=[exempt])

    assert status(raw(app, path), "/") == answer


def raw(app: Any, path: str) -> Any:
    """The application, asked for this path whatever the client makes of it."""

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        plain, _, query = path.partition("?")
        if scope["type"] != "lifespan":
            scope = {**scope, "path": unquote(plain), "raw_path": plain.encode(), "query_string": query.encode()}
        await app(scope, receive, send)

    return asked


def test_without_it_a_callback_is_refused_and_the_text_names_the_setting() -> None:
    answer = client_of(application()).post("/callback", headers=ELSEWHERE)

    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("Cross-origin sign-in refused: ")
    assert "cross_origin_exempt=[...]" in answer.json()["detail"]
    assert "'https://accounts.example'" in answer.json()["detail"]


def test_an_exempt_path_is_the_one_below_root_path() -> None:
    app = application(cross_origin_exempt=["/callback"])

    assert status(app, "/callback", root_path="/api") == 200
    assert status(app, "/login", root_path="/api") == 403


@pytest.mark.parametrize("own", [False, True])
def test_on_what_is_mounted_the_path_is_that_of_the_kits_application(own: bool) -> None:
    """Also where the mounted application has the same kit."""
    app, inner = FastAPI(), FastAPI()
    kit = new_kit(cross_origin_exempt=["/inner/callback"])
    kit.install(app)
    if own:
        kit.install(inner)
    add_routes(inner)
    app.mount("/inner", inner)

    assert status(app, "/inner/callback") == 200
    assert status(app, "/inner/login") == 403


def test_a_handshake_on_an_exempt_path_passes() -> None:
    kit = new_kit(cross_origin_exempt=["/callback"])
    app = FastAPI()
    kit.install(app)
    add_routes(app)
    client = signed_in(client_of(app), kit, Session(user_id="ada"))

    with client.websocket_connect("wss://testserver/callback", headers=ELSEWHERE):
        pass
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/socket", headers=ELSEWHERE):
        pass


@pytest.mark.parametrize("wrong", ["/callback", None, b"/bytes", {"/callback": True}])
def test_the_setting_takes_a_list(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="cross_origin_exempt takes a list"):
        new_kit(cross_origin_exempt=wrong)


@pytest.mark.parametrize("wrong", ["callback", "/callback/", "/a*", "https://app.example/callback", "", 7])
def test_what_is_no_pattern_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        new_kit(cross_origin_exempt=[wrong])
