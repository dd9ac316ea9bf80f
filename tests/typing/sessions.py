"""Checked by mypy and pyright, never run: a kit knows the model of its sessions."""

from datetime import timedelta
from typing import Annotated, Any, Literal, assert_type

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from fastapi_sessionkit import (
    MemoryStore,
    Session,
    SessionInfo,
    SessionKit,
    clear_session,
    get_session_info,
    has_role,
    is_authenticated,
    reauthenticate_session,
    regenerate_session,
    require_role,
    role,
    session_of,
    session_reason,
    session_watch,
    set_session,
    update_session,
)
from fastapi_sessionkit.events import EventName, SessionEvent
from fastapi_sessionkit.reasons import Reason


class AppSession(Session):
    tier: Literal["free", "premium"] = "free"


class Visitor(BaseModel):
    """No ``Session``, and a session all the same."""

    token: str


kit = SessionKit(AppSession, secret_key="", backend=MemoryStore())
assert_type(kit, SessionKit[AppSession])
assert_type(kit.model, type[AppSession])
assert_type(SessionKit(), SessionKit[Session])
assert_type(SessionKit(Visitor), SessionKit[Visitor])


def without_waiting(connection: HTTPConnection) -> None:
    assert_type(kit.session_of(connection), AppSession | None)
    assert_type(session_of(connection), Any)
    assert_type(kit.session_reason(connection), Reason | None)
    assert_type(session_reason(connection), Reason | None)


@kit.on("signed_in", "denied")
def told(event: SessionEvent) -> int:
    assert_type(event.name, EventName)
    assert_type(event.user_id, str | None)
    return 0


@kit.on("signed_out")
async def told_later(event: SessionEvent) -> None: ...


kit.on("login")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def dependencies(connection: HTTPConnection) -> None:
    assert_type(await kit.get_session(connection), AppSession | None)
    assert_type(await kit.require_session(connection), AppSession)
    assert_type(await kit.get_session_info(connection), SessionInfo | None)
    assert_type(await kit.is_authenticated(connection), bool)
    assert_type(await kit.require(role("admin"))(connection), AppSession)
    assert_type(await kit.require_role("admin", "auditor")(connection), AppSession)
    assert_type(await kit.require_permission("a", "b")(connection), AppSession)
    assert_type(await kit.require_any_permission("a", "b")(connection), AppSession)
    assert_type(await kit.require_fresh(600)(connection), AppSession)
    assert_type(await kit.has_role("admin")(connection), bool)
    assert_type(await kit.has_permission("a")(connection), bool)
    assert_type(await kit.has_all_permissions("a", "b")(connection), bool)
    assert_type(await kit.has_any_permission("a", "b")(connection), bool)
    assert_type(await kit.has_role_permission("admin", "a")(connection), bool)
    assert_type((await kit.require_session(connection)).tier, Literal["free", "premium"])


async def of_the_default_model(connection: HTTPConnection) -> None:
    assert_type(await SessionKit().require_session(connection), Session)
    assert_type(await SessionKit(Visitor).require_role("cook")(connection), Visitor)


async def of_the_module(connection: HTTPConnection) -> None:
    """They can't know the model: what they give is whatever the endpoint says it is."""
    assert_type(await require_role("admin")(connection), Any)
    assert_type(await get_session_info(connection), SessionInfo | None)
    assert_type(await is_authenticated(connection), bool)
    assert_type(await has_role("admin")(connection), bool)


def mutation(request: Request, websocket: WebSocket) -> None:
    set_session(request, AppSession(user_id="u"), ttl=60)
    set_session(websocket, Visitor(token="t"))
    update_session(request, tier="premium")
    clear_session(websocket)
    regenerate_session(request)
    reauthenticate_session(request)
    kit.set_session(request, AppSession(user_id="u"), ttl=60.0)
    kit.update_session(websocket, tier="premium")
    kit.clear_session(request)
    kit.regenerate_session(websocket)
    kit.reauthenticate_session(request)


async def watching(kit: SessionKit[AppSession], request: Request, websocket: WebSocket) -> None:
    async with session_watch(websocket, every=10) as watch:
        assert_type(watch.refusal, HTTPException | None)
        await watch.ended.wait()
    async with kit.session_watch(request, timedelta(minutes=1)) as other:
        assert_type(other.ended.is_set(), bool)


def mistakes(request: Request) -> None:
    kit.set_session(request, Session(user_id="u"))  # type: ignore[arg-type]
    kit.set_session(request, Visitor(token="t"))  # type: ignore[arg-type]
    kit.set_session(request, None)  # type: ignore[arg-type]
    set_session(request, {"user_id": "u"})  # type: ignore[arg-type]
    set_session(request, AppSession(user_id="u"), 60)  # type: ignore[call-arg]
    SessionKit(dict)  # type: ignore[type-var]
    SessionKit(AppSession, "secret")  # type: ignore[call-arg]


Current = Annotated[AppSession, Depends(kit.require_session)]
app = FastAPI()
kit.install(app)


@app.get("/me")
async def me(session: Current) -> str:
    assert_type(session, AppSession)
    return session.tier


@app.get("/admin")
async def admin(session: Annotated[AppSession, Depends(kit.require_role("admin"))]) -> str:
    return session.user_id
