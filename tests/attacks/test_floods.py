"""Attack: a flood of visitors who have no session, or make one up. It leaves no row, no cookie and no word to the store."""

import secrets
import time
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from fastapi_sessionkit import RouterGuard, Rule, SessionKit
from fastapi_sessionkit.backends.keys import encode
from tests.support import COOKIE, SECRET, AppSession, Clock, RecordingStore

pytestmark = pytest.mark.anyio

FLOOD = 10_000


async def answered(scope: Any, receive: Any, send: Any) -> None:
    """What stands behind the gate."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def flooded(store: RecordingStore, clock: Clock) -> Any:
    """An application whose gate asks who is there, on every path."""
    app = FastAPI()
    kit = SessionKit(AppSession, secret_key=SECRET, backend=store, clock=clock, bearer=True)
    kit.install(app, guard=RouterGuard(protect=[Rule("/**", allow=lambda session: session is None)]))
    app.mount("/", answered)
    return app


async def headers_of_answer(app: Any, header: tuple[bytes, bytes] | None) -> dict[bytes, bytes]:
    messages: list[Message] = []
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/page",
        "raw_path": b"/page",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *([] if header is None else [header])],
        "scheme": "https",
        "server": ("testserver", 443),
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    assert messages[0]["status"] == 200
    return dict(messages[0]["headers"])


def made_up() -> str:
    """An id of the right shape, with a signature of the right length."""
    return f"{encode(secrets.token_bytes(32)).decode()}.{encode(secrets.token_bytes(32)).decode()}"


@pytest.mark.parametrize("kind", ["anonymous", "made-up ids", "made-up tokens"])
async def test_attack_by_a_flood_of_junk_sessions(kind: str, clock: Clock) -> None:
    store = RecordingStore()
    app = flooded(store, clock)
    began = time.perf_counter()

    for _ in range(FLOOD):
        header = {
            "anonymous": None,
            "made-up ids": (b"cookie", f"{COOKIE}={made_up()}".encode()),
            "made-up tokens": (b"authorization", f"Bearer {made_up()}".encode()),
        }[kind]
        assert b"set-cookie" not in await headers_of_answer(app, header)

    assert store.calls == []
    assert await store.purge() == 0
    assert time.perf_counter() - began < 60


async def test_attack_by_a_flood_of_one_requests_cookies(clock: Clock) -> None:
    """Many cookies of the name in one request are nobody's, and none of them is looked up."""
    store = RecordingStore()
    app = flooded(store, clock)
    header = "; ".join(f"{COOKIE}={made_up()}" for _ in range(100))

    assert len(header) < 16_384
    for _ in range(100):
        assert b"set-cookie" not in await headers_of_answer(app, (b"cookie", header.encode()))
    assert store.calls == []
