"""What an application serves: each route's full path template, its methods, and what it depends on."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import Mount

ANYTHING = "/{path:path}"


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """One route.

    Attributes:
        template: the full path as Starlette writes it, with convertors.
        methods: ``None`` where the route takes any.
        dependencies: everything callable that FastAPI runs before the endpoint.
        operation: the path in OpenAPI; ``None`` for what is not documented.
    """

    template: str
    methods: frozenset[str] | None
    dependencies: tuple[Any, ...] = ()
    operation: str | None = None


def served_routes(app: Starlette, without: Container[Any] = ()) -> Iterator[ServedRoute]:
    """Every route, those of included routers too; as they are now, for routes may be added later.

    Args:
        app: the application.
        without: dependencies that don't count, with all that they depend on: those that are overridden.
    """
    for context in iter_route_contexts(app.routes):
        yield _served_route(context, without)
    yield from _frontends(app, without)


def _served_route(context: RouteContext, without: Container[Any]) -> ServedRoute:
    route = in_place(context)
    path, methods = getattr(route, "path", None), getattr(route, "methods", None)
    if path is None:
        return ServedRoute(ANYTHING, None)  # a Host, or a kind of route that says nothing about itself
    if isinstance(context.original_route, Mount):
        return ServedRoute(path + ANYTHING, None)
    upper = None if methods is None else frozenset(methods)
    documented = isinstance(context.original_route, APIRoute) and route.include_in_schema
    operation = context.path_format if documented else None
    return ServedRoute(path, upper, _dependencies(route, without), operation)


def in_place(context: RouteContext) -> Any:
    """The route with the prefix and the dependencies of where it is included.

    The context itself, but before FastAPI 0.143.1 that is empty for whatever is no operation.
    """
    return getattr(context, "starlette_route", None) or context


def _frontends(app: Starlette, without: Container[Any]) -> Iterator[ServedRoute]:
    """What ``frontend()`` of the application and of included routers serves, which FastAPI keeps apart from its routes.

    Any path below its own: which files are there may change, and with a fallback each path has an answer. FastAPI has
    no public way to ask; a kind that is not known counts as serving anything.
    """
    for found in getattr(app.router, "_iter_low_priority_routes", tuple)():
        group = getattr(found, "original_route", found)  # an included router's is wrapped, together with the prefix
        prefix = getattr(found, "frontend_prefix", "")
        paths = [route.path for route in group.routes] if hasattr(group, "routes") else [""]
        for path in paths:
            yield ServedRoute(
                (prefix + path).rstrip("/") + ANYTHING, frozenset({"GET", "HEAD"}), _dependencies(found, without)
            )


def _dependencies(route: Any, without: Container[Any]) -> tuple[Any, ...]:
    """Those of what FastAPI serves: operations, WebSockets, frontends. Starlette's own routes have none."""
    dependant = getattr(route, "dependant", None)
    return () if dependant is None else tuple(_calls(dependant, without))


def _calls(dependant: Any, without: Container[Any]) -> Iterator[Any]:
    for dependency in dependant.dependencies:
        if dependency.call not in without:
            yield dependency.call
            yield from _calls(dependency, without)
