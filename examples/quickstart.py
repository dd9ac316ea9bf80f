"""Sign in, see who you are, sign out: the smallest complete application.

Run one of these, open http://127.0.0.1:8000/docs and sign in as "ada" or "grace" with the password "demo":
    fastapi dev examples/quickstart.py
    FASTAPI_ENV=development uvicorn examples.quickstart:app
In development the cookie may travel over plain http; everywhere else it wants https.
"""

import hmac
import os
import secrets
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

from fastapi_sessionkit import NotAuthenticated, RouterGuard, Rule, Session, SessionKit, clear_session, set_session


class AppSession(Session):
    tier: Literal["free", "premium"] = "free"


class Credentials(BaseModel):
    username: str
    password: str


USERS = {"ada": AppSession(user_id="ada", role="admin", tier="premium"), "grace": AppSession(user_id="grace")}

# Without a key in the environment every run makes its own, and a restart signs everybody out.
kit = SessionKit(AppSession, secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32))
app = FastAPI(title="Quickstart")
kit.install(app, guard=RouterGuard(protect=[Rule("/admin/**", role="admin")]))


@app.post("/login")
async def login(request: Request, credentials: Credentials) -> AppSession:
    user = USERS.get(credentials.username)
    if user is None or not hmac.compare_digest(credentials.password.encode(errors="replace"), b"demo"):
        raise NotAuthenticated("Wrong name or password")
    set_session(request, user)
    return user


@app.get("/me")
async def me(session: Annotated[AppSession, Depends(kit.require_session)]) -> AppSession:
    return session


@app.get("/admin/health")
async def health() -> str:
    return "well"


@app.post("/logout", status_code=204)
async def logout(request: Request) -> None:
    clear_session(request)
