"""Which kits an application has, and what is mounted on it; what can't work with more than one kit is said at startup."""

import logging
from collections.abc import Iterator
from typing import Any, Protocol

from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette

from fastapi_sessionkit._denial import Redirected, redirect_response
from fastapi_sessionkit._lookup import ambiguous, installed
from fastapi_sessionkit._routes import in_place, served
from fastapi_sessionkit.dependencies import (
    Asked,
    Required,
    get_session,
    get_session_info,
    is_authenticated,
    require_session,
)
from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.guard import RouterGuard

logger: logging.Logger = logging.getLogger(__name__)

_SAME_COOKIE = (
    "Another SessionKit on {where} uses the cookie {name!r}: give each its own, "
    'SessionKit(name="staff", cookie=CookieSettings(name="staff_session"))'
)
_SAME_SCHEME = (
    "OpenAPI can't tell the cookie {!r} from another SessionKit's {!r} on this application: both would be {}. Give each "
    'a name of its own, SessionKit(name="staff", cookie=CookieSettings(name="staff_session"))'
)
_OF_NO_KIT = frozenset({get_session, get_session_info, is_authenticated, require_session})

_EXAMPLES = {
    "require_role": '"admin"',
    "require_permission": '"reports:read"',
    "require_any_permission": '"reports:read", "reports:write"',
    "require_fresh": "600",
    "has_role": '"admin"',
    "has_permission": '"reports:read"',
    "has_all_permissions": '"reports:read", "reports:write"',
    "has_any_permission": '"reports:read", "reports:write"',
    "has_role_permission": '"admin", "reports:read"',
}
"""What makes a dependency when it is called, and what with. ``Depends(require)`` FastAPI refuses itself."""


class Kit(Protocol):
    """What tells a ``SessionKit`` from another: to browsers, and in OpenAPI."""

    cookie_name: str
    scheme_name: str


def mounted(app: Starlette, around: tuple[Starlette, ...] = ()) -> Iterator[tuple[str, Starlette]]:
    """The applications that are mounted on this one, and where; not itself or those around it once more."""
    for context in iter_route_contexts(app.routes):
        inner = getattr(context.original_route, "app", None)
        if isinstance(inner, Starlette) and inner not in (*around, app):
            yield getattr(in_place(context), "path", None) or "", inner


def sharing(app: Starlette, at: str = "", around: tuple[Starlette, ...] = ()) -> Iterator[tuple[str, Starlette]]:
    """The applications below this one that use its kits, for they have none of their own; and where they are mounted."""
    for path, inner in mounted(app, around):
        if not list(installed(inner)):
            yield at + path, inner
            yield from sharing(inner, at + path, (*around, app))


def check_installable(kit: Kit, app: Starlette) -> None:
    """Raise ``ConfigurationError`` where a kit can't be put on an application."""
    if not isinstance(app, Starlette):
        msg = f"kit.install() takes the FastAPI application, not {app!r}"
        raise ConfigurationError(msg)
    if app.middleware_stack is not None:
        msg = "kit.install(app) came after the application had started: call it where the application is made"
        raise ConfigurationError(msg)
    for services in installed(app):
        if services.kit is kit:
            msg = "This SessionKit is installed on this application already"
            raise ConfigurationError(msg)
        if services.cookie.name == kit.cookie_name:
            raise ConfigurationError(_SAME_COOKIE.format(where="this application", name=kit.cookie_name))
        if getattr(services.kit, "scheme_name", None) == kit.scheme_name:
            raise ConfigurationError(_SAME_SCHEME.format(kit.cookie_name, services.cookie.name, kit.scheme_name))


def check_mounted(app: Starlette, cookie_name: str, around: tuple[Starlette, ...] = ()) -> None:
    """Report another kit on a mounted application that overwrites this one's cookie; and let redirects work there."""
    kits = {services.kit for services in installed(app)}
    for _, inner in mounted(app, around):
        for services in installed(inner):
            if services.cookie.name == cookie_name and services.kit not in kits:
                logger.warning(_SAME_COOKIE.format(where="a mounted application", name=cookie_name))
        if Redirected not in inner.exception_handlers:
            inner.add_exception_handler(Redirected, redirect_response)
        check_mounted(inner, cookie_name, (*around, app))


def check_called(app: Starlette, at: str = "", around: tuple[Starlette, ...] = ()) -> None:
    """Raise ``ConfigurationError`` for a route with ``Depends(require_fresh)``.

    FastAPI would call it with what the query says, and take what it makes for the answer: nobody would be refused.
    """
    for route in served(app, without=getattr(app, "dependency_overrides", ())):
        for call in route.dependencies:
            name = getattr(call, "__name__", "")
            if name in _EXAMPLES and call.__module__.startswith(f"{__package__}."):
                name = f"kit.{name}" if hasattr(call, "__self__") else name
                msg = (
                    f"{at}{route.template}: Depends({name}) asks nothing, for {name} only makes a dependency: write "
                    f"Depends({name}({_EXAMPLES[call.__name__]}))"
                )
                raise ConfigurationError(msg)
    for path, inner in mounted(app, around):
        check_called(inner, at + path, (*around, app))


def check_unambiguous(
    app: Starlette, at: str = "", around: tuple[Starlette, ...] = (), *, several: bool = False
) -> None:
    """Raise ``ConfigurationError`` for a route that asks for "the" session where there are several.

    What is added later, and what endpoints call themselves, is left to ``handle_of``, which raises at the request.

    Args:
        app: the application, and what is mounted on it.
        at: where it is mounted.
        around: the applications around it: a kit that it shares with them is not asked for first here.
        several: whether the innermost of those that has a kit of its own has more than one.
    """
    kits = {services.kit for services in installed(app)}
    shared = {services.kit for outer in around for services in installed(outer)}
    several = len(kits) > 1 if kits - shared else several
    if several:
        for route in served(app, without=getattr(app, "dependency_overrides", ())):
            for call in route.dependencies:
                if _is_of_no_kit(call):
                    name = (
                        "RouterGuard(...)" if isinstance(call, RouterGuard) else getattr(call, "__name__", repr(call))
                    )
                    raise ConfigurationError(f"{at}{route.template}: {ambiguous(f'Depends({name})')}")
    for path, inner in mounted(app, around):
        check_unambiguous(inner, at + path, (*around, app), several=several)


def _is_of_no_kit(call: Any) -> bool:
    if isinstance(call, Required | Asked):
        return call.kit is None
    return isinstance(call, RouterGuard) or call in _OF_NO_KIT
