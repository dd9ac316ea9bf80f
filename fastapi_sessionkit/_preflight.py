"""CORS preflights: they carry no session, so they pass a guard, but only to what does nothing but answer them."""

from typing import Any

from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match, Mount, Route
from starlette.types import Scope


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks, without credentials, what another origin may do here (Fetch, "CORS-preflight fetch")."""
    if scope.get("method") != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers


def answers_preflight(app: Any, scope: Scope) -> bool:
    """Whether OPTIONS on this path runs nothing but its answer: CORS middleware, a route for OPTIONS alone, 404 or 405.

    Anybody can send what looks like a preflight, and a mounted application of another kind may not look at the method:
    it would do what it does for members.
    """
    if not isinstance(app, Starlette):
        return False
    for context in iter_route_contexts(app.routes):
        route, (match, child) = context.original_route, context.matches(dict(scope))
        if match is Match.FULL and isinstance(route, Mount):
            inner = route.app
            cors = any(each.cls is CORSMiddleware for each in getattr(inner, "user_middleware", ()))
            return cors or answers_preflight(inner, {**scope, **child})
        if match is Match.FULL:
            return isinstance(route, Route) and context.methods == {"OPTIONS"}
    return app.router.default == app.router.not_found


def route_answers_preflight(scope: Scope) -> bool:
    """The same where the route is found already: whether it is for OPTIONS alone."""
    route = scope.get("route")
    return isinstance(route, Route) and route.methods == {"OPTIONS"}
