"""What is measured: the same small application without sessions, with Starlette's, and with this library's."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

from fastapi_sessionkit import MemoryStore, RouterGuard, Rule, Session, SessionKit, require_role, set_session

SECRET = "a secret for measuring, forty characters"
PATH = "/resource"
BODY = b'{"ok":true}'
LOGIN = "/login/{number}"

Endpoint = Callable[..., Any]


class PlainSession(BaseModel):
    """What one would write by hand."""

    user_id: str
    email: str | None = None
    role: str | None = None
    roles: list[str] = []
    permissions: list[str] = []
    tier: str = "free"


class AppSession(Session):
    tier: str = "free"


def user(number: int) -> dict[str, Any]:
    """Users of the same shape and size."""
    return {
        "user_id": f"user-{number:06}",
        "email": f"user-{number:06}@example.com",
        "role": "admin",
        "permissions": ["reports:read", "reports:write"],
    }


async def ok():
    return {"ok": True}


def bare() -> FastAPI:
    """Nothing at all; its sign-in gives no cookie."""
    return _app(ok, lambda request, number: None)


def by_hand() -> FastAPI:
    """Starlette's SessionMiddleware, a Pydantic model and a role check in one async dependency."""

    async def admin(request: Request) -> PlainSession:
        if not request.session:
            raise HTTPException(401)
        session = PlainSession.model_validate(request.session)
        if session.role != "admin":
            raise HTTPException(403)
        return session

    async def endpoint(session: Annotated[PlainSession, Depends(admin)]):
        return {"ok": True}

    app = _app(endpoint, lambda request, number: request.session.update(user(number)))
    app.add_middleware(SessionMiddleware, secret_key=SECRET, https_only=True)
    return app


def unused() -> FastAPI:
    return _with_kit(ok, SessionKit(AppSession, secret_key=SECRET))


def required(*, in_memory: bool = False) -> FastAPI:
    async def endpoint(session: Annotated[AppSession, Depends(require_role("admin"))]):
        return {"ok": True}

    backend = MemoryStore() if in_memory else None
    return _with_kit(endpoint, SessionKit(AppSession, secret_key=SECRET, backend=backend))


def with_bearer() -> FastAPI:
    """The same as ``required``; its sign-in gives a token in place of a cookie."""

    async def endpoint(session: Annotated[AppSession, Depends(require_role("admin"))]):
        return {"ok": True}

    kit = SessionKit(AppSession, secret_key=SECRET, bearer=True)
    app = _app(endpoint, lambda request, number: kit.issue_token(request, AppSession(**user(number))))
    kit.install(app)
    return app


def gate(*, in_memory: bool = False, rules: int = 1) -> FastAPI:
    backend = MemoryStore() if in_memory else None
    return _with_kit(ok, SessionKit(AppSession, secret_key=SECRET, backend=backend), guard_of(rules))


def guard_of(rules: int) -> RouterGuard:
    """A guard of which the last rule is about the resource."""
    others = (Rule(f"/area-{number}/**", role="admin") for number in range(rules - 1))
    return RouterGuard(protect=[*others, Rule(f"{PATH}/**", role="admin")])


def _with_kit(endpoint: Endpoint, kit: SessionKit[AppSession], guard: RouterGuard | None = None) -> FastAPI:
    app = _app(endpoint, lambda request, number: set_session(request, AppSession(**user(number))))
    kit.install(app, guard=guard)
    return app


def _app(endpoint: Endpoint, sign_in: Callable[[Request, int], Awaitable[str] | None]) -> FastAPI:
    app = FastAPI()
    app.get(PATH)(endpoint)

    @app.get(LOGIN)
    async def login(request: Request, number: int) -> str | None:
        token = sign_in(request, number)
        return None if token is None else await token

    return app


@dataclass(frozen=True)
class Client:
    """Requests with cookies or tokens that the application itself gave, all of them padded to one length."""

    app: FastAPI
    credentials: tuple[list[tuple[bytes, bytes]], ...]

    def cycle(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """The headers of one request after the other, without an end."""
        requests = [[*_BROWSER, *headers] for headers in self.credentials]
        while True:
            yield from requests


_BROWSER = (
    (b"host", b"testserver"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"en-GB,en;q=0.9"),
    (b"connection", b"keep-alive"),
)


async def signed_in(app: FastAPI, users: int, length: int) -> Client:
    """Sign this many users in through the application."""
    return Client(app, tuple([await _credentials(app, number, length) for number in range(users)]))


def padded(cookie: bytes, length: int) -> bytes:
    """With another cookie before it, so that a ``Cookie`` header is as long for one application as for the other."""
    separator = b"; " if cookie else b""
    return b"padding=" + b"x" * (length - len(cookie) - len(separator) - len(b"padding=")) + separator + cookie


async def _credentials(app: FastAPI, number: int, length: int) -> list[tuple[bytes, bytes]]:
    """What a client sends once it has signed in."""
    status, headers, body = await call(app, LOGIN.format(number=number), list(_BROWSER))
    if status != 200:
        raise RuntimeError(f"Signing in answered {status}")
    if body.startswith(b'"'):  # a token
        token = b"Bearer " + body.strip(b'"')
        return [(b"cookie", padded(b"", length - len(token))), (b"authorization", token)]
    cookie = next((value.partition(b";")[0] for name, value in headers if name == b"set-cookie"), b"")
    return [(b"cookie", padded(cookie, length))]


async def call(app: FastAPI, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, list[Any], bytes]:
    """One whole request."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope_of(path, headers), receive, send)
    body = b"".join(message.get("body", b"") for message in messages)
    return messages[0]["status"], messages[0]["headers"], body


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def scope_of(path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 443),
        "client": ("127.0.0.1", 50_000),
        "scheme": "https",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "state": {},
    }
