"""Sign in, see who you are, sign out: the smallest complete application.

Run one of these, open http://127.0.0.1:8000 and sign in as "ada" or "grace" with the password "demo":
    fastapi dev examples/quickstart.py
    FASTAPI_ENV=development uvicorn examples.quickstart:app
In development the cookie may travel over plain http; everywhere else it wants https.
"""

import hmac
import os
import secrets
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from fastapi_sessionkit import RouterGuard, Rule, Session, SessionKit, clear_session, login_redirect_target, set_session


class AppSession(Session):
    tier: Literal["free", "premium"] = "free"


USERS = {"ada": AppSession(user_id="ada", role="admin", tier="premium"), "grace": AppSession(user_id="grace")}
LOGIN = """<form method="post"><input name="username" aria-label="Name" required>
<input name="password" type="password" aria-label="Password" required> <button>Sign in</button></form>"""

# Without a key in the environment every run makes its own, and a restart signs everybody out.
kit = SessionKit(AppSession, secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32))
app = FastAPI(title="Quickstart")
kit.install(app, guard=RouterGuard([Rule("/admin/**", role="admin")], login_path="/login", global_protect=True))


@app.get("/login", response_class=HTMLResponse)
async def login_page():
    return LOGIN


@app.post("/login")
async def login(request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]):
    if username not in USERS or not hmac.compare_digest(password.encode(errors="replace"), b"demo"):
        return HTMLResponse(f"Wrong name or password {LOGIN}", 401)
    set_session(request, USERS[username])
    return RedirectResponse(login_redirect_target(request), 303)


@app.get("/")
async def me(session: Annotated[AppSession, Depends(kit.require_session)]) -> AppSession:
    return session


@app.get("/admin/health")
async def health() -> str:
    return "well"


@app.post("/logout", status_code=204)
async def logout(request: Request) -> None:
    clear_session(request)
