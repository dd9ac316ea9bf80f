"""The same signed-in read on Redis: with this library, with starsessions, and by hand; and with nothing.

``REDIS_URL`` says where; ``uvicorn --factory tests.benchmarks.redis_apps:served`` serves the one that ``CANDIDATE`` names.
"""

import os
import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from redis.asyncio import Redis

from fastapi_sessionkit import SessionKit, require_role
from fastapi_sessionkit.stores.redis import RedisStore
from tests.benchmarks import apps
from tests.benchmarks.apps import AppSession, PlainSession

PREFIX = "by-hand:"


def sessionkit(url: str) -> FastAPI:
    async def endpoint(session: Annotated[AppSession, Depends(require_role("admin"))]):
        return {"ok": True}

    return apps._with_kit(endpoint, SessionKit(AppSession, secret_key=apps.SECRET, backend=RedisStore(url)))  # noqa: SLF001


def starsessions(url: str) -> FastAPI:
    from starsessions import SessionMiddleware, load_session
    from starsessions.stores.redis import RedisStore as TheirStore

    async def admin(request: Request) -> PlainSession:
        await load_session(request)
        if not request.session:
            raise HTTPException(401)
        session = PlainSession.model_validate(request.session)
        if session.role != "admin":
            raise HTTPException(403)
        return session

    async def endpoint(session: Annotated[PlainSession, Depends(admin)]):
        return {"ok": True}

    app = FastAPI()
    app.get(apps.PATH)(endpoint)

    @app.get(apps.LOGIN)
    async def login(request: Request, number: int):
        await load_session(request)
        request.session.update(apps.user(number))

    app.add_middleware(SessionMiddleware, store=TheirStore(connection=Redis.from_url(url)), lifetime=604_800)
    return app


def by_hand(url: str) -> FastAPI:
    """One GET in one dependency."""
    redis = Redis.from_url(url)

    async def admin(request: Request) -> PlainSession:
        value = await redis.get(PREFIX + request.cookies.get("sid", ""))
        if value is None:
            raise HTTPException(401)
        session = PlainSession.model_validate_json(value)
        if session.role != "admin":
            raise HTTPException(403)
        return session

    app = FastAPI()

    @app.get(apps.PATH)
    async def endpoint(session: Annotated[PlainSession, Depends(admin)]):
        return {"ok": True}

    @app.get(apps.LOGIN)
    async def login(response: Response, number: int):
        session_id = secrets.token_urlsafe(32)
        await redis.set(PREFIX + session_id, PlainSession(**apps.user(number)).model_dump_json(), ex=604_800)
        response.set_cookie("sid", session_id, httponly=True, secure=True)

    return app


CANDIDATES: dict[str, Callable[[str], FastAPI]] = {
    "bare": lambda url: apps.bare(),
    "by hand": by_hand,
    "starsessions": starsessions,
    "sessionkit": sessionkit,
}


def served() -> FastAPI:
    return CANDIDATES[os.environ["CANDIDATE"]](os.environ["REDIS_URL"])
