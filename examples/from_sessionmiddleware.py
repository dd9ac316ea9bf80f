"""An application that kept its sessions by Starlette's ``SessionMiddleware`` until yesterday: nobody is signed out.

Sign in to the version before, stop it, start the one after, and reload the page:
    fastapi dev examples/from_sessionmiddleware.py --app before
    fastapi dev examples/from_sessionmiddleware.py --app after
"""

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware

from fastapi_sessionkit import CookieBackend, Session, SessionKit, clear_session, get_session

# Both versions have to know the key that the first one signs with, so this one is written down: set one of your own.
OLD_KEY = os.environ.get("OLD_KEY", "for trying it out only, and of more than 32 characters")

before = FastAPI(title="Before")
before.add_middleware(SessionMiddleware, secret_key=OLD_KEY)


@before.get("/")
async def welcome(request: Request) -> str:
    """Signs in whoever comes, so that there is a session to take over."""
    request.session["user"] = {"id": 7, "role": "editor"}
    return "You are signed in. Now start the version after."


def session_of(data: dict[str, Any]) -> Session | None:
    """What the middleware kept, as a session of the kit's; ``None``: nobody was signed in."""
    user = data.get("user")
    return None if user is None else Session(user_id=str(user["id"]), role=user["role"])


after = FastAPI(title="After")
kit = SessionKit(
    Session,
    secret_key=os.environ.get("SESSIONKIT_SECRET_KEY", OLD_KEY),
    backend=CookieBackend(accept_starlette=(OLD_KEY, session_of)),
)
kit.install(after)


@after.get("/")
async def who(session: Annotated[Session | None, Depends(get_session)]) -> str:
    return "Nobody is signed in." if session is None else f"Still signed in: {session.user_id}, {session.role}."


@after.post("/logout")
async def logout(request: Request) -> None:
    clear_session(request)
