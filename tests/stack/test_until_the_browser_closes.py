"""A session of ``persistent=False`` ends with the browser on every engine, through every move to a new id."""

import httpx
import pytest
from fastapi import FastAPI, Request

from fastapi_sessionkit import SessionStore, regenerate_session, set_session, update_session
from tests.support import ADA, SITE, Clock, app_kit

pytestmark = pytest.mark.anyio


def application(store: SessionStore, clock: Clock) -> FastAPI:
    app, kit = FastAPI(), app_kit(backend=store, clock=clock, max_sessions_per_user=2)
    kit.install(app)

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA, persistent=False)

    @app.post("/move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="admin", note="kept")

    @app.post("/promoted-by-another")
    async def promoted() -> int:
        return await kit.sessions.update_user("ada", role="owner")

    @app.get("/me")
    async def me(request: Request) -> str | None:
        session = await kit.get_session(request)
        return None if session is None else f"{session.role} {session.note}"

    return app


async def test_no_cookie_of_such_a_session_outlives_the_browser(store: SessionStore, clock: Clock) -> None:
    app = application(store, clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as browser:
        answers = [await browser.post(path) for path in ("/in", "/move", "/promote")]
        await browser.post("/promoted-by-another")
        answers.append(await browser.get("/me"))

        assert answers[-1].json() == "owner kept"
        for answer in answers:
            assert "HttpOnly" in answer.headers["set-cookie"]
            assert "Max-Age" not in answer.headers["set-cookie"]
        clock.advance(8 * 86_400)  # the server's own clocks hold all the same
        assert (await browser.get("/me")).json() is None
