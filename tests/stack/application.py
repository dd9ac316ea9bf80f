"""The application that the whole stack is tested with, and a browser that calls it without a network."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import Session, SessionBackend, SessionKit, SessionStore
from tests.support import SECRET

IDLE, ABSOLUTE, GRACE = 600.0, 3_600.0, 10.0


class StackSession(Session):
    """A session with a counter; further fields come and go."""

    n: int = 0


class Pauses:
    """Where requests wait inside their endpoint, with the session loaded, until they may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def pause(self) -> None:
        self.reached.release()
        await self.go.wait()


class World:
    """One kit on one application.

    Attributes:
        pauses: for the requests to ``/slow/…``.
    """

    def __init__(self, backend: SessionBackend | SessionStore, clock: Callable[[], float], **options: Any) -> None:
        settings: dict[str, Any] = {
            "idle_timeout": IDLE,
            "absolute_timeout": ABSOLUTE,
            "rotation_grace": GRACE,
            "purge_every": None,
            **options,
        }
        self.kit = SessionKit(StackSession, secret_key=SECRET, backend=backend, clock=clock, **settings)
        self.pauses = Pauses()
        self.app = stack_application(self.kit, self.pauses)

    def browser(self, token: str | None = None) -> "Browser":
        return Browser(self, token)

    async def signed_in(self, user: str = "ada") -> "Browser":
        browser = self.browser()
        answer = await browser.post(f"/login/{user}")
        if answer.status != 200:
            raise RuntimeError(f"Signing in answered {answer.status}")
        return browser

    async def opens(self, token: str | None) -> bool:
        """Whether a token opens a session; 503 is neither yes nor no."""
        answer = await self.browser(token).get("/me")
        if answer.status not in {200, 401}:
            raise RuntimeError(f"Reading answered {answer.status}")
        return answer.status == 200


@dataclass(frozen=True)
class Answer:
    """A response.

    Attributes:
        token: the session cookie that it set: empty when it removed the cookie, ``None`` when it left it alone.
    """

    status: int
    body: Any
    token: str | None


class Browser:
    """Keeps the cookie that it is given, one at a time, and every one that it ever had."""

    def __init__(self, world: World, token: str | None) -> None:
        self._world = world
        self.token = token
        self.tokens: list[str] = [token] if token else []

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def post(self, path: str) -> Answer:
        return await self.send("POST", path)

    async def send(self, method: str, path: str) -> Answer:
        name = self._world.kit.cookie_name
        headers = [(b"host", b"testserver")]
        if self.token:
            headers.append((b"cookie", f"{name}={self.token}".encode()))
        status, sent, body = await call(self._world.app, method, path, headers)
        cookies = [value.decode() for key, value in sent if key == b"set-cookie"]
        token = cookies[0].partition(";")[0].removeprefix(f"{name}=").strip('"') if cookies else None
        if token is not None:
            self.token = token or None
        if token:
            self.tokens.append(token)
        return Answer(status, json.loads(body) if body else None, token)


async def call(app: Any, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, list[Any], bytes]:
    """One request over https, as a server passes it on."""
    path, _, query = path.partition("?")
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("testserver", 443),
        "client": ("127.0.0.1", 50_000),
        "scheme": "https",
        "method": method,
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "state": {},
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in messages)
    return messages[0]["status"], messages[0]["headers"], body


def stack_application(kit: SessionKit[StackSession], pauses: Pauses | None = None) -> FastAPI:
    app = FastAPI()
    kit.install(app)
    _sign_in_and_out(app, kit)
    _changes(app, kit)
    _slow(app, kit, pauses or Pauses())
    return app


def _sign_in_and_out(app: FastAPI, kit: SessionKit[StackSession]) -> None:
    Current = Annotated[StackSession, Depends(kit.require_session)]  # noqa: N806 - a type

    @app.post("/login/{user}")
    async def login(request: Request, user: str, ttl: float | None = None):
        kit.set_session(request, StackSession(user_id=user), ttl=ttl)

    @app.get("/me")
    async def me(session: Current) -> StackSession:
        return session

    @app.get("/open")
    async def no_session_asked():
        return "open"

    @app.post("/logout")
    async def logout(request: Request):
        kit.clear_session(request)

    @app.post("/others/end")
    async def end_others(request: Request, session: Current) -> int:
        return await kit.sessions.revoke_user(session.user_id, keep_current=request)


def _changes(app: FastAPI, kit: SessionKit[StackSession]) -> None:
    Current = Annotated[StackSession, Depends(kit.require_session)]  # noqa: N806 - a type

    @app.post("/fields/{name}/{value}")
    async def change(request: Request, name: str, value: str, session: Current):
        kit.update_session(request, **{name: value})

    @app.post("/unseen/{name}/{value}")
    async def change_unseen(request: Request, name: str, value: str):
        kit.update_session(request, **{name: value})

    @app.post("/raise")
    async def raise_the_counter(request: Request, session: Current):
        kit.update_session(request, lambda s: {"n": s.n + 1})

    @app.post("/role/{name}")
    async def change_role(request: Request, name: str, session: Current):
        kit.update_session(request, role=name)

    @app.post("/rotate")
    async def rotate(request: Request, session: Current):
        kit.regenerate_session(request)


def _slow(app: FastAPI, kit: SessionKit[StackSession], pauses: Pauses) -> None:
    Current = Annotated[StackSession, Depends(kit.require_session)]  # noqa: N806 - a type

    @app.get("/slow/read")
    async def slow_read(session: Current) -> StackSession:
        await pauses.pause()
        return session

    @app.post("/slow/fields/{name}/{value}")
    async def slow_change(request: Request, name: str, value: str, session: Current):
        kit.update_session(request, **{name: value})
        await pauses.pause()

    @app.post("/slow/rotate")
    async def slow_rotate(request: Request, session: Current):
        kit.regenerate_session(request)
        await pauses.pause()

    @app.post("/slow/logout")
    async def slow_logout(request: Request, session: Current):
        kit.clear_session(request)
        await pauses.pause()
