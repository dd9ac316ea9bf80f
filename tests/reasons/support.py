"""A site that says why nobody is signed in, called by cookies as a client sends them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import (
    SessionKit,
    clear_session,
    get_session,
    reauthenticate_session,
    regenerate_session,
    session_reason,
    set_session,
)
from tests.support import ADA, COOKIE, SITE, AppSession, app_kit

IDLE, GRACE = 600.0, 10.0


class Site:
    """The site, and what a client keeps of it: nothing but the cookie that a test gives it."""

    def __init__(self, client: httpx.AsyncClient, kit: SessionKit[AppSession]) -> None:
        self.kit = kit
        self._client = client

    async def send(self, path: str, *tokens: str) -> httpx.Response:
        self._client.cookies.clear()
        return await self._client.post(path, headers=[("cookie", f"{COOKIE}={token}") for token in tokens])

    async def reason_of_bearer(self, token: str) -> str | None:
        self._client.cookies.clear()
        headers = {"authorization": f"Bearer {token}"}
        answer: str | None = (await self._client.post("/reason", headers=headers)).json()
        return answer

    async def token(self, path: str = "/in", *tokens: str) -> str:
        return (await self.send(path, *tokens)).cookies[COOKIE]

    async def reason(self, *tokens: str) -> str | None:
        answer: str | None = json.loads((await self.send("/reason", *tokens)).content)
        return answer


@asynccontextmanager
async def site_of(backend: Any, clock: Any, **options: Any) -> AsyncIterator[Site]:
    settings = {"idle_timeout": IDLE, "rotation_grace": GRACE, "purge_every": None, **options}
    kit = app_kit(backend=backend, clock=clock, **settings)
    transport = httpx.ASGITransport(reason_application(kit))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        yield Site(client, kit)


def reason_application(kit: SessionKit[Any]) -> FastAPI:
    app = FastAPI()
    kit.install(app)

    @app.post("/reason")
    async def reason(request: Request, session: Annotated[Any, Depends(get_session)]) -> str | None:
        assert (session_reason(request) is None) is (session is not None)
        assert kit.session_reason(request) == session_reason(request)
        return session_reason(request)

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA)

    @app.post("/token")
    async def token(request: Request) -> str:
        return await kit.issue_token(request, ADA)

    @app.post("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.post("/out/reason")
    async def sign_out_and_ask(request: Request) -> str | None:
        clear_session(request)
        return session_reason(request)

    @app.post("/in/reason")
    async def sign_in_and_ask(request: Request) -> str | None:
        set_session(request, ADA)
        return session_reason(request)

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/again")
    async def again(request: Request) -> None:
        reauthenticate_session(request)

    return app
