"""The API's interactive documentation. A page of the shop's own, so that it says who is signed in."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from examples.shop.pages.page import ThisPage

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(page: ThisPage) -> HTMLResponse:
    return page.show("docs.html")
