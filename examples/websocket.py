"""A WebSocket that knows who is talking, and a handshake that is refused when nobody is signed in.

Run one of these (``uvicorn[standard]`` brings the websockets package that it needs) and open http://127.0.0.1:8000:

    fastapi dev examples/websocket.py
    FASTAPI_ENV=development uvicorn examples.websocket:app

The browser sends the session's cookie with the handshake, so nothing has to be put into the address or into a first
message. The guard refuses the handshake before the endpoint sees it when nobody is signed in, and also when a page of
another origin opens the socket with somebody's cookie: CORS does not cover WebSockets.

The socket ends with its session: sign out in another window, and it is closed at once, with code 4401.
"""

import os
import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request, WebSocket
from fastapi.responses import HTMLResponse, RedirectResponse

from fastapi_sessionkit import (
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    clear_session,
    session_watch,
    set_session,
)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Echo</title>
<style>body { font: 1.1rem/1.6 system-ui; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }</style>
<h1>Echo</h1>
<p id="state" role="status">Connecting…</p>
<form method="post" action="/login">
  <label>Name <input name="name" required maxlength="40"></label> <button>Sign in</button>
</form>
<form method="post" action="/logout"><button>Sign out</button></form>
<form id="say"><label>Message <input id="text" autocomplete="off"></label> <button>Send</button></form>
<ul id="log"></ul>
<script>
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/echo");
  const state = document.getElementById("state");
  socket.onclose = (event) => state.textContent = event.code === 4401 ? "Signed out." : "Not connected: sign in first.";
  socket.onmessage = (event) => {
    const line = document.createElement("li");
    line.textContent = event.data;
    document.getElementById("log").append(line);
    state.textContent = "Connected.";
  };
  document.getElementById("say").onsubmit = (event) => {
    event.preventDefault();
    socket.send(document.getElementById("text").value);
    event.target.reset();
  };
</script>
"""

# Without a key in the environment every run makes its own. A store on the server can tell that a session has ended; with
# signed cookies nobody can, and only expiry would close the socket.
kit = SessionKit(secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32), backend=MemoryStore())
Current = Annotated[Session, Depends(kit.require_session)]

app = FastAPI(title="WebSocket", docs_url=None, redoc_url=None, openapi_url=None)
kit.install(app, guard=RouterGuard(protect=[Rule("/echo")]))


@app.get("/")
async def front() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.post("/login")
async def login(request: Request, name: Annotated[str, Form(pattern=r"^\w[\w -]{0,39}$")]) -> RedirectResponse:
    """No password: this example is about the socket."""
    set_session(request, Session(user_id=name))
    return RedirectResponse("/", 303)


@app.post("/logout")
async def logout(request: Request) -> RedirectResponse:
    clear_session(request)
    return RedirectResponse("/", 303)


@app.websocket("/echo")
async def echo(websocket: WebSocket, session: Current) -> None:
    await websocket.accept()
    async with session_watch(websocket):
        await websocket.send_text(f"Hello, {session.user_id}.")
        async for text in websocket.iter_text():
            await websocket.send_text(f"{session.user_id}: {text}")
