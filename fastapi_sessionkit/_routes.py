"""What an application serves: each route's full path template, its methods, and what it depends on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import Mount

ANYTHING = "/{path:path}"


@dataclass(frozen=True, slots=True)
class Served:
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


def served(app: Starlette) -> Iterator[Served]:
    """Every route, those of included routers too; as they are now, for routes may be added later."""
    for context in iter_route_contexts(app.routes):
        yield _served(context)
    # app.frontend() keeps its routes apart, and serves what nothing else does.
    if getattr(app.router, "_low_priority_routes", ()):
        yield Served(ANYTHING, frozenset({"GET", "HEAD"}))


def _served(context: RouteContext) -> Served:
    route, path, methods = context.original_route, context.path, context.methods
    if path is None:
        return Served(ANYTHING, None)  # a Host, or a kind of route that says nothing about itself
    if isinstance(route, Mount):
        return Served(path + ANYTHING, None)
    upper = None if methods is None else frozenset(methods)
    if not isinstance(route, APIRoute):
        return Served(path, upper)
    return Served(path, upper, tuple(_calls(context.dependant)), context.path_format)


def _calls(dependant: Any) -> Iterator[Any]:
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)
