"""The basket, which everybody has; and for whoever is signed in the dashboard, the Almanac, and the way out."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from examples.shop.api import find
from examples.shop.pages.page import ThisPage
from examples.shop.sessions import Current, Info, ThisBasket, baskets
from examples.shop.stock import OpenShop
from fastapi_sessionkit import clear_session, update_session

router = APIRouter(include_in_schema=False)


@router.get("/dashboard")
async def dashboard(page: ThisPage, session: Current, info: Info, shop: OpenShop) -> HTMLResponse:
    return page.show("dashboard.html", info=info, shop=shop, orders=shop.orders_of(session.user_id))


@router.post("/basket/{slug}")
async def add_to_basket(slug: str, basket: ThisBasket, shop: OpenShop) -> RedirectResponse:
    """Anybody may, signed in or not. A change inside a value is noticed and saved: nothing else has to be called."""
    basket.packets[find(shop, slug).slug] = basket.packets.get(slug, 0) + 1
    return RedirectResponse(f"/#{slug}", 303)


@router.post("/order")
async def order(session: Current, basket: ThisBasket, shop: OpenShop) -> RedirectResponse:
    if basket.packets:
        shop.place_order(session.user_id, basket.packets)
        basket.packets.clear()
    return RedirectResponse("/dashboard", 303)


@router.get("/almanac")
async def almanac(page: ThisPage, shop: OpenShop) -> HTMLResponse:
    return page.show("almanac.html", shop=shop)


@router.post("/upgrade")
async def upgrade(request: Request) -> RedirectResponse:
    """Join the Almanac. A real shop would take the money first, and note it in its user table too."""
    update_session(request, tier="premium")
    return RedirectResponse("/almanac", 303)


@router.post("/logout")
async def logout(request: Request) -> RedirectResponse:
    """Whoever uses this browser next starts with an empty basket."""
    clear_session(request)
    baskets.clear_session(request)
    return RedirectResponse("/", 303)
