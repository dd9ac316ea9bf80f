"""Kits, models and applications that the tests of ``SessionKit`` share."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request

from fastapi_sessionkit import Session, get_session, set_session
from tests.support import AppSession


class Staff(Session):
    badge: int = 0


def add_routes(app: FastAPI | APIRouter) -> None:
    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, AppSession(user_id="ada"))

    @app.get("/me")
    async def me(session: Annotated[Session | None, Depends(get_session)]) -> str | None:
        return None if session is None else session.user_id


async def ask(session: Annotated[Session | None, Depends(get_session)]) -> None: ...
