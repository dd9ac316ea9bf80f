"""One page to be rendered: for whom, and with which links."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from examples.shop.sessions import Basket, ThisBasket, Visitor, guard, kit
from fastapi_sessionkit.templating import context_processor

PLACES = {
    "/": "Seeds",
    "/almanac": "Almanac",
    "/editor": "Editor’s desk",
    "/settings": "Settings",
    "/admin": "Admin",
}


def asks(path: str) -> str:
    """What the guard asks for at a place."""
    requirement = guard.decisions("GET").find(path).requirement
    return "nothing" if requirement is None else str(requirement)


def price(cents: int) -> str:
    return f"€{cents // 100}.{cents % 100:02}"


def moment(at: datetime) -> str:
    return f"{at.day} {at:%B, %H:%M} UTC"


# Every page has `can`, which asks the guard, so that no link promises what is then refused.
templates = Jinja2Templates(directory=Path(__file__).parent / "templates", context_processors=[context_processor(kit)])
templates.env.filters.update(price=price, moment=moment, asks=asks)
templates.env.globals.update(places=PLACES)


class Page:
    """Renders templates for one visitor. As a dependency it comes with the request."""

    def __init__(self, request: Request, visitor: Visitor, basket: ThisBasket) -> None:
        self.request = request
        self.visitor = visitor
        self.basket: Basket = basket

    def show(self, template: str, status_code: int = 200, **context: object) -> HTMLResponse:
        """The page. One made for somebody is kept by no cache; ``static/private.js`` minds the back button."""
        context |= {"visitor": self.visitor, "basket": self.basket.packets}
        headers = {"Cache-Control": "no-store"} if self.visitor else None
        return templates.TemplateResponse(self.request, template, context, status_code, headers)


ThisPage = Annotated[Page, Depends()]
