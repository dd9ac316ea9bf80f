"""An application that kept its sessions on the server by another library: they move to a new id, once, and nobody is signed out.

Run it, and bring an old session along:
    fastapi dev examples/from_starsessions.py
    curl --cookie "session=0b9cd3a2" http://127.0.0.1:8000/
"""

import os
import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import MemoryStore, Session, SessionKit, StoreBackend, clear_session, get_session

OLD_SESSIONS: dict[str, dict[str, Any]] = {"0b9cd3a2": {"user_id": 7, "role": "editor"}}
"""What the other library keeps, in Redis for example, by the value of its cookie."""


async def adopt(cookie: str) -> Session | None:
    """Vouches for a session of the other library's. Its cookie may hold anything."""
    data = OLD_SESSIONS.get(cookie)
    return None if data is None else Session(user_id=str(data["user_id"]), role=data["role"])


app = FastAPI(title="From starsessions")
kit = SessionKit(
    Session,
    secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32),
    backend=StoreBackend(MemoryStore(), adopt=adopt, old_cookie="session"),
)
kit.install(app)


@app.get("/")
async def who(session: Annotated[Session | None, Depends(get_session)]) -> str:
    return "Nobody is signed in." if session is None else f"Still signed in: {session.user_id}, {session.role}."


@app.post("/logout")
async def logout(request: Request) -> None:
    clear_session(request)
