"""From a denial to the answer that this client understands: 401, 403, a redirect, ``HX-Redirect``."""

from functools import partial
from urllib.parse import unquote

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ..errors import Forbidden, NotAuthenticated
from .redirects import location, path_and_query, path_of, requested


class Redirected(HTTPException):
    """A redirect that is raised. Where a kit is installed ``redirect_response`` answers it, without a body."""


async def redirect_response(request: Request, exc: Exception) -> Response:  # noqa: ARG001
    """The exception handler of ``Redirected``: no handler of the application shall turn a redirect into a page."""
    if not isinstance(exc, Redirected) or exc.headers is None:
        raise exc
    return Response(status_code=exc.status_code, headers=exc.headers)


def denial_error(
    scope: Scope, requirement: str, *, signed_in: bool, redirect_to: str | None, login_path: str | None
) -> HTTPException:
    """What to raise: 401, 403 or a redirect. A target is left out where it is the very page that was refused.

    Args:
        scope: the request.
        requirement: the name of what was required.
        signed_in: whether somebody is signed in.
        redirect_to: where the rule sends a browser.
        login_path: where a browser signs in.
    """
    headers, wanted = Headers(scope=scope), requested(scope)
    refused = partial(Forbidden, f"Requires {requirement}") if signed_in else NotAuthenticated
    target = redirect_to if signed_in else (redirect_to or login_path)
    if target is None or scope["type"] == "websocket" or _is_same_page(location(scope, target), wanted):
        return refused()
    if headers.get("hx-request") == "true":
        page = path_and_query(headers.get("hx-current-url", ""))
        return refused(headers={"HX-Redirect": location(scope, target, None if signed_in else page)})
    if not is_navigation(scope):
        return refused()
    safe = scope["method"] in {"GET", "HEAD"}
    return redirect(scope, target, wanted if safe and not signed_in else None)


def redirect(scope: Scope, target: str, wanted: str | None = None) -> Redirected:
    """302 for GET and HEAD; 303 otherwise, so that the method becomes GET (RFC 9110, section 15.4.4)."""
    status = 302 if scope["method"] in {"GET", "HEAD"} else 303
    return Redirected(status, headers={"Location": location(scope, target, wanted)})


def is_navigation(scope: Scope) -> bool:
    """Whether a browser asks for a page: ``Sec-Fetch-Mode: navigate``, or, without it, HTML among what it accepts."""
    if scope["type"] != "http":
        return False
    headers = Headers(scope=scope)
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode is not None else "text/html" in headers.get("accept", "").lower()


def _is_same_page(target: str, wanted: str) -> bool:
    return _page(target) == _page(wanted)


def _page(url: str) -> str:
    return unquote(path_of(url)).rstrip("/") or "/"
