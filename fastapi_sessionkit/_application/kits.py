"""Which kits an application has, and what is mounted on it."""

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Router
from starlette.types import Scope

from .._paths.denial import Redirected, redirect_response
from .._request.lookup import installed
from .._request.mapping import SECOND, RequestData
from .._request.services import Services
from ..errors import ConfigurationError
from ..guard import RouterGuard
from ..markers import leads_to_public
from ..transport import Transport
from .answering import routes_as_known
from .routes import ANYTHING, ServedRoute, contexts, mounted, path_of, served_frontends, served_route

logger: logging.Logger = logging.getLogger(__name__)

_SAME_NAME = (
    "Another SessionKit on {where} uses the cookie {name!r}: give each a name of its own, "
    'SessionKit(name="staff"), which names its cookie where CookieSettings(name=...) does not'
)
_SAME_SCHEME = (
    "OpenAPI can't tell the cookie {!r} from another SessionKit's {!r} on this application: both would be {}. Give each "
    'a name of its own, SessionKit(name="staff"), or CookieSettings(name="staff")'
)
_SAME_STORE = (
    "Two SessionKits on this application, {!r} and {!r}, keep their sessions in one store: kit.sessions of each lists, changes "
    "and ends the other's wherever a user of both has the same id. Give each a store of its own: another MemoryStore(), "
    "another table_name=..., another prefix=..."
)
_NAMES_A_COOKIE = ("session_cookie", "cookie_name")
"""What middleware of sessions calls the setting: Starlette's the first, starsessions the second, as do those against CSRF."""


@dataclass(frozen=True, slots=True)
class Place:
    """An application, and where it is mounted: the path, and the applications around it, outermost first, and their paths."""

    app: Starlette
    at: str = ""
    around: tuple[Starlette, ...] = ()
    mounts: tuple[str, ...] = ()


def places(app: Starlette) -> Iterator[Place]:
    """The application and all that is mounted below it; no application inside itself once more."""
    waiting = [Place(app)]
    for place in waiting:  # it grows by what is mounted on what is looked at
        yield place
        around, mounts = (*place.around, place.app), (*place.mounts, place.at)
        for at, context in contexts(place.app):
            inner = mounted(context.original_route)
            if isinstance(inner, Starlette) and inner not in around:
                waiting.append(Place(inner, place.at + at + path_of(context), around, mounts))


def sharing(app: Starlette) -> Iterator[Place]:
    """The applications below this one that use its kits, for neither they nor those between have any."""
    for place in places(app):
        below = (*place.around[1:], place.app) if place.around else ()
        if below and not any(list(installed(each)) for each in below):
            yield place


def routes_below(app: Starlette) -> Iterator[tuple[str, Place, ServedRoute]]:
    """Every route of the application and of all that is mounted on it, with the path that it is mounted at.

    What is mounted and has routes of its own stands for itself; any other mount is a route.
    """
    for place in places(app):
        for at, context in contexts(place.app):
            if not _is_followed(mounted(context.original_route)):
                yield place.at + at, place, served_route(context)
        yield from ((place.at, place, route) for route in served_frontends(place.app))


def _is_followed(inner: Starlette | Router | None) -> bool:
    """Whether the routes of what is mounted are all that it serves."""
    router = inner.router if isinstance(inner, Starlette) else inner
    return router is not None and routes_as_known(router)


def all_routes(app: Starlette) -> Iterator[ServedRoute]:
    """The same with their full paths, and mounts that have no route yet: they may get some when they start."""
    for at, _, route in routes_below(app):
        yield replace(route, template=at + route.template)
    for place in places(app):
        if place.around and not place.app.routes:
            yield ServedRoute(place.at + ANYTHING, None)


def guarded_routes(app: Starlette, gate: RouterGuard | None) -> dict[RouterGuard, list[ServedRoute]]:
    """The guard of the gate and those of routers, mounted ones too, each with the routes that it guards as it sees them."""
    found: dict[RouterGuard, list[ServedRoute]] = {} if gate is None else {gate: list(all_routes(app))}
    for _, _, route in routes_below(app):
        for call in route.dependencies:
            if isinstance(call, RouterGuard) and call is not gate:
                found.setdefault(call, []).append(route)
    return found


