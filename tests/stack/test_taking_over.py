"""An old session of another library is taken over once, and stays out after a sign-out, on every engine."""

import httpx
import pytest
from fastapi import FastAPI

from fastapi_sessionkit import SessionStore, StoreBackend
from tests.bridges.switched import OLD, adopted, routes
from tests.support import SITE, Clock, app_kit

pytestmark = pytest.mark.anyio


async def test_an_old_session_is_taken_over_once(store: SessionStore, clock: Clock) -> None:
    app, kit = FastAPI(), app_kit(backend=StoreBackend(store, adopt=adopted), clock=clock)
    kit.install(app)
    routes(app, kit)

    def browser() -> httpx.AsyncClient:
        old = httpx.Cookies()
        old.set("session", OLD, domain="testserver.local", path="/")
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE + ".local", cookies=old)

    async with browser() as first, browser() as late, browser() as copied:
        assert (await first.get("/me")).json() == ["ada", ""]
        assert (await late.post("/note/late")).json() == "ada"
        assert (await first.get("/me")).json() == ["ada", "late"]
        clock.advance(11)
        assert (await copied.get("/me")).status_code == 401
        await first.post("/logout")
        assert (await first.get("/me")).status_code == 401
        assert (await copied.get("/me")).status_code == 401
