"""An identity service on a real port, and an application that asks it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import httpx
import uvicorn
from fastapi import Depends, FastAPI, Request
from starlette.types import Receive, Scope, Send

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    SessionKit,
    clear_session,
    reauthenticate_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.whoami import WhoamiBackend
from tests.examples.serving import served
from tests.support import ADA, SITE, AppSession, Clock, app_kit

COOKIE = "ory_kratos_session"
HEADER = "X-Session-Token"
SIGNED_IN = {"active": True, "identity": {"id": "ada", "role": "user"}, "authenticated_at": "2026-11-27T10:00:00+00:00"}


class Service:
    """An ASGI application that says who somebody is, and keeps what it was asked.

    Attributes:
        asked: the headers of each request, in their order.
        people: whom each cookie or token leads to; anybody else gets ``refusal``.
        refusal: the status for nobody.
        status: what everybody gets in place of an answer.
        headers: sent with every answer.
        body: what is sent in place of the JSON, part by part.
        delay: seconds before the first byte, and before every part after the first one.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.people: dict[str, Any] = {f"{COOKIE}=ada": SIGNED_IN, "token-of-ada": SIGNED_IN}
        self.refusal = 401
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: Sequence[bytes] | None = None
        self.delay = 0.0
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        given = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append(given)
        await asyncio.sleep(self.delay)
        found = next((self.people[value] for value in given.values() if value in self.people), None)
        status = self.status or (self.refusal if found is None else 200)
        parts = [json.dumps(found).encode()] if self.body is None else self.body
        await send({"type": "http.response.start", "status": status, "headers": self.headers})
        for place, part in enumerate(parts):
            await asyncio.sleep(self.delay if place else 0)
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def running_service() -> Iterator[Service]:
    service = Service()
    with served(service) as host:
        service.url = f"http://{host}/sessions/whoami"
        yield service


@contextmanager
def running_service_over_tls(certificate: str, key: str) -> Iterator[Service]:
    service = Service()
    config = uvicorn.Config(service, port=0, log_level="critical", ssl_certfile=certificate, ssl_keyfile=key)
    with served(service, config) as host:
        service.url = f"https://{host.replace('127.0.0.1', 'localhost')}/sessions/whoami"
        yield service


def session_of_answer(answer: Any) -> AppSession | None:
    identity = answer["identity"]
    return AppSession(user_id=identity["id"], role=identity["role"]) if answer["active"] else None


def new_backend(url: str, **options: Any) -> WhoamiBackend:
    return WhoamiBackend(url, **{"session": session_of_answer, "cookies": [COOKIE], "headers": [HEADER], **options})


class Site:
    """The application, and whoever visits it."""

    def __init__(self, service: Service, clock: Clock, kit_options: dict[str, Any], **options: Any) -> None:
        self.service = service
        self.clock = clock
        self.backend = new_backend(service.url, **options)
        self.kit = app_kit(backend=self.backend, clock=clock, **kit_options)
        self.app = application(self.kit)

    async def get(self, path: str = "/me", cookie: str | None = "ada", **headers: str) -> httpx.Response:
        return await self.send("GET", path, cookie, **headers)

    async def send(self, method: str, path: str, cookie: str | None = "ada", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie is not None:
            sent["Cookie"] = f"{COOKIE}={cookie}"
        return await self.send_raw(method, path, list(sent.items()))

    async def send_raw(self, method: str, path: str, headers: Sequence[tuple[Any, Any]]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            return await client.request(method, path, headers=headers)


@asynccontextmanager
async def site_of(
    service: Service, *, clock: Clock | None = None, kit_options: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Site]:
    site = Site(service, clock or Clock(), kit_options or {}, **options)
    try:
        yield site
    finally:
        await site.backend.aclose()


def application(kit: SessionKit[AppSession]) -> FastAPI:
    app = FastAPI()
    guard = RouterGuard(
        protect=[Rule("/admin/**", role="admin"), Rule("/safe", fresh=600), Rule("/mine/**")],
        login_path="/login",
    )
    kit.install(app, guard=guard)
    Current = Annotated[AppSession, Depends(kit.require_session)]  # noqa: N806

    @app.get("/me")
    async def me(session: Current) -> AppSession:
        return session

    @app.get("/open")
    async def open_to_all() -> str:
        return "open"

    @app.get("/mine/{thing}")
    @app.get("/admin/{thing}")
    async def thing(thing: str) -> str:
        return thing

    @app.get("/safe")
    async def safe() -> str:
        return "safe"

    @app.get("/member", dependencies=[Depends(kit.require_role("user"))])
    async def member() -> str:
        return "member"

    @app.post("/change")
    async def change(session: Current) -> str:
        return "changed"

    @app.post("/do/{what}")
    async def do(request: Request, what: str, session: Current) -> str:
        helpers[what](request)
        return "done"

    @app.post("/cart")
    async def cart(session: Current) -> str:
        session.cart.append("a book")
        return "done"

    return app


helpers: dict[str, Any] = {
    "set_session": lambda request: set_session(request, ADA),
    "update_session": lambda request: update_session(request, tier="premium"),
    "clear_session": clear_session,
    "regenerate_session": regenerate_session,
    "reauthenticate_session": reauthenticate_session,
}
