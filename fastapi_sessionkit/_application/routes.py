"""What an application serves: each route's full path template, its methods, and what it takes and depends on."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import PARAM_REGEX, BaseRoute, Host, Mount, Router
from starlette.types import Scope

from ..access import Segments
from ..guard import route_path
from ..markers import is_public

ANYTHING = "/{path:path}"
_LAYERS = 32  # of middleware around what is mounted: more than anybody has, and an end for what has itself as its app


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """One route.

    Attributes:
        template: the full path as Starlette writes it, with convertors.
        methods: ``None`` where the route takes any.
        dependencies: everything callable that FastAPI runs before the endpoint.
        operation: the path in OpenAPI; ``None`` for what is not documented.
        endpoint: what serves it; of a mount, what is mounted.
        original: the route as it was made, without what it was included with.
        tags: those of its operation.
    """

    template: str
    methods: frozenset[str] | None
    dependencies: tuple[Any, ...] = ()
    operation: str | None = None
    endpoint: Any = None
    original: Any = None
    tags: tuple[str, ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether its endpoint is marked ``@public``."""
        return is_public(self.endpoint)


def served_routes(app: Starlette) -> Iterator[ServedRoute]:
    """Every route, those of included routers too; as they are now, for routes may be added later."""
    yield from map(served_route, iter_route_contexts(app.routes))
    yield from served_frontends(app)


def served_frontends(app: Starlette) -> Iterator[ServedRoute]:
    """What ``frontend()`` of the application and of its included routers serves."""
    for path, frontend in _frontends(app):
        yield ServedRoute(path, frozenset({"GET", "HEAD"}), _dependencies(frontend), original=frontend)


def contexts(app: Starlette) -> Iterator[tuple[str, RouteContext]]:
    """Every route and what stands in front of its path: those of routers that are mounted, too, but of no application."""
    waiting: list[tuple[str, Router]] = [("", app.router)]
    for at, router in waiting:  # it grows by the routers that are mounted on it
        for context in iter_route_contexts(router.routes):
            yield at, context
            inner = mounted(context.original_route)
            if isinstance(inner, Router) and all(inner is not known for _, known in waiting):
                waiting.append((at + path_of(context), inner))


def dependants(app: Starlette) -> Iterator[tuple[str, Dependant]]:
    """What FastAPI serves, by its full path: operations, WebSockets, frontends. Starlette's own routes depend on nothing."""
    for at, context in contexts(app):
        dependant = getattr(in_place(context), "dependant", None)
        if dependant is not None:
            yield at + path_of(context), dependant
    for path, frontend in _frontends(app):
        if hasattr(frontend, "dependant"):
            yield path, frontend.dependant


def mounted(route: BaseRoute) -> Starlette | Router | None:
    """The application or the router that a mount leads to, whatever middleware is around it."""
    inner: Any = route
    if isinstance(inner, Mount | Host):
        for _ in range(_LAYERS):
            inner = getattr(inner, "app", None)
            if isinstance(inner, Starlette | Router):
                return inner
    return None


def path_of(context: RouteContext) -> str:
    """The path of a route as it is included; none of a ``Host``."""
    return getattr(in_place(context), "path", None) or ""


def parameters_of(path: str) -> frozenset[str]:
    """The names of a path's parameters, as a route writes it."""
    return frozenset(name for name, _ in PARAM_REGEX.findall(path))


def host_parameters(app: Starlette) -> Iterator[str]:
    """The names of the parameters in the hosts of the application's ``Host`` routes: no path shows them."""
    for _, context in contexts(app):
        if isinstance(context.original_route, Host):
            yield from context.original_route.param_convertors


def path_segments(scope: Scope) -> Segments:
    """The path parameters of the route that was found, as text.

    A converter other than ``str`` and ``path`` has many texts for one value: ``007`` is 7 to ``{id:int}``. Only the one
    that the value itself is written as counts, and a parameter that came as another one is left out.
    """
    found = scope.get("path_params") or {}
    return MappingProxyType(
        {name: str(value) for name, value in found.items() if isinstance(value, str) or _is_plain(scope, name, value)}
    )


