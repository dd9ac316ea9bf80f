"""The same as JSON, for scripts of the pages and for other programs. The rules of ``sessions.py`` hold here too."""

from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Request

from examples.accounts.sessions import AccountSession, Current, change_role, kit
from examples.accounts.users import Database, Person, Role, User, everybody
from fastapi_sessionkit.manager import ActiveSession

router = APIRouter(prefix="/api")


@router.get("/me")
async def me(session: Current) -> AccountSession:
    return session


@router.get("/devices")
async def devices(request: Request, session: Current) -> list[ActiveSession[AccountSession]]:
    return await kit.sessions.list(session.user_id, current=request)


@router.delete("/devices/{handle}", status_code=204)
async def end_device(handle: str, session: Current) -> None:
    if not await kit.sessions.revoke(handle, user_id=session.user_id):
        raise HTTPException(404, "There is no such device.")


@router.get("/people", response_model=list[Person])
async def people(database: Database) -> list[User]:
    return await everybody(database)


@router.patch("/people/{user_id}", response_model=Person)
async def set_role(user_id: str, role: Annotated[Role, Body(embed=True)], session: Current, database: Database) -> User:
    return await change_role(database, user_id, role, by=session)
