"""One page to be rendered: for whom, and with which links."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from examples.shop.sessions import Basket, ShopSession, ThisBasket, Visitor, guard

PLACES = {
    "/": "Seeds",
    "/almanac": "Almanac",
    "/editor": "Editor’s desk",
    "/settings": "Settings",
    "/admin": "Admin",
}


@dataclass(frozen=True)
class Door:
    """A place in the shop, whether this visitor may go in, and what the guard asks for there."""

    path: str
    label: str
    open: bool
    asks: str


async def doors(visitor: ShopSession | None) -> list[Door]:
    """Every place with what the guard says of it, so that no link promises what is then refused."""
    return [await door(path, label, visitor) for path, label in PLACES.items()]


async def door(path: str, label: str, visitor: ShopSession | None) -> Door:
    decision = await guard.decide("GET", path, visitor)
    needs = "nothing" if decision.requirement is None else str(decision.requirement)
    return Door(path, label, decision.allowed, needs)


def price(cents: int) -> str:
    return f"€{cents // 100}.{cents % 100:02}"


def moment(at: datetime) -> str:
    return f"{at.day} {at:%B, %H:%M} UTC"


templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
templates.env.filters.update(price=price, moment=moment)


class Page:
    """Renders templates for one visitor. As a dependency it comes with the request."""

    def __init__(self, request: Request, visitor: Visitor, basket: ThisBasket) -> None:
        self.request = request
        self.visitor = visitor
        self.basket: Basket = basket

    async def show(self, template: str, status_code: int = 200, **context: object) -> HTMLResponse:
        """The page. One made for somebody is kept by no cache; ``static/private.js`` minds the back button."""
        context |= {"visitor": self.visitor, "basket": self.basket.packets, "doors": await doors(self.visitor)}
        headers = {"Cache-Control": "no-store"} if self.visitor else None
        return templates.TemplateResponse(self.request, template, context, status_code, headers)


ThisPage = Annotated[Page, Depends()]
