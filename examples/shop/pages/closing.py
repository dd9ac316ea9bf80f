"""Closing an account, for which a sign-in must be recent: a browser left open on a desk is not enough."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from examples.shop.pages.devices import KeptHere
from examples.shop.pages.page import ThisPage
from examples.shop.people import who_is
from examples.shop.sessions import CLOSE, CONFIRM, Current, kit
from examples.shop.stock import OpenShop
from fastapi_sessionkit import clear_session, login_redirect_target, reauthenticate_session

router = APIRouter(include_in_schema=False)


@router.get(CONFIRM)
async def show_confirmation(page: ThisPage) -> HTMLResponse:
    return page.show("confirm.html")


@router.post(CONFIRM)
async def confirm(page: ThisPage, session: Current, password: Annotated[str, Form(max_length=200)]) -> Response:
    """Check the password once more, and go on to where ``next`` says."""
    if who_is(session.user_id, password) is None:
        return page.show("confirm.html", 422, failed=True)
    reauthenticate_session(page.request)
    return RedirectResponse(login_redirect_target(page.request, default="/dashboard"), 303)


@router.get(CLOSE)
async def show_closing(page: ThisPage) -> HTMLResponse:
    return page.show("closing.html")


@router.post(CLOSE)
async def close(request: Request, session: Current, kept: KeptHere, shop: OpenShop) -> RedirectResponse:
    """Close the account and end all its sessions."""
    shop.closed.add(session.user_id)
    if kept:
        await kit.sessions.revoke_user(session.user_id)
    clear_session(request)
    return RedirectResponse("/", 303)
