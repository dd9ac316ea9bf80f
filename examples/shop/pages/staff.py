"""For the people behind the counter. None of these checks who is asking: the guard did, before they were reached."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from examples.shop.pages.page import ThisPage
from examples.shop.people import PEOPLE
from examples.shop.stock import OpenShop

router = APIRouter(include_in_schema=False)


@router.get("/editor")
async def desk(page: ThisPage, shop: OpenShop) -> HTMLResponse:
    return page.show("editor.html", entries=shop.entries.values())


@router.post("/editor/{slug}/publish")
async def publish(slug: str, shop: OpenShop) -> RedirectResponse:
    if slug not in shop.entries:
        raise HTTPException(404, "There is no such piece")
    shop.turn_over(slug)
    return RedirectResponse("/editor", 303)


@router.get("/settings")
async def settings(page: ThisPage, shop: OpenShop) -> HTMLResponse:
    return page.show("settings.html", notice=shop.notice)


@router.post("/settings")
async def save_settings(
    page: ThisPage, shop: OpenShop, notice: Annotated[str, Form(max_length=140)] = ""
) -> HTMLResponse:
    shop.notice = notice.strip()
    return page.show("settings.html", notice=shop.notice, saved=True)


@router.get("/admin")
async def admin(page: ThisPage, shop: OpenShop) -> HTMLResponse:
    return page.show("admin.html", shop=shop, people=PEOPLE.values())


@router.get("/admin/orders")
async def orders(page: ThisPage, shop: OpenShop) -> HTMLResponse:
    return page.show("orders.html", shop=shop)
