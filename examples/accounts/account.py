"""One's own account, and everybody's for admins. Nothing here checks who may: the guard did."""

from typing import Annotated, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from examples.accounts.page import show
from examples.accounts.sessions import DELETE, Current, CurrentUser, change_role, delete_user, kit
from examples.accounts.users import Database, Role, everybody
from fastapi_sessionkit import clear_session

router = APIRouter(include_in_schema=False)


@router.get("/")
async def front(request: Request) -> HTMLResponse:
    return show(request, "front.html")


@router.get("/account")
async def account(request: Request, session: Current) -> HTMLResponse:
    return show(request, "account.html", devices=await kit.sessions.list(session.user_id, current=request))


@router.post("/account/devices/end")
async def end_device(session: Current, handle: Annotated[str, Form(max_length=64)]) -> RedirectResponse:
    """The handle comes from a form, so it may be anybody's: ``user_id`` sees to it that only one's own ends."""
    await kit.sessions.revoke(handle, user_id=session.user_id)
    return RedirectResponse("/account", 303)


@router.post("/account/devices/end-others")
async def end_other_devices(request: Request, session: Current) -> RedirectResponse:
    await kit.sessions.revoke_user(session.user_id, keep_current=request)
    return RedirectResponse("/account", 303)


@router.get(DELETE)
async def show_deletion(request: Request) -> HTMLResponse:
    return show(request, "delete.html")


@router.post(DELETE)
async def delete(request: Request, user: CurrentUser, database: Database) -> RedirectResponse:
    await delete_user(database, user)
    clear_session(request)
    return RedirectResponse("/", 303)


@router.get("/people")
async def people(request: Request, database: Database) -> HTMLResponse:
    return show(request, "people.html", people=await everybody(database), roles=get_args(Role))


@router.post("/people/{user_id}/role")
async def set_role(
    user_id: str, role: Annotated[Role, Form()], session: Current, database: Database
) -> RedirectResponse:
    await change_role(database, user_id, role, by=session)
    return RedirectResponse("/people", 303)
