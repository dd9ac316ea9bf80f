"""From a denial to the answer that this client understands: 401, 403, a redirect, ``HX-Redirect``."""

from dataclasses import dataclass
from urllib.parse import unquote

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from fastapi_sessionkit._redirects import location, path_and_query, requested
from fastapi_sessionkit.errors import Forbidden, NotAuthenticated


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is turned away, and where its rule would rather have it.

    Attributes:
        signed_in: whether somebody is signed in.
        requirement: the name of what was required.
        redirect_to: where the rule sends a browser.
        login_path: where a browser signs in.
    """

    signed_in: bool
    requirement: str
    redirect_to: str | None
    login_path: str | None


class Redirected(HTTPException):
    """A redirect that is raised. Where a kit is installed ``redirect_response`` answers it, without a body."""


async def redirect_response(request: Request, exc: Exception) -> Response:  # noqa: ARG001
    """The exception handler of ``Redirected``: no handler of the application shall turn a redirect into a page."""
    if not isinstance(exc, Redirected) or exc.headers is None:
        raise exc
    return Response(status_code=exc.status_code, headers=exc.headers)


def denied(denial: Denial, scope: Scope) -> HTTPException:
    """What to raise. A target is left out where it is the very page that was refused."""
    headers = Headers(scope=scope)
    wanted = requested(scope)
    target = denial.redirect_to if denial.signed_in else (denial.redirect_to or denial.login_path)
    if target is None or _is_same_page(location(scope, target), wanted) or scope["type"] == "websocket":
        return _refused(denial, None)
    if headers.get("hx-request") == "true":
        page = path_and_query(headers.get("hx-current-url", ""))
        return _refused(denial, location(scope, target, None if denial.signed_in else page))
    if not is_navigation(scope):
        return _refused(denial, None)
    safe = scope["method"] in {"GET", "HEAD"}
    return redirect(scope, target, wanted if safe and not denial.signed_in else None)


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


def _refused(denial: Denial, hx_redirect: str | None) -> HTTPException:
    headers = None if hx_redirect is None else {"HX-Redirect": hx_redirect}
    if denial.signed_in:
        return Forbidden(f"Requires {denial.requirement}", headers)
    return NotAuthenticated(headers=headers)


def _is_same_page(target: str, wanted: str) -> bool:
    return _page(target) == _page(wanted)


def _page(url: str) -> str:
    path = url.partition("#")[0].partition("?")[0]
    return unquote(path).rstrip("/") or "/"
