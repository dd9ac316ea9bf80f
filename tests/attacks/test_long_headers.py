"""Attack: a header that takes long to parse. It is refused before anybody parses it."""

import logging
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from fastapi import Cookie, Depends, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from starlette.types import Message

from fastapi_sessionkit import ConfigurationError, CookieSettings, RouterGuard, Session, SessionKit, get_session
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

LIMIT = 16_384


def application(**settings: Any) -> tuple[FastAPI, SessionKit[Session], list[str]]:
    """An application whose page, open to all, has FastAPI parse the cookies; and what has run of it."""
    kit: SessionKit[Session] = new_kit(model=Session, **settings)
    app, ran = FastAPI(), list[str]()
    kit.install(app)

    @app.get("/page")
    async def page(theme: Annotated[str, Cookie()] = "light") -> str:
        ran.append("page")
        return theme

    @app.get("/me")
    async def me(session: Annotated[Session | None, Depends(get_session)]) -> str:
        return "nobody" if session is None else session.user_id

    return app, kit, ran


async def answer_of(app: FastAPI, headers: Sequence[tuple[bytes, bytes]], kind: str = "http") -> Message:
    """The first message of the answer, over bare ASGI: test clients have limits of their own."""
    messages: list[Message] = []
    scope: dict[str, Any] = {
        "type": kind,
        "path": "/page",
        "raw_path": b"/page",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *headers],
        "scheme": "https" if kind == "http" else "wss",
        "server": ("testserver", 443),
        **({"method": "GET"} if kind == "http" else {"subprotocols": []}),
    }

    async def receive() -> Message:
        return {"type": f"{kind}.request" if kind == "http" else "websocket.connect"}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    return messages[0]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "value",
    [b'a="' + b"\\" * 40_000 + b'"', b"a=" + b"b" * LIMIT, b";" * 100_000, b"; ".join([b"a=1"] * 10_000)],
    ids=["backslashes", "one value", "semicolons", "many cookies"],
)
async def test_attack_a_long_cookie_header_is_431_before_anything_parses_it(value: bytes) -> None:
    app, _, ran = application()
    message = await answer_of(app, [(b"cookie", value)])
    assert message["status"] == 431
    assert ran == []


@pytest.mark.anyio
async def test_attack_a_long_cookie_header_behind_a_short_one_is_431() -> None:
    app, _, ran = application()
    assert (await answer_of(app, [(b"cookie", b"a=1"), (b"cookie", b"b" * (LIMIT + 1))]))["status"] == 431
    assert ran == []


@pytest.mark.anyio
async def test_attack_a_cookie_header_in_many_lines_is_431() -> None:
    app, _, ran = application()
    lines = [(b"cookie", b"a%d=" % number + b"b" * 1_000) for number in range(LIMIT // 1_000 + 1)]
    assert (await answer_of(app, lines))["status"] == 431
    assert ran == []


@pytest.mark.anyio
async def test_a_cookie_header_of_the_limit_is_served() -> None:
    app, _, ran = application()
    assert (await answer_of(app, [(b"cookie", b"a=" + b"b" * (LIMIT - 2))]))["status"] == 200
    assert ran == ["page"]


@pytest.mark.anyio
async def test_other_headers_may_be_longer() -> None:
    app, _, ran = application()
    assert (await answer_of(app, [(b"x-state", b"b" * 100_000), (b"cookie", b"a=1")]))["status"] == 200
    assert ran == ["page"]


@pytest.mark.anyio
async def test_attack_a_long_cookie_header_on_a_handshake_is_refused() -> None:
    app, _, _ = application()
    message = await answer_of(app, [(b"cookie", b"b" * 20_000)], "websocket")
    assert message["type"] == "websocket.close"


@pytest.mark.anyio
async def test_attack_a_long_authorization_header_is_431() -> None:
    app, _, ran = application(bearer=True)
    message = await answer_of(app, [(b"authorization", b"Bearer " + b"b" * LIMIT)])
    assert message["status"] == 431
    assert ran == []


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [4_096, 20_000])
async def test_the_limit_is_a_setting(limit: int) -> None:
    app, _, _ = application(cookie=CookieSettings(header_limit=limit))
    assert (await answer_of(app, [(b"cookie", b"b" * limit)]))["status"] == 200
    assert (await answer_of(app, [(b"cookie", b"b" * (limit + 1))]))["status"] == 431


@pytest.mark.parametrize("wrong", [0, -1, 4_095, 1.5, True, "16384", None])
def test_a_limit_that_can_not_be_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="header_limit"):
        CookieSettings(header_limit=wrong)


def test_the_refusal_says_what_happened_and_what_to_set(caplog: pytest.LogCaptureFixture) -> None:
    app, kit, _ = application()
    client = signed_in(client_of(app), kit, Session(user_id="ada"))
    assert client.get("/me").json() == "ada"
    with caplog.at_level(logging.DEBUG, "fastapi_sessionkit"):
        answer = client.get("/me", headers={"Cookie": "secret-value; " * 2_000})
    assert answer.status_code == 431
    assert "28,000 bytes" in answer.text
    assert "header_limit" in answer.text
    assert "secret-value" not in caplog.text + answer.text


def test_the_application_s_handler_of_http_exceptions_sees_it() -> None:
    app, _, _ = application()

    @app.exception_handler(HTTPException)
    async def handle(request: Request, error: HTTPException) -> PlainTextResponse:
        return PlainTextResponse("clear your cookies", error.status_code)

    answer = client_of(app).get("/page", headers={"Cookie": "b" * 20_000})
    assert (answer.status_code, answer.text) == (431, "clear your cookies")


@pytest.mark.parametrize("asks_second", [False, True])
def test_attack_a_handler_that_asks_who_is_there_reads_no_long_header(asks_second: bool) -> None:
    """Of two kits neither reads it, whichever refused: the request is nobody's, and the answer stays a 431."""
    app, kits = FastAPI(), [new_kit(model=Session, name=name) for name in ("first", "second")]
    for kit in kits:
        kit.install(app)
    asked = kits[asks_second]

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> PlainTextResponse:
        session = await asked.get_session(request)
        return PlainTextResponse("nobody" if session is None else session.user_id, error.status_code)

    client = signed_in(client_of(app), asked, Session(user_id="ada"))
    client.cookies.set("long", "x" * LIMIT)
    answer = client.get("/page")

    assert (answer.status_code, answer.text) == (431, "nobody")
    assert answer.headers["vary"] == "Cookie"


def test_it_comes_before_the_guard_and_the_origin_check() -> None:
    app, kit = FastAPI(), new_kit(model=Session)
    kit.install(app, guard=RouterGuard(global_protect=True))
    headers = {"Cookie": "b" * 20_000, "Sec-Fetch-Site": "cross-site"}
    assert client_of(app).post("/anything", headers=headers).status_code == 431
