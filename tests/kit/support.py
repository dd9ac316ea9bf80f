"""Kits, models and applications that the tests of ``SessionKit`` share."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from fastapi_sessionkit import Session, SessionKit, get_session, set_session

SECRET = "a secret of more than thirty-two characters"


class AppSession(Session):
    tier: str = "free"


class Staff(Session):
    badge: int = 0


def made(**settings: Any) -> SessionKit[AppSession]:
    return SessionKit(AppSession, **{"secret_key": SECRET, **settings})


def browser(app: ASGIApp) -> TestClient:
    return TestClient(app, base_url="https://testserver")


def add_routes(app: FastAPI | APIRouter) -> None:
    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, AppSession(user_id="ada"))

    @app.get("/me")
    async def me(session: Annotated[Session | None, Depends(get_session)]) -> str | None:
        return None if session is None else session.user_id


async def ask(session: Annotated[Session | None, Depends(get_session)]) -> None: ...
