"""Let people at what is theirs: by the segment of the path that names whom it belongs to.

    fastapi dev examples/theirs.py
    FASTAPI_ENV=development uvicorn examples.theirs:app

``POST /sign-in/{who}`` signs in as ada, bob or root, without a password: this example is about what comes after. Ada
and Bob see their own orders, members of a team see its board, and root, an admin, sees everything.
"""

import os
import secrets
from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request

from fastapi_sessionkit import RouterGuard, Rule, Session, SessionKit, owner, require, role, set_session


class AppSession(Session):
    teams: tuple[str, ...] = ()


PEOPLE = {
    "ada": AppSession(user_id="ada", teams=("blue", "red")),
    "bob": AppSession(user_id="bob", teams=("red",)),
    "root": AppSession(user_id="root", role="admin"),
}
ORDERS = {"ada": {1: "a fern"}, "bob": {2: "moss"}}
DRAFTS = {"ferns": "ada", "mosses": "bob"}

# Without a key in the environment every run makes its own, and a restart signs everybody out.
kit = SessionKit(AppSession, secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32))


def wrote_it(session: AppSession | None, segments: Mapping[str, str]) -> bool:
    """A function of two arguments also gets the path's named segments. It asks whatever knows whose the thing is."""
    return session is not None and DRAFTS.get(segments["draft"]) == session.user_id


# By path: in front of everything below these, whatever answers there.
guard = RouterGuard(
    protect=[
        Rule("/users/{user_id}/**", requires=owner("user_id") | role("admin")),
        Rule("/drafts/{draft}", allow=wrote_it),
    ]
)

app = FastAPI(title="Theirs")
kit.install(app, guard=guard)


@app.post("/sign-in/{who}")
async def sign_in(who: Literal["ada", "bob", "root"], request: Request) -> AppSession:
    set_session(request, PEOPLE[who])
    return PEOPLE[who]


@app.get("/users/{user_id}/orders")
async def orders(user_id: str) -> dict[int, str]:
    return ORDERS.get(user_id, {})


@app.get("/drafts/{draft}")
async def draft(draft: str) -> dict[str, str]:
    if draft not in DRAFTS:
        raise HTTPException(404, "No such draft")
    return {"draft": draft}


# By endpoint: the same requirement reads the route's path parameter.
teams = APIRouter(prefix="/teams/{team}", dependencies=[Depends(require(owner("team", field="teams") | role("admin")))])


@teams.get("/board")
async def board(team: str, session: Annotated[AppSession, Depends(kit.require_session)]) -> dict[str, str]:
    return {"team": team, "reader": session.user_id}


app.include_router(teams)
