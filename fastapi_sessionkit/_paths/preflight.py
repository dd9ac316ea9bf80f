"""CORS preflights: they carry no session, so they pass a guard, but only to what does nothing but answer them."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from fastapi.routing import APIRoute, APIRouter, RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import Scope

_REPLACEABLE = frozenset({"app", "handle", "matches", "not_found", "build_middleware_stack"})
"""Methods of what routes a request that would be called if somebody put others in their place."""

_PASSING_ON = ("fastapi.", "fastapi_sessionkit.", "starlette.middleware.errors", "starlette.middleware.exceptions")
"""Where middleware is from that hands a preflight on unseen: what every application has, and a kit."""


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks, without credentials, what another origin may do here (Fetch, "CORS-preflight fetch")."""
    if scope.get("method") != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers


def answers_preflight(app: Any, scope: Scope) -> bool:
    """Whether OPTIONS on this path runs nothing but its answer: CORS middleware, a route for OPTIONS alone, 404 or 405.

    Anybody can send what looks like a preflight, and whatever of the application's it comes to may not look at the
    method: it would do what it does for members. So it passes only to classes of FastAPI and Starlette themselves, with
    nothing replaced. ``app`` is one whose own middleware has the request behind it.
    """
    if not isinstance(app, Starlette) or not _is_plain(app.router):
        return False
    refusing: bool | None = None  # whether the first route for other methods answers 405 and does no more
    for listed, context in _contexts(app.routes):
        route: Any = context.original_route
        match, child = context.matches(dict(scope))
        if match is not Match.NONE and not all(map(_is_plain, _routers_in(listed))):
            return False
        if match is Match.FULL and _is_known(route, Mount):
            return _mounted_answers_preflight(route.app, {**scope, **child})
        if match is Match.FULL:
            return _is_known(route, Route, APIRoute) and context.methods == {"OPTIONS"}
        if match is Match.PARTIAL and refusing is None:
            refusing = _is_known(route, Route, APIRoute)
    return refusing is not False and all(
        app.exception_handlers.get(key, http_exception_handler) is http_exception_handler
        for key in (404, 405, HTTPException)
    )


def route_answers_preflight(scope: Scope) -> bool:
    """The same where the route is found already: whether it is for OPTIONS alone."""
    route = scope.get("route")
    return isinstance(route, Route) and route.methods == {"OPTIONS"}


def _mounted_answers_preflight(app: Any, scope: Scope) -> bool:
    """The same for an application that the request has not come to yet: it first meets its middleware."""
    if not _is_known(app, Starlette, FastAPI):
        return False
    for kind in _middleware_of(app):
        if kind is CORSMiddleware:
            return True  # it answers each preflight, and hands none on
        if not getattr(kind, "__module__", "").startswith(_PASSING_ON):
            return False
    return answers_preflight(app, scope)


def _middleware_of(app: Starlette) -> Iterator[Any]:
    """The classes of an application's middleware, outermost first: as made by its first request, or as they will be."""
    layer: Any = app.middleware_stack
    if layer is None:
        yield from (each.cls for each in app.user_middleware)
        return
    while layer is not app.router:
        yield type(layer)
        layer = getattr(layer, "app", None)


def _is_known(thing: Any, *kinds: type) -> bool:
    """Whether it is of one of these classes themselves, with none of their methods replaced."""
    kind = type(thing)
    return kind in kinds and not any(hasattr(kind, name) for name in vars(thing).keys() & _REPLACEABLE)


def _is_plain(router: Router) -> bool:
    """Whether a router does no more than look for a route, and answers 404 by raising."""
    known = _is_known(router, Router, APIRouter)
    return known and router.middleware_stack == router.app and router.default == router.not_found


def _contexts(routes: list[BaseRoute]) -> Iterator[tuple[BaseRoute, RouteContext]]:
    """Every route, and what stands for it in the list: itself, or the router that was included."""
    return ((listed, context) for listed in routes for context in iter_route_contexts([listed]))


def _routers_in(listed: BaseRoute) -> Iterator[Router]:
    """The routers that are included with what stands in a list of routes."""
    router = getattr(listed, "original_router", None)
    if router is not None:
        yield router
        for route in router.routes:
            yield from _routers_in(route)
