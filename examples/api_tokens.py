"""One set of sessions for browsers, scripts and mobile apps: a cookie for those, a token for these.

Run one of these; ``examples/api_client.py`` is a client of it:

    fastapi dev examples/api_tokens.py
    FASTAPI_ENV=development uvicorn examples.api_tokens:app

- A browser posts to ``/login`` and gets a cookie. A script posts to ``/token`` and gets a token, which it keeps and sends
  as ``Authorization: Bearer <token>``. Everything else is the same for both, rules and dependencies too.
- ``GET /devices`` lists all sessions of a user, whichever way they began, and ``DELETE /devices/{handle}`` ends one: a
  lost phone is signed out from the browser.
- 401 means to a client that its token is over: it forgets it, and signs in again.
"""

import hmac
import os
import secrets
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from fastapi_sessionkit import MemoryStore, NotAuthenticated, Session, SessionKit, clear_session, set_session


class AppSession(Session):
    device: str = "A browser"


class Credentials(BaseModel):
    username: str
    password: str
    device: str = "A script"


class Token(BaseModel):
    """As OAuth 2 names it (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "bearer"


class Device(BaseModel):
    handle: str
    device: str
    last_seen_at: datetime
    current: bool


USERS = {"ada": "admin", "grace": "member"}

kit = SessionKit(
    AppSession,
    # Without a key in the environment every run makes its own, and a restart signs everybody out.
    secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32),
    backend=MemoryStore(),
    bearer=True,
    absolute_timeout=timedelta(days=180),
)
Current = Annotated[AppSession, Depends(kit.require_session)]

app = FastAPI(title="API tokens")
kit.install(app)


def checked_user(credentials: Credentials) -> str:
    if credentials.username not in USERS or not hmac.compare_digest(
        credentials.password.encode(errors="replace"), b"demo"
    ):
        raise NotAuthenticated("Wrong name or password")
    return credentials.username


@app.post("/login", status_code=204)
async def login(request: Request, credentials: Credentials) -> None:
    """For browsers: the cookie is on the response, out of reach for scripts."""
    user = checked_user(credentials)
    set_session(request, AppSession(user_id=user, role=USERS[user]))


@app.post("/token")
async def token(request: Request, credentials: Credentials) -> Token:
    """For everything else: the token is in the body, once."""
    user = checked_user(credentials)
    session = AppSession(user_id=user, role=USERS[user], device=credentials.device)
    return Token(access_token=await kit.issue_token(request, session, ttl=timedelta(days=60)))


@app.get("/me")
async def me(session: Current) -> AppSession:
    return session


@app.get("/statistics", dependencies=[Depends(kit.require_role("admin"))])
async def statistics() -> dict[str, int]:
    return {"users": len(USERS)}


@app.get("/devices")
async def devices(request: Request, session: Current) -> list[Device]:
    return [
        Device(handle=each.handle, device=each.session.device, last_seen_at=each.last_seen_at, current=each.current)
        for each in await kit.sessions.list(session.user_id, current=request)
    ]


@app.delete("/devices/{handle}", status_code=204)
async def revoke(handle: str, session: Current) -> None:
    if not await kit.sessions.revoke(handle, user_id=session.user_id):
        raise HTTPException(404, "No such device")


@app.post("/logout", status_code=204)
async def logout(request: Request) -> None:
    """Ends the session that asks, browser's or script's."""
    clear_session(request)
