"""Refusals and dead ends: a friendly page for a browser, JSON for everything else."""

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from examples.shop.pages.page import Page
from examples.shop.sessions import kit
from fastapi_sessionkit import Forbidden


async def refused(request: Request, error: HTTPException) -> Response:
    """403: somebody is signed in, and this is not for them. The detail says what they lack."""
    return await answer(request, error, "refused.html", detail=error.detail)


async def missing(request: Request, error: HTTPException) -> Response:
    """404: nothing grows here."""
    return await answer(request, error, "missing.html")


async def answer(request: Request, error: HTTPException, template: str, **context: object) -> Response:
    """The error as a page, if that is what the client asked for."""
    if "text/html" not in request.headers.get("accept", ""):
        return await http_exception_handler(request, error)
    page = Page(request, await kit.get_session(request))
    return await page.show(template, error.status_code, **context)


def install(app: FastAPI) -> None:
    """Let the application answer with these."""
    app.exception_handler(Forbidden)(refused)
    app.exception_handler(404)(missing)