def check_installable(services: Services[Any], app: Starlette, beside: Sequence[Services[Any]] = ()) -> None:
    """Raise ``ConfigurationError`` where a kit can't be put on an application, beside others that are about to be."""
    if not isinstance(app, Starlette):
        raise ConfigurationError(f"kit.install() takes the FastAPI application, not {app!r}")
    if app.middleware_stack is not None:
        raise ConfigurationError(
            "kit.install(app) came after the application had started: call it where the application is made"
        )
    transport = services.transport
    for others in (*installed(app), *beside):
        other = others.transport
        if others.kit is services.kit:
            raise ConfigurationError("This SessionKit is installed on this application already")
        if other.name == transport.name:
            raise ConfigurationError(_SAME_NAME.format(where="this application", name=transport.name))
        if other.scheme_name == transport.scheme_name:
            raise ConfigurationError(_SAME_SCHEME.format(transport.name, other.name, transport.scheme_name))


def check_one_mapping(app: Starlette) -> None:
    """Raise ``ConfigurationError`` where the application has other middleware that gives ``request.session``."""
    for middleware in app.user_middleware:
        name = getattr(middleware.cls, "__name__", "")
        if (
            name == "SessionMiddleware" and "services" not in middleware.kwargs
        ):  # Starlette's or starsessions', not ours
            raise ConfigurationError(SECOND.format(f"{middleware.cls.__module__}.{name}"))


def has_mapping(app: Starlette) -> bool:
    """Whether a kit of the application gives ``request.session``."""
    return any(issubclass(services.codec.model, RequestData) for services in installed(app))


def gate_of(app: object, kit: object) -> tuple[RouterGuard | None, Callable[[Scope], bool]]:
    """The guard that a kit is installed with, and what tells whether a request comes to an endpoint that is ``@public``."""
    for middleware in app.user_middleware if isinstance(app, Starlette) else ():
        given: Mapping[str, Any] = middleware.kwargs
        services = given.get("services")
        if isinstance(services, Services) and services.kit is kit:
            guard: Any = given["guard"]
            public_endpoints: Any = given["public_endpoints"]
            return guard, public_endpoints
    return None, leads_to_public


def clashes(app: Starlette, transport: Transport) -> Iterator[str]:
    """What other middleware, of the application or of what is mounted on it, overwrites the kit's cookie with its own."""
    for place in places(app):
        for middleware in place.app.user_middleware:
            if transport.name in cookies_of(middleware):
                name = getattr(middleware.cls, "__name__", repr(middleware.cls))
                yield (
                    f"{name} uses the cookie {transport.name!r}, which is the SessionKit's: each overwrites what the other "
                    'keeps there. Give one of them another name, such as CookieSettings(name="login")'
                )


def shared_stores(app: Starlette, services: Services[Any]) -> Iterator[str]:
    """Which kits that were installed before keep the sessions of users in the store of this one."""
    for other in takewhile(lambda each: each.kit is not services.kit, installed(app)):
        store = getattr(services.backend, "store", None)
        is_of_users = not (services.anonymous or other.anonymous)
        if is_of_users and store is not None and store is getattr(other.backend, "store", None):
            yield _SAME_STORE.format(other.transport.name, services.transport.name)


def cookies_of(middleware: Middleware) -> list[object]:
    """The names of cookies among what a middleware is made with, its defaults included."""
    try:
        given = inspect.signature(middleware.cls).bind(None, *middleware.args, **middleware.kwargs)
    except (TypeError, ValueError):  # it has no signature to ask, or will not be made at all
        return []
    given.apply_defaults()
    return [given.arguments.get(name) for name in _NAMES_A_COOKIE]


def check_mounted(app: Starlette, transport: Transport) -> None:
    """Report another kit on a mounted application that overwrites this one's token; and let redirects work there."""
    for place in places(app):
        kits = {services.kit for outer in place.around for services in installed(outer)}
        for services in installed(place.app) if place.around else ():
            if services.transport.name == transport.name and services.kit not in kits:
                logger.warning(_SAME_NAME.format(where="a mounted application", name=transport.name))
        if Redirected not in place.app.exception_handlers:
            place.app.add_exception_handler(Redirected, redirect_response)
