"""Refusals, dead ends and outages: a friendly page for a browser, JSON for everything else."""

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from examples.shop.pages.page import Page
from examples.shop.sessions import ShopSession, baskets, kit
from fastapi_sessionkit import StoreUnavailable

TEMPLATES = {403: "refused.html", 404: "missing.html", 503: "closed.html"}


async def answer(request: Request, error: HTTPException) -> Response:
    """The error as a page, if that is what the client asked for. The detail says what is the matter."""
    if not wants_page(request):
        return await http_exception_handler(request, error)
    template = TEMPLATES.get(error.status_code, "error.html")
    page = Page(request, await visitor_of(request), await baskets.require_session(request)).show(
        template, error.status_code, status=error.status_code, detail=error.detail
    )
    page.headers.update(error.headers or {})
    return page


async def answer_invalid(request: Request, error: RequestValidationError) -> Response:
    """A form that does not fit: 422."""
    if not wants_page(request):
        return await request_validation_exception_handler(request, error)
    return await answer(request, HTTPException(422, error.errors()[0]["msg"]))


def wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


async def visitor_of(request: Request) -> ShopSession | None:
    """Who is signed in; nobody where that can't be found out, for this page is shown all the same."""
    try:
        return await kit.get_session(request)
    except StoreUnavailable:
        return None


def install(app: FastAPI) -> None:
    """Let the application answer with these."""
    app.exception_handler(HTTPException)(answer)
    app.exception_handler(RequestValidationError)(answer_invalid)
