"""What everybody sees: the front page and the way in."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from examples.shop.devices import device_of
from examples.shop.pages.page import ThisPage
from examples.shop.people import PEOPLE, Person, who_is
from examples.shop.sessions import REMEMBERED, session_for
from examples.shop.stock import OpenShop
from fastapi_sessionkit import login_redirect_target, set_session

router = APIRouter(include_in_schema=False)


class LoginForm(BaseModel):
    """What the sign-in page sends."""

    username: str = ""
    password: str = ""
    remember: bool = False
    one_click: str = Field(default="", description="Name and password of the person whose button it was")

    def person(self) -> Person | None:
        """Whose name and password these are."""
        if self.one_click:
            username, _, password = self.one_click.partition(":")
            return who_is(username, password)
        return who_is(self.username, self.password)


@router.get("/")
async def front(page: ThisPage, shop: OpenShop) -> HTMLResponse:
    return page.show("front.html", shop=shop)


@router.get("/login")
async def show_login(page: ThisPage) -> HTMLResponse:
    return page.show("login.html", people=PEOPLE.values(), form=LoginForm())


@router.post("/login")
async def login(page: ThisPage, form: Annotated[LoginForm, Form()], shop: OpenShop) -> Response:
    """Sign in, and go on to where ``next`` says, if that is a page of this shop."""
    person = form.person()
    if person is None or person.username in shop.closed:
        return page.show("login.html", 422, people=PEOPLE.values(), form=form, failed=True)
    session = session_for(person, device_of(page.request.headers.get("user-agent", "")))
    set_session(page.request, session, ttl=REMEMBERED if form.remember else None, persistent=form.remember)
    return RedirectResponse(login_redirect_target(page.request, default="/dashboard"), 303)
