"""Your devices: where somebody is signed in, and a button to end each of these sessions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from examples.shop.pages.page import ThisPage
from examples.shop.sessions import Current, kit
from fastapi_sessionkit import StoreBackend

HERE = "/account/devices"

router = APIRouter(prefix=HERE, include_in_schema=False)


async def kept_here() -> bool:
    """Whether the shop keeps its sessions itself, and so can list and end them. With SHOP_STORE=cookie it doesn't."""
    return isinstance(kit.backend, StoreBackend)


KeptHere = Annotated[bool, Depends(kept_here)]


async def refuse_unless_kept(kept: KeptHere) -> None:
    if not kept:
        raise HTTPException(409, "These sessions are kept in the browsers' cookies, so the shop can't end them")


@router.get("")
async def devices(page: ThisPage, session: Current, kept: KeptHere) -> HTMLResponse:
    active = await kit.sessions.list(session.user_id, current=page.request) if kept else []
    return page.show("devices.html", kept=kept, active=active)


@router.post("/end", dependencies=[Depends(refuse_unless_kept)])
async def end(session: Current, handle: Annotated[str, Form(max_length=64)]) -> RedirectResponse:
    """The handle comes from the form, so it may be anybody's: ``user_id`` sees to it that only one's own ends."""
    await kit.sessions.revoke(handle, user_id=session.user_id)
    return RedirectResponse(HERE, 303)


@router.post("/end-others", dependencies=[Depends(refuse_unless_kept)])
async def end_others(request: Request, session: Current) -> RedirectResponse:
    await kit.sessions.revoke_user(session.user_id, keep_current=request)
    return RedirectResponse(HERE, 303)
