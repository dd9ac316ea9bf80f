"""From a denial to the answer that this client understands: 401, 403, a redirect, ``HX-Redirect``."""

from collections.abc import Callable
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


def refusal(requirement: str, *, signed_in: bool, max_age: float | None) -> Callable[..., HTTPException]:
    """What makes the 401 or 403, which may get more headers.

    Args:
        requirement: the name of what was required.
        signed_in: whether somebody is signed in.
        max_age: where nothing but a recent sign-in is missing: how many seconds ago that may be.
    """
    if not signed_in:
        return NotAuthenticated
    if max_age is None:
        return partial(Forbidden, f"Requires {requirement}")
    return partial(NotAuthenticated, f"Requires {requirement}", max_age=max_age)


def denial_error(
    scope: Scope, refused: Callable[..., HTTPException], target: str | None, *, back: bool
) -> HTTPException:
    """What to raise: 401, 403 or a redirect. A target is left out where it is the very page that was refused.

    Args:
        scope: the request.
        refused: makes the 401 or 403.
        target: where a browser is sent.
        back: whether it is to come back from there, by ``next``.
    """
    if target is None or scope["type"] == "websocket" or _is_same_page(location(scope, target), requested(scope)):
        return refused()
    page = page_to_return_to(scope) if back else None
    if _is_htmx(scope):
        return refused(headers={"HX-Redirect": location(scope, target, page)})
    return redirect(scope, target, page) if is_navigation(scope) else refused()


def page_to_return_to(scope: Scope) -> str | None:
    """The page that a browser can be brought back to: the one that it asked for, or that HTMX was on."""
    if _is_htmx(scope):
        return path_and_query(Headers(scope=scope).get("hx-current-url", ""))
    return requested(scope) if _is_safe(scope) else None


def redirect(scope: Scope, target: str, wanted: str | None = None) -> Redirected:
    """302 for GET and HEAD; 303 otherwise, so that the method becomes GET (RFC 9110, section 15.4.4)."""
    return Redirected(302 if _is_safe(scope) else 303, headers={"Location": location(scope, target, wanted)})


def is_navigation(scope: Scope) -> bool:
    """Whether a browser asks for a page: ``Sec-Fetch-Mode: navigate``, or, without it, HTML among what it accepts."""
    if scope["type"] != "http":
        return False
    headers = Headers(scope=scope)
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode is not None else "text/html" in headers.get("accept", "").lower()


def may_be_page(scope: Scope) -> bool:
    """Whether the answer may be HTML: it, or anything, is accepted. Browsers say of scripts, images and calls that they are none."""
    if scope["type"] != "http":
        return False
    headers = Headers(scope=scope)
    accept = headers.get("accept", "*/*").lower()
    return "text/html" in accept or _is_htmx(scope) or ("*/*" in accept and "sec-fetch-dest" not in headers)


def follows(scope: Scope) -> bool:
    """Whether this client goes where it is sent."""
    return is_navigation(scope) or (scope["type"] == "http" and _is_htmx(scope))


def _is_safe(scope: Scope) -> bool:
    return scope.get("method") in {"GET", "HEAD"}


def _is_htmx(scope: Scope) -> bool:
    return Headers(scope=scope).get("hx-request") == "true"


def _is_same_page(target: str, wanted: str) -> bool:
    return page_of(target) == page_of(wanted)


def page_of(url: str) -> str:
    """The path that a router sees, without a slash at its end."""
    return unquote(path_of(url)).rstrip("/") or "/"
