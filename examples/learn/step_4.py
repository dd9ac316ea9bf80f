"""Learn, page 4: an API."""

from html import escape
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from fastapi_sessionkit import RouterGuard, Rule, Session, SessionKit, clear_session, login_redirect_target, set_session


class Member(Session):
    name: str


MEMBERS = {"ada": Member(user_id="ada", name="Ada", role="editor"), "bob": Member(user_id="bob", name="Bob")}
PASSWORDS = {"ada": "correct horse", "bob": "battery staple"}

kit = SessionKit(Member)
guard = RouterGuard(
    protect=[
        Rule("/notices/new", role="editor"),
        Rule("/api/notices", methods=["POST"], role="editor"),
    ],
    global_protect=True,
    exclude=["/"],
    login_path="/login",
)
app = FastAPI()
kit.install(app, guard=guard)
Current = Annotated[Member, Depends(kit.require_session)]

NOTICES = ["The pump is mended."]

LOGIN = """<form method="post">
  <input name="username" aria-label="Name" required>
  <input name="password" aria-label="Password" type="password" required>
  <button>Sign in</button>
</form>"""
LINKS = '<a href="/notices">Notices</a>'
NEW_NOTICE = """<form method="post">
  <input name="text" aria-label="Notice" required>
  <button>Publish</button>
</form>"""
LOGOUT = """<form method="post" action="/logout">
  <button>Sign out</button>
</form>"""


@app.get("/", response_class=HTMLResponse)
async def home(member: Annotated[Member | None, Depends(kit.get_session)]):
    if member is None:
        return '<p>Hello, stranger.</p> <a href="/login">Sign in</a>'
    return f"<p>Hello, {escape(member.name)}.</p> {LINKS} {LOGOUT}"


@app.get("/notices", response_class=HTMLResponse)
async def notices(member: Current):
    items = " ".join(f"<li>{escape(notice)}</li>" for notice in NOTICES)
    link = '<a href="/notices/new">New notice</a>' if member.has_role("editor") else ""
    return f"<p>For you, {escape(member.name)}:</p> <ul>{items}</ul> {link}"


@app.get("/notices/new", response_class=HTMLResponse)
async def notice_page():
    return NEW_NOTICE


@app.post("/notices/new")
async def publish(text: Annotated[str, Form()]):
    NOTICES.append(text)
    return RedirectResponse("/notices", 303)


class Notice(BaseModel):
    text: str


@app.get("/api/notices")
async def list_notices() -> list[Notice]:
    return [Notice(text=text) for text in NOTICES]


@app.post("/api/notices", status_code=201)
async def add_notice(notice: Notice) -> Notice:
    NOTICES.append(notice.text)
    return notice


@app.get("/login", response_class=HTMLResponse)
async def login_page():
    return LOGIN


@app.post("/login")
async def login(request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]):
    if username not in MEMBERS or PASSWORDS[username] != password:
        return HTMLResponse(f"<p>Wrong name or password.</p> {LOGIN}", 401)
    set_session(request, MEMBERS[username])
    return RedirectResponse(login_redirect_target(request, default="/"), 303)


@app.post("/logout")
async def logout(request: Request):
    clear_session(request)
    return RedirectResponse("/", 303)
