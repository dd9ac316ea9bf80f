"""Which route a request will come to, asked of the routes before the request is routed.

Every route is asked in the order of the router, as the router will. Whatever routes in a way of its own is not followed.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Match, Mount, Router
from starlette.types import Scope

from .._paths.routed import route_path
from .routes import in_place, mounted, path_of

_KNOWN = ("fastapi.", "starlette.")


@dataclass(frozen=True, slots=True)
class Way:
    """The way of a request to its route.

    Attributes:
        path: the request's path as the last router sees it.
        at: where that router is mounted, as routes write it.
        through: the applications that it passes, outermost first, each with the path as it sees it.
        context: the route that it comes to; ``None`` where there is none, or where nobody can tell.
        is_redirected: whether the router sends it on to the same path with or without its last slash, and that comes there.
        is_lost: whether something routes in a way of its own, or by a host that is not said, so that nobody can tell.
    """

    path: str
    at: str = ""
    through: tuple[tuple[Starlette, str], ...] = ()
    context: RouteContext | None = field(default=None, compare=False)
    is_redirected: bool = False
    is_lost: bool = False

    @property
    def endpoint(self) -> Any:
        """What answers there; ``None`` for nothing."""
        if self.context is None:
            return None
        is_mount = isinstance(self.context.original_route, Mount | Host)
        return getattr(in_place(self.context), "app" if is_mount else "endpoint", None)


def way_of(app: Starlette, scope: Scope) -> Way:
    """The way that a request to an application takes."""
    path = route_path(scope)
    # A copy, for FastAPI's routes note in the scope what they are asked about.
    return _way_in(app.router, {"headers": [], **scope}, Way(path, through=((app, path),)))


def _way_in(router: Router, scope: Scope, way: Way) -> Way:
    if not routes_as_known(router):
        return replace(way, is_lost=True)
    found = _way_as_spelled(router, scope, way)
    if found is None and scope["type"] == "http" and router.redirect_slashes and way.path != "/":
        other = _way_as_spelled(router, {**scope, "path": other_spelling(scope["path"])}, way)
        found = other and replace(other, is_redirected=True)
    has_hosts = any(isinstance(each.original_route, Host) for each in iter_route_contexts(router.routes))
    return found or replace(way, is_lost=has_hosts)


def _way_as_spelled(router: Router, scope: Scope, way: Way) -> Way | None:
    """``None`` where no route has such a path, whatever the method."""
    missed = True
    for listed in router.routes:
        match, _ = listed.matches(scope)
        if match is Match.FULL:
            return _way_by(listed, scope, way)
        missed = missed and match is Match.NONE
    return None if missed else way


def _way_by(listed: BaseRoute, scope: Scope, way: Way) -> Way:
    """By the route that answers; of an included router by the first of its routes that does."""
    for context in iter_route_contexts([listed]):
        if context.original_route is not listed and not is_known(context.original_route, "matches"):
            # Asked without the router that it is included with, it would say something else.
            return replace(way, is_lost=True)
        route = in_place(context)
        match, child = route.matches(scope)
        if match is Match.FULL:
            return _way_to(context, {**scope, **child}, way)
    return way


def _way_to(context: RouteContext, scope: Scope, way: Way) -> Way:
    inner = mounted(context.original_route)
    if inner is None:
        return replace(way, context=context)
    if isinstance(inner, FastAPI) and inner.root_path:
        scope["root_path"] = inner.root_path
    path = route_path(scope)
    below = replace(way, path=path, at=way.at + path_of(context))
    if not isinstance(inner, Starlette):
        return _way_in(inner, scope, below)
    return _way_in(inner.router, scope, replace(below, through=(*way.through, (inner, path))))


def routes_as_known(router: Router) -> bool:
    """Whether a router asks its routes as FastAPI's and Starlette's do."""
    return is_known(router, "app", "handle", "matches", "__call__")


def other_spelling(path: str) -> str:
    """The path with its last slash, or without."""
    return path.rstrip("/") if path.endswith("/") else f"{path}/"


def is_known(thing: Any, *methods: str) -> bool:
    """Whether these methods are FastAPI's or Starlette's own, replaced neither in a subclass nor in the object."""
    kind = type(thing)
    return all(
        name not in getattr(thing, "__dict__", ()) and getattr(kind, name).__module__.startswith(_KNOWN)
        for name in methods
        if hasattr(kind, name)
    )
