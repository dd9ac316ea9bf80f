"""A site that tells who is signed in by a cookie."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fastapi_sessionkit import (
    RouterGuard,
    Session,
    clear_session,
    get_session,
    set_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import COOKIE, SITE, new_kit

NAME = COOKIE.encode()


class Site:
    """An application that says who one is, and hands out tokens."""

    def __init__(self, *, guard: RouterGuard | None = None, **options: Any) -> None:
        self.kit = new_kit(**options)
        self.app = FastAPI()
        self.kit.install(self.app, guard=guard)

        @self.app.get("/who")
        async def who(session: Annotated[Session | None, Depends(get_session)]) -> Response:
            return PlainTextResponse("nobody" if session is None else session.user_id)

        @self.app.get("/idle")
        async def idle() -> str:
            return "ok"

        @self.app.post("/login")
        async def login(request: Request) -> None:
            set_session(request, Session(user_id="ada"))

        @self.app.post("/logout")
        async def logout(request: Request) -> None:
            clear_session(request)

    def client(self, base_url: str = SITE) -> TestClient:
        return TestClient(self.app, base_url=base_url)

    def token(self, user_id: str) -> bytes:
        client = signed_in(self.client(), self.kit, Session(user_id=user_id))
        return client.cookies[COOKIE].encode()

    async def answer(self, *cookies: bytes) -> tuple[int, bytes]:
        """The status and the body for a request with these ``Cookie`` headers, byte for byte."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"testserver"), *((b"cookie", cookie) for cookie in cookies)]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
            "path": "/who", "raw_path": b"/who", "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("testserver", 443),
        }  # fmt: skip
        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    async def who(self, *cookies: bytes) -> str:
        status, body = await self.answer(*cookies)
        assert status == 200
        return body.decode()


def parsed(cookie: str) -> tuple[str, str, dict[str, str | bool]]:
    """Name, value and attributes, as RFC 6265bis reads them."""
    pair, *attributes = [part.strip() for part in cookie.split(";")]
    name, _, value = pair.partition("=")
    found: dict[str, str | bool] = {}
    for attribute in attributes:
        key, mark, text = attribute.partition("=")
        assert key.lower() not in found, "an attribute given twice"
        found[key.lower()] = text if mark else True
    return name, value, found
