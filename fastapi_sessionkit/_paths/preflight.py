"""CORS preflights: they carry no session, so they pass a guard, but only to what does nothing but answer them."""

from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from fastapi.routing import APIRouter, iter_route_contexts
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match, Mount, Route, Router
from starlette.types import Scope

from .._request.lookup import installed

_CALLS = {Starlette.__call__, FastAPI.__call__}
_STACKS = {Starlette.build_middleware_stack, FastAPI.build_middleware_stack}
_ROUTINGS = {Router.app, APIRouter.app}


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks, without credentials, what another origin may do here (Fetch, "CORS-preflight fetch")."""
    if scope.get("method") != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers


def answers_preflight(app: Any, scope: Scope) -> bool:
    """Whether OPTIONS on this path runs nothing but its answer: CORS middleware, a route for OPTIONS alone, 404 or 405.

    Anybody can send what looks like a preflight, and whatever of the application's it comes to may not look at the
    method: it would do what it does for members. ``app`` is one whose own middleware has the request behind it.
    """
    if not isinstance(app, Starlette) or not _is_plain(app.router):
        return False
    for context in iter_route_contexts(app.routes):
        route, (match, child) = context.original_route, context.matches(dict(scope))
        if match is Match.FULL and isinstance(route, Mount):
            return _mounted_answers_preflight(route.app, {**scope, **child})
        if match is Match.FULL:
            return isinstance(route, Route) and context.methods == {"OPTIONS"}
    return all(
        app.exception_handlers.get(key, http_exception_handler) is http_exception_handler
        for key in (404, 405, HTTPException)
    )


def _mounted_answers_preflight(app: Any, scope: Scope) -> bool:
    """The same for an application that the request has not come to yet: it first meets its middleware."""
    kind = type(app)
    if kind.__call__ not in _CALLS or kind.build_middleware_stack not in _STACKS:
        return False
    outermost: Any = app.user_middleware[0].cls if app.user_middleware else None
    if outermost is CORSMiddleware:
        return True  # it answers each preflight, and hands none on
    return len(app.user_middleware) == len(list(installed(app))) and answers_preflight(app, scope)


def _is_plain(router: Router) -> bool:
    """Whether a router does no more than look for a route, and answers 404 by raising."""
    routed = router.middleware_stack == router.app and type(router).__call__ is Router.__call__
    return routed and type(router).app in _ROUTINGS and router.default == router.not_found


def route_answers_preflight(scope: Scope) -> bool:
    """The same where the route is found already: whether it is for OPTIONS alone."""
    route = scope.get("route")
    return isinstance(route, Route) and route.methods == {"OPTIONS"}
