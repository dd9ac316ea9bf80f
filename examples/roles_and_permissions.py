"""Who may do what: rules by path, dependencies by endpoint, and a plain yes or no inside one.

Run one of these and open http://127.0.0.1:8000/docs: every padlock names what it asks for.

    fastapi dev examples/roles_and_permissions.py
    FASTAPI_ENV=development uvicorn examples.roles_and_permissions:app

``POST /sign-in/{who}`` signs in as reader, writer, editor or admin, without a password: this example is about what
comes after.
"""

import os
import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    fresh,
    has_permission,
    permission,
    require,
    require_permission,
    require_role,
    role,
    set_session,
)


class AppSession(Session):
    department: str = "news"


PEOPLE = {
    "reader": AppSession(user_id="reader"),
    "writer": AppSession(user_id="writer", role="writer", permissions=("write",)),
    "editor": AppSession(user_id="editor", roles=("writer", "editor"), permissions=("write", "publish")),
    "admin": AppSession(user_id="admin", role="admin", department="it"),
}

# Without a key in the environment every run makes its own, and a restart signs everybody out.
kit = SessionKit(AppSession, secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32))


def in_it_department(session: AppSession | None) -> bool:
    return session is not None and session.department == "it"


# By path. The first rule that matches decides, so the open exception stands above what it is an exception from.
guard = RouterGuard(
    protect=[
        Rule("/admin/health", public=True),
        Rule("/admin/servers/**", role="admin", allow=in_it_department),
        Rule("/admin/**", role="admin"),
        Rule("/articles/**", methods=["POST"], permission="write"),
        Rule("/articles/**", methods=["DELETE"], requires=role("editor") & permission("publish") | role("admin")),
    ]
)

app = FastAPI(title="Roles and permissions")
kit.install(app, guard=guard)


@app.post("/sign-in/{who}")
async def sign_in(who: Literal["reader", "writer", "editor", "admin"], request: Request) -> AppSession:
    set_session(request, PEOPLE[who])
    return PEOPLE[who]


@app.get("/articles")
async def articles(may_write: Annotated[bool, Depends(has_permission("write"))]) -> dict[str, object]:
    """Open to everybody; what it answers depends on who asks."""
    return {"articles": ["Moss", "Rust"], "may_write": may_write}


@app.post("/articles", status_code=201)
async def write_article(title: str) -> dict[str, str]:
    return {"title": title}


@app.delete("/articles/{title}", status_code=204)
async def delete_article(title: str) -> None:
    if title not in {"Moss", "Rust"}:
        raise HTTPException(404, "No such article")


@app.get("/admin/health")
async def health() -> dict[str, str]:
    return {"status": "well"}


@app.get("/admin/people")
async def people() -> list[str]:
    return sorted(PEOPLE)


@app.get("/admin/servers")
async def servers() -> list[str]:
    return ["birch", "rowan"]


# By endpoint. A requirement is a dependency too: on one endpoint, or on a router for all of its endpoints.
newsroom = APIRouter(prefix="/newsroom", dependencies=[Depends(require_role("writer", "editor"))])


@newsroom.get("/drafts")
async def drafts() -> list[str]:
    return ["Lichen"]


@newsroom.post("/drafts/{title}/publish", dependencies=[Depends(require_permission("publish"))])
async def publish(title: str) -> dict[str, str]:
    return {"published": title}


@newsroom.delete("/drafts", dependencies=[Depends(require(role("editor") & fresh(minutes=10)))])
async def discard_all() -> dict[str, int]:
    """Only an editor, and only one who signed in within the last ten minutes."""
    return {"discarded": 1}


app.include_router(newsroom)
