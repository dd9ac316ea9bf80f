"""People sign in at Ory Kratos; this application asks it who they are and says who may do what.

With Kratos on http://127.0.0.1:4433 run one of these and open http://127.0.0.1:8000:

    fastapi dev examples/kratos.py
    uvicorn examples.kratos:app

Browsers bring Kratos' cookie, which they send to every port of 127.0.0.1. Other clients send their token as
``X-Session-Token``.
"""

import os
import secrets
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse

from fastapi_sessionkit import RouterGuard, Rule, Session, SessionKit
from fastapi_sessionkit.whoami import WhoamiBackend

KRATOS = os.environ.get("KRATOS_URL", "http://127.0.0.1:4433")


class AppSession(Session):
    name: str = ""


def session_of_kratos(answer: dict[str, Any]) -> AppSession | None:
    """The session of this application, made of what Kratos' ``/sessions/whoami`` answers."""
    identity = answer["identity"]
    if not answer["active"]:
        return None
    return AppSession(
        user_id=identity["id"],
        email=identity["traits"]["email"],
        name=identity["traits"].get("name", ""),
        role=(identity.get("metadata_public") or {}).get("role", "member"),
    )


def proved_at(answer: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(answer["authenticated_at"])


backend = WhoamiBackend(
    f"{KRATOS}/sessions/whoami",
    session=session_of_kratos,
    authenticated_at=proved_at,
    cookies=["ory_kratos_session"],
    headers=["X-Session-Token"],
)
kit = SessionKit(
    AppSession,
    secret_key=os.environ.get("SESSIONKIT_SECRET_KEY", secrets.token_urlsafe(48)),
    backend=backend,
)
guard = RouterGuard(protect=[Rule("/admin/**", role="admin")], login_path="/login", global_protect=True)
app = FastAPI()
kit.install(app, guard=guard)
Current = Annotated[AppSession, Depends(kit.require_session)]


@app.get("/")
async def home(session: Current):
    return f"Hello {session.name or session.email}"


@app.get("/admin/people")
async def people():
    return "Only administrators see this."


@app.get("/login")
async def login():
    return RedirectResponse(f"{KRATOS}/self-service/login/browser")
