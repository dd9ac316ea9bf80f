"""A JSON API for a single-page client: no pages, no redirects, 401 and 403 as JSON.

Run one of these; http://127.0.0.1:8000/docs tries it out, as "ada" or "grace" with the password "demo":

    fastapi dev examples/json_api.py
    FASTAPI_ENV=development uvicorn examples.json_api:app

What the client does:

- ``GET /me`` when it starts. 200: who is signed in. 401: show the login form.
- ``POST /login``, ``POST /logout``, and ``fetch(url, {credentials: "include"})`` for everything. It keeps no token:
  the cookie is ``HttpOnly``, so no script can read it, the client's own included.
- 401 at any time means "sign in again"; 403 means "this person may not", and signing in again won't help.

A client that is served from the same origin needs nothing else. One with an address of its own (here
``FRONTEND_ORIGIN``, by default the port of a Vite dev server) needs two things: CORS that allows credentials, and its
origin in ``trusted_origins``, without which its POST requests are refused as cross-site request forgery.
"""

import hmac
import os
import secrets
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel

from fastapi_sessionkit import (
    NotAuthenticated,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    clear_session,
    set_session,
    update_session,
)

FRONTEND_ORIGIN = os.environ.get("FRONTEND_ORIGIN", "http://localhost:5173")


class AppSession(Session):
    theme: Literal["light", "dark"] = "light"


class Credentials(BaseModel):
    username: str
    password: str


class Preferences(BaseModel):
    theme: Literal["light", "dark"]


USERS = {"ada": AppSession(user_id="ada", role="admin"), "grace": AppSession(user_id="grace", role="member")}

kit = SessionKit(
    AppSession,
    # Without a key in the environment every run makes its own, and a restart signs everybody out.
    secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32),
    trusted_origins=[FRONTEND_ORIGIN],
)
Current = Annotated[AppSession, Depends(kit.require_session)]

# Everything wants a session, except what is listed here. There is no login_path, so nobody is ever redirected.
guard = RouterGuard(
    protect=[Rule("/statistics", role="admin")],
    global_protect=True,
    exclude=["/login", "/docs", "/openapi.json"],
)

app = FastAPI(title="JSON API", redoc_url=None)
app.add_middleware(
    CORSMiddleware, allow_origins=[FRONTEND_ORIGIN], allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
)
kit.install(app, guard=guard)


@app.post("/login")
async def login(request: Request, credentials: Credentials) -> AppSession:
    user = USERS.get(credentials.username)
    if user is None or not hmac.compare_digest(credentials.password.encode(errors="replace"), b"demo"):
        raise NotAuthenticated("Wrong name or password")
    set_session(request, user)
    return user


@app.get("/me")
async def me(session: Current) -> AppSession:
    return session


@app.patch("/me")
async def change_preferences(request: Request, preferences: Preferences) -> Preferences:
    """The session is a patch away: only the named fields change."""
    update_session(request, theme=preferences.theme)
    return preferences


@app.get("/statistics")
async def statistics() -> dict[str, int]:
    return {"users": len(USERS)}


@app.post("/logout", status_code=204)
async def logout(request: Request) -> None:
    clear_session(request)
