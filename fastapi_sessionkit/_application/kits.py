"""Which kits an application has, and what is mounted on it; what can't work with more than one kit is said at startup."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette

from .._paths.denial import Redirected, redirect_response
from .._request.lookup import ambiguity_message, installed
from ..dependencies import (
    Asked,
    Required,
    get_session,
    get_session_info,
    is_authenticated,
    require_session,
)
from ..errors import ConfigurationError
from ..guard import RouterGuard
from ..transport import Transport
from .routes import in_place, served_routes

logger: logging.Logger = logging.getLogger(__name__)

_SAME_NAME = (
    "Another SessionKit on {where} uses the cookie {name!r}: give each its own, "
    'SessionKit(name="staff", cookie=CookieSettings(name="staff_session"))'
)
_SAME_SCHEME = (
    "OpenAPI can't tell the cookie {!r} from another SessionKit's {!r} on this application: both would be {}. Give each "
    'a name of its own, SessionKit(name="staff", cookie=CookieSettings(name="staff_session"))'
)
_PACKAGE = f"{__package__.partition('.')[0]}."
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


@dataclass(frozen=True, slots=True)
class Place:
    """An application, and where it is mounted: the path, and the applications around it, outermost first."""

    app: Starlette
    at: str = ""
    around: tuple[Starlette, ...] = ()


def places(app: Starlette) -> Iterator[Place]:
    """The application and all that is mounted below it; no application inside itself once more."""
    waiting = [Place(app)]
    for place in waiting:  # it grows by what is mounted on what is looked at
        yield place
        around = (*place.around, place.app)
        for context in iter_route_contexts(place.app.routes):
            inner = getattr(context.original_route, "app", None)
            if isinstance(inner, Starlette) and inner not in around:
                path = getattr(in_place(context), "path", None) or ""
                waiting.append(Place(inner, place.at + path, around))


def sharing(app: Starlette) -> Iterator[Place]:
    """The applications below this one that use its kits, for neither they nor those between have any."""
    for place in places(app):
        below = (*place.around[1:], place.app) if place.around else ()
        if below and not any(list(installed(each)) for each in below):
            yield place


def check_installable(kit: object, transport: Transport, app: Starlette) -> None:
    """Raise ``ConfigurationError`` where a kit can't be put on an application."""
    if not isinstance(app, Starlette):
        raise ConfigurationError(f"kit.install() takes the FastAPI application, not {app!r}")
    if app.middleware_stack is not None:
        raise ConfigurationError(
            "kit.install(app) came after the application had started: call it where the application is made"
        )
    for services in installed(app):
        other = services.transport
        if services.kit is kit:
            raise ConfigurationError("This SessionKit is installed on this application already")
        if other.name == transport.name:
            raise ConfigurationError(_SAME_NAME.format(where="this application", name=transport.name))
        if other.scheme_name == transport.scheme_name:
            raise ConfigurationError(_SAME_SCHEME.format(transport.name, other.name, transport.scheme_name))


def check_mounted(app: Starlette, transport: Transport) -> None:
    """Report another kit on a mounted application that overwrites this one's token; and let redirects work there."""
    for place in places(app):
        kits = {services.kit for outer in place.around for services in installed(outer)}
        for services in installed(place.app) if place.around else ():
            if services.transport.name == transport.name and services.kit not in kits:
                logger.warning(_SAME_NAME.format(where="a mounted application", name=transport.name))
        if Redirected not in place.app.exception_handlers:
            place.app.add_exception_handler(Redirected, redirect_response)


def check_called(app: Starlette) -> None:
    """Raise ``ConfigurationError`` for a route with ``Depends(require_fresh)``.

    FastAPI would call it with what the query says, and take what it makes for the answer: nobody would be refused.
    """
    for where, call in _dependencies(app):
        name = getattr(call, "__name__", "")
        if name in _EXAMPLES and call.__module__.startswith(_PACKAGE):
            name = f"kit.{name}" if hasattr(call, "__self__") else name
            raise ConfigurationError(
                f"{where}: Depends({name}) asks nothing, for {name} only makes a dependency: write "
                f"Depends({name}({_EXAMPLES[call.__name__]}))"
            )


def check_unambiguous(app: Starlette) -> None:
    """Raise ``ConfigurationError`` for a route that asks for "the" session where there are several.

    What is added later, and what endpoints call themselves, is left to ``request_session_of``, which raises at the
    request.
    """
    for place in places(app):
        if _has_several(place):
            for where, call in _dependencies_at(place):
                if _is_of_no_kit(call):
                    name = (
                        "RouterGuard(...)" if isinstance(call, RouterGuard) else getattr(call, "__name__", repr(call))
                    )
                    raise ConfigurationError(f"{where}: {ambiguity_message(f'Depends({name})')}")


def _has_several(place: Place) -> bool:
    """Whether the innermost application that has a kit of its own has more than one.

    A kit that it shares with those around it is not asked for first here.
    """
    applications = (*place.around, place.app)
    for depth in range(len(applications), 0, -1):
        kits = {services.kit for services in installed(applications[depth - 1])}
        shared = {services.kit for outer in applications[: depth - 1] for services in installed(outer)}
        if kits - shared:
            return len(kits) > 1
    return False


def _dependencies(app: Starlette) -> Iterator[tuple[str, Any]]:
    for place in places(app):
        yield from _dependencies_at(place)


def _dependencies_at(place: Place) -> Iterator[tuple[str, Any]]:
    """What the routes of one application depend on, and the full path of each; not what is overridden."""
    for route in served_routes(place.app, without=getattr(place.app, "dependency_overrides", ())):
        for call in route.dependencies:
            yield place.at + route.template, call


def _is_of_no_kit(call: Any) -> bool:
    if isinstance(call, Required | Asked):
        return call.kit is None
    return isinstance(call, RouterGuard) or call in _OF_NO_KIT
