"""``session_of`` and ``session_reason`` in a plain function, over every store: it is loaded where ``preload`` says."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from fastapi_sessionkit import (
    ConfigurationError,
    SessionStore,
    StoreBackend,
    clear_session,
    session_of,
    session_reason,
    set_session,
    update_session,
)
from tests.support import ADA, SITE, Clock, app_kit

pytestmark = pytest.mark.anyio


def seen(request: Request) -> tuple[Any, Any]:
    session = session_of(request)
    return session and session.tier, session_reason(request)


async def test_a_plain_function_sees_what_the_store_has(store: SessionStore, clock: Clock) -> None:
    app, kit = FastAPI(), app_kit(backend=StoreBackend(store), clock=clock)
    kit.install(app, preload=["/pages/**"])
    app.get("/pages/own")(seen)
    app.get("/other")(seen)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, ADA)

    @app.post("/upgrade")
    async def upgrade(request: Request) -> None:
        update_session(request, tier="premium")

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:

        async def page() -> Any:
            return (await client.get("/pages/own")).json()

        assert await page() == [None, "no_cookie"]
        await client.post("/login")
        cookies = dict(client.cookies)
        assert await page() == [ADA.tier, None]
        await client.post("/upgrade")
        assert await page() == ["premium", None]
        with pytest.raises(ConfigurationError, match="preload"):
            await client.get("/other")
        await client.post("/logout")
        client.cookies.update(cookies)
        assert await page() == [None, "ended"]
