"""An event stream that ends with its session: whoever is signed out hears no more news, on any device.

Run one of these and open http://127.0.0.1:8000, in two windows of one browser:

    fastapi dev examples/event_stream.py
    FASTAPI_ENV=development uvicorn examples.event_stream:app

Sign out in one window, and the stream of the other one ends at once. The browser then tries again by itself, is refused
with 401, and stops trying.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

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
<title>News</title>
<style>body { font: 1.1rem/1.6 system-ui; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }</style>
<h1>News</h1>
<p id="state" role="status">Connecting…</p>
<form method="post" action="/login">
  <label>Name <input name="name" required maxlength="40"></label> <button>Sign in</button>
</form>
<form method="post" action="/logout"><button>Sign out</button></form>
<ul id="log"></ul>
<script>
  const news = new EventSource("/news");
  const state = document.getElementById("state");
  news.onerror = () => state.textContent = news.readyState === EventSource.CLOSED ? "Not connected: sign in first." : "…";
  news.onmessage = (event) => {
    const line = document.createElement("li");
    line.textContent = event.data;
    document.getElementById("log").append(line);
    state.textContent = "Connected.";
  };
</script>
"""
PERIOD = 1.0
"""Seconds between two pieces of news."""

# A store on the server can tell that a session has ended. With signed cookies nobody can, and only expiry ends a stream.
kit = SessionKit(secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32), backend=MemoryStore())
Current = Annotated[Session, Depends(kit.require_session)]

app = FastAPI(title="News", docs_url=None, redoc_url=None, openapi_url=None)
kit.install(app, guard=RouterGuard(protect=[Rule("/news")]))


@app.get("/")
async def front() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.post("/login")
async def login(request: Request, name: Annotated[str, Form(pattern=r"^\w[\w -]{0,39}$")]) -> RedirectResponse:
    """No password: this example is about the stream."""
    set_session(request, Session(user_id=name))
    return RedirectResponse("/", 303)


@app.post("/logout")
async def logout(request: Request) -> RedirectResponse:
    clear_session(request)
    return RedirectResponse("/", 303)


@app.get("/news", response_class=EventSourceResponse)
async def news(request: Request, session: Current) -> AsyncIterator[ServerSentEvent]:
    """News, for as long as this very session lives. No more code is needed than the ``async with``."""
    async with session_watch(request):
        number = 0
        while True:
            number += 1
            yield ServerSentEvent(raw_data=f"{session.user_id}, this is news number {number}.", retry=1_000)
            await asyncio.sleep(PERIOD)
