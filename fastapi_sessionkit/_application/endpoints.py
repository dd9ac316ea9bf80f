"""Which endpoint a request will come to, asked of the routes before the request is routed.

The gate stands in front of routing, and ``@public`` on an endpoint is its business. So it asks every route in the order
of the router, as that will. Whatever routes in a way of its own is not followed, and its endpoint counts as not marked.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Match, Mount, Router, compile_path
from starlette.types import Scope

from ..guard import route_path
from ..markers import is_public
from .kits import routes_below
from .routes import in_place, keepers_of_routes, mounted

_REMEMBERED, _REMEMBERED_LENGTH = 1_024, 256
"""How many answers are remembered, and how long a path may be: invented paths can't fill the memory."""

_KNOWN = ("fastapi.", "starlette.")

_Request = tuple[str, str, str, str]
"""Type, method, root path and path: all that the routes of FastAPI and Starlette look at, but for ``Host``."""


class PublicEndpoints:
    """Whether requests to one application come to an endpoint that is marked ``@public``."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._marked: list[re.Pattern[str]] = []
        self._paths_tell = False
        self._remembered: Callable[[_Request], bool] = self._look

    def look_again(self) -> None:
        """Forget what was found, for the application is complete, or its routes have changed."""
        self._remembered = lru_cache(_REMEMBERED)(self._look)
        marked = {at + route.template for at, _, route in routes_below(self._app) if route.is_public}
        self._marked = [compile_path(template)[0] for template in marked]
        routers = [keeper for keeper, name in keepers_of_routes(self._app) if name == "routes"]
        self._paths_tell = all(_matches_by_path(route) for router in routers for route in router.routes)

    def __call__(self, scope: Scope) -> bool:
        """Whether this request comes to a marked endpoint; in doubt it does not."""
        if not self._marked or not self._may_be_marked(route_path(scope)):
            return False
        request = (scope["type"], scope.get("method", "GET"), scope.get("root_path", ""), scope["path"])
        if self._paths_tell and sum(map(len, request)) <= _REMEMBERED_LENGTH:
            return self._remembered(request)
        return self._finds_public(scope)

    def _may_be_marked(self, path: str) -> bool:
        """Whether a marked endpoint has such a path at all: for other paths there is no need to ask every route."""
        return any(known.match(path) or known.match(_other_spelling(path)) for known in self._marked)

    def _look(self, request: _Request) -> bool:
        return self._finds_public(dict(zip(("type", "method", "root_path", "path"), request, strict=True)))

    def _finds_public(self, scope: Scope) -> bool:
        try:
            # A copy, for FastAPI's routes note in the scope what they are asked about.
            return _leads_to_public(self._app.router, {"headers": [], **scope})
        except Exception:  # noqa: BLE001 - a convertor of the application's raised: routing will say so, to those let in
            return False


def _leads_to_public(router: Router, scope: Scope) -> bool:
    if not _is_known(router, "app", "handle", "matches", "__call__"):
        return False
    missed = True
    for listed in router.routes:
        match, _ = listed.matches(scope)
        if match is Match.FULL:
            return _is_public_route(listed, scope)
        missed = missed and match is Match.NONE
    return missed and _is_redirected_to_public(router, scope)


def _is_public_route(listed: BaseRoute, scope: Scope) -> bool:
    """Whether the route that answers is marked; for an included router the first of its routes that does."""
    for context in iter_route_contexts([listed]):
        if context.original_route is not listed and not _is_known(context.original_route, "matches"):
            return False  # asked without the router that it is included with, it would say something else
        route = in_place(context)
        match, child = route.matches(scope)
        if match is Match.FULL:
            return _is_public_endpoint(context, {**scope, **child})
    return False


def _is_public_endpoint(context: RouteContext, scope: Scope) -> bool:
    inner = mounted(context.original_route)
    if inner is None:
        return is_public(_endpoint(context))
    if isinstance(inner, FastAPI) and inner.root_path:
        scope["root_path"] = inner.root_path
    return _leads_to_public(inner.router if isinstance(inner, Starlette) else inner, scope)


def _is_redirected_to_public(router: Router, scope: Scope) -> bool:
    """Whether the router would send the request on to the same path with or without its last slash."""
    path = scope["path"]
    if scope["type"] != "http" or not router.redirect_slashes or route_path(scope) == "/":
        return False
    other = {**scope, "path": _other_spelling(path)}
    for listed in router.routes:
        match, _ = listed.matches(other)
        if match is not Match.NONE:
            return match is Match.FULL and _is_public_route(listed, other)
    return False


def _other_spelling(path: str) -> str:
    return path.rstrip("/") if path.endswith("/") else f"{path}/"


def _endpoint(context: RouteContext) -> Any:
    is_mount = isinstance(context.original_route, Mount | Host)
    return getattr(in_place(context), "app" if is_mount else "endpoint", None)


def _matches_by_path(route: BaseRoute) -> bool:
    return not isinstance(route, Host) and _is_known(route, "matches")


def _is_known(thing: Any, *methods: str) -> bool:
    """Whether these methods are FastAPI's or Starlette's own, replaced neither in a subclass nor in the object."""
    kind = type(thing)
    return all(
        name not in getattr(thing, "__dict__", ()) and getattr(kind, name).__module__.startswith(_KNOWN)
        for name in methods
        if hasattr(kind, name)
    )
