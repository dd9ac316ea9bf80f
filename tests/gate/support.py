"""Applications behind the gate, and raw requests to them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Route, Router
from starlette.staticfiles import StaticFiles

from fastapi_sessionkit import (
    RouterGuard,
    Session,
    SessionKit,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

ADMIN = Session(user_id="root", role="admin")
CUSTOMER = Session(user_id="ada", role="customer")
NAVIGATION = {"Sec-Fetch-Mode": "navigate"}


Message = dict[str, Any]


def token_of(kit: SessionKit[Session], session: Session) -> bytes:
    client = signed_in(client_of(None), kit, session)
    return b"; ".join(f"{cookie.name}={cookie.value}".encode() for cookie in client.cookies.jar)


async def never() -> Message:
    raise AssertionError("the body was read")


async def ask(
    app: Any,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    cookie: bytes = b"",
    receive: Callable[[], Awaitable[Message]] = never,
    **scope: Any,
) -> list[Message]:
    """What an ASGI application sends for a scope that no client library has tidied up."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    base = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("testserver", 443),
        "headers": [(b"host", b"testserver"), *raw, *([(b"cookie", cookie)] if cookie else [])],
    }  # fmt: skip
    await app({**base, **scope}, receive, send)
    return sent


async def status(app: Any, path: str, **how: Any) -> int:
    answer: int = (await ask(app, path, **how))[0]["status"]
    return answer


def everything(files: Path, guard: RouterGuard | None, kit: SessionKit[Session] | None = None) -> FastAPI:
    app = FastAPI()
    sub = FastAPI()
    inner, nested = APIRouter(prefix="/inner"), APIRouter(prefix="/nested")

    @app.get("/api")
    @app.get("/items/{number}")
    @app.get("/slashed/")
    @nested.get("/deep")
    @sub.get("/page")
    async def endpoint() -> str:
        return "secret"

    @app.post("/api")
    async def post(body: dict[str, int]) -> str:
        return "secret"

    async def plain(request: Request) -> Response:
        return PlainTextResponse("secret")

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("secret")(scope, receive, send)

    inner.include_router(nested)
    app.include_router(inner, prefix="/outer")
    app.add_route("/plain", plain, methods=["GET", "POST"])
    app.mount("/sub", sub)
    app.mount("/bare", bare)
    app.mount("/static", StaticFiles(directory=files, html=True))
    app.router.routes.append(Host("other.example", Router([Route("/hosted", plain)])))
    app.frontend("/front", directory=files)
    (kit or new_kit()).install(app, guard=guard)
    return app


PREFLIGHT = {"Origin": "https://front.example", "Access-Control-Request-Method": "POST"}