def _is_plain(scope: Scope, name: str, value: object) -> bool:
    """Whether a converted value is written in the path as Python writes it."""
    path, endpoint = route_path(scope), scope.get("endpoint")
    routes = (in_place(context) for _, context in contexts(scope["app"]))
    matches = [route.path_regex.match(path) for route in routes if getattr(route, "endpoint", None) is endpoint]
    return {match[name] for match in matches if match and name in match.groupdict()} == {str(value)}


def keepers_of_routes(app: Starlette) -> Iterator[tuple[Any, str]]:
    """What keeps routes, or what they lead to, and in which attribute: of the application, its routers, and all below."""
    found: list[Any] = [app]
    for keeper in found:  # it grows by what is included and mounted in what is looked at
        below: Iterable[Any] = ()
        if isinstance(keeper, Starlette):
            yield from ((keeper, "router"), (keeper, "user_middleware"))  # among which are its kits
            below = (keeper.router,)
        else:
            yield keeper, "routes"
        if isinstance(keeper, Router):
            below = (getattr(route, "original_router", None) or mounted(route) for route in keeper.routes)
            yield from ((route, "app") for route in keeper.routes if isinstance(route, Mount | Host))
        frontends = getattr(keeper, "_low_priority_routes", None)  # FastAPI's
        if frontends is not None:
            yield keeper, "_low_priority_routes"
            below = (*below, *(each for each in frontends if hasattr(each, "routes")))
        found += [each for each in below if each is not None and all(each is not known for known in found)]


def served_route(context: RouteContext) -> ServedRoute:
    """One route, with the prefix and the dependencies of where it is included."""
    route = in_place(context)
    path, methods = getattr(route, "path", None), getattr(route, "methods", None)
    if path is None:
        # A Host, or a kind of route that says nothing about itself.
        return ServedRoute(ANYTHING, None, endpoint=getattr(route, "app", None), original=context.original_route)
    if isinstance(context.original_route, Mount):
        inner = context.original_route.app
        return ServedRoute(path + ANYTHING, None, endpoint=inner, original=context.original_route)
    upper = None if methods is None else frozenset(methods)
    documented = isinstance(context.original_route, APIRoute) and route.include_in_schema
    operation = context.path_format if documented else None
    return ServedRoute(
        path,
        upper,
        _dependencies(route),
        operation,
        getattr(route, "endpoint", None),
        context.original_route,
        tuple(str(getattr(tag, "value", tag)) for tag in getattr(route, "tags", None) or ()),
    )


def in_place(context: RouteContext) -> Any:
    """The route with the prefix and the dependencies of where it is included.

    The context itself, but before FastAPI 0.143.1 that is empty for whatever is no operation.
    """
    return getattr(context, "starlette_route", None) or context


def _frontends(app: Starlette) -> Iterator[tuple[str, Any]]:
    """What ``frontend()`` of the application and of included routers serves, which FastAPI keeps apart from its routes.

    Any path below its own: which files are there may change, and with a fallback each path has an answer. FastAPI has
    no public way to ask; a kind that is not known counts as serving anything.
    """
    for found in getattr(app.router, "_iter_low_priority_routes", tuple)():
        group = getattr(found, "original_route", found)  # an included router's is wrapped, together with the prefix
        prefix = getattr(found, "frontend_prefix", "")
        paths = [route.path for route in group.routes] if hasattr(group, "routes") else [""]
        for path in paths:
            yield (prefix + path).rstrip("/") + ANYTHING, found


def _dependencies(route: Any) -> tuple[Any, ...]:
    """Those of what FastAPI serves: operations, WebSockets, frontends. Starlette's own routes have none."""
    dependant = getattr(route, "dependant", None)
    return () if dependant is None else tuple(each.call for each in below(dependant))


def below(dependant: Dependant, overridden: Container[Any] = ()) -> Iterator[Dependant]:
    """Everything that it depends on; not what is overridden, nor what only that depends on."""
    for dependency in dependant.dependencies:
        if dependency.call not in overridden:
            yield dependency
            yield from below(dependency, overridden)
