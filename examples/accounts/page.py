"""Pages: rendered with Jinja2, never kept by a cache, and errors as pages too where a browser asks."""

from contextlib import suppress
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException

from examples.accounts.sessions import kit
from fastapi_sessionkit import StoreUnavailable
from fastapi_sessionkit.templating import context_processor

templates = Jinja2Templates(Path(__file__).parent / "templates", context_processors=[context_processor(kit)])


def show(request: Request, template: str, status_code: int = 200, **context: object) -> HTMLResponse:
    return templates.TemplateResponse(request, template, context, status_code, {"Cache-Control": "no-store"})


def wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


async def show_error(request: Request, error: HTTPException) -> Response:
    if not wants_page(request):
        return await http_exception_handler(request, error)
    with suppress(StoreUnavailable):
        await kit.get_session(request)  # for the navigation
    page = show(request, "error.html", error.status_code, problem=error.detail)
    page.headers.update(error.headers or {})
    return page


async def show_invalid(request: Request, error: RequestValidationError) -> Response:
    if not wants_page(request):
        return await request_validation_exception_handler(request, error)
    return await show_error(request, HTTPException(422, error.errors()[0]["msg"]))


def install_errors(app: FastAPI) -> None:
    app.exception_handler(HTTPException)(show_error)
    app.exception_handler(RequestValidationError)(show_invalid)
