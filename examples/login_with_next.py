"""Pages rendered on the server: whoever is refused signs in and lands where they wanted to go.

Run one of these and open http://127.0.0.1:8000/reports/march, then sign in as "ada" with the password "demo":

    fastapi dev examples/login_with_next.py
    FASTAPI_ENV=development uvicorn examples.login_with_next:app

The guard sends a browser to ``/login?next=/reports/march``. The form posts back to that same address, and
``login_redirect_target`` reads ``next`` again, letting through only paths of this site: a link like
``/login?next=https://elsewhere.example`` ends on the front page.
"""

import hmac
import html
import os
import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fastapi_sessionkit import RouterGuard, Session, SessionKit, clear_session, login_redirect_target, set_session

PASSWORDS = {"ada": "demo"}

# Without a key in the environment every run makes its own, and a restart signs everybody out.
kit = SessionKit(secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32))
Current = Annotated[Session, Depends(kit.require_session)]
Visitor = Annotated[Session | None, Depends(kit.get_session)]

app = FastAPI(title="Login with next", docs_url=None, redoc_url=None, openapi_url=None)
kit.install(app, guard=RouterGuard(login_path="/login", global_protect=True, exclude=["/"]))


def page(title: str, body: str, status_code: int = 200) -> HTMLResponse:
    """``body`` is markup; what came from a person was escaped before it got there."""
    style = "body{font:1.1rem/1.6 system-ui;max-width:34rem;margin:4rem auto;padding:0 1rem}label{display:block}"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return HTMLResponse(f"{head}<main><h1>{title}</h1>{body}</main>", status_code)


def login_page(problem: str = "", status_code: int = 200) -> HTMLResponse:
    # A form without an action posts to the address it was loaded from, so `next` stays in it.
    form = """
        <form method="post">
          <p><label for="username">Name</label><input id="username" name="username" autocomplete="username" required>
          <p><label for="password">Password</label>
             <input id="password" name="password" type="password" autocomplete="current-password" required>
          <p><button>Sign in</button>
        </form>"""
    return page("Sign in", f'<p role="alert">{problem}</p>{form}', status_code)


@app.get("/")
async def front(visitor: Visitor) -> HTMLResponse:
    if visitor is None:
        return page("Welcome", '<p>Read the <a href="/reports/march">report for March</a>, once you are signed in.</p>')
    sign_out = '<form method="post" action="/logout"><button>Sign out</button></form>'
    return page("Welcome", f"<p>Signed in as {html.escape(visitor.user_id)}.</p>{sign_out}")


@app.get("/login")
async def show_login() -> HTMLResponse:
    return login_page()


@app.post("/login")
async def login(request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
    if username not in PASSWORDS or not hmac.compare_digest(
        password.encode(errors="replace"), PASSWORDS[username].encode()
    ):
        return login_page("That name and password don't go together.", 422)
    set_session(request, Session(user_id=username))
    return RedirectResponse(login_redirect_target(request, default="/"), 303)


@app.get("/reports/{month}")
async def report(month: str, session: Current) -> HTMLResponse:
    return page(f"Report for {html.escape(month.title())}", f"<p>For the eyes of {html.escape(session.user_id)}.</p>")


@app.post("/logout")
async def logout(request: Request) -> Response:
    clear_session(request)
    return RedirectResponse("/", 303)
