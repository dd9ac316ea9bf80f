"""What findings look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware

from .._application.kits import places
from .._application.routes import ServedRoute, served_routes
from .._paths.redirects import path_of
from .._request.services import Services
from ..decisions import Choice
from ..guard import RouterGuard
from ..requirements import Requirement
from .operations import Operation, path_regex


@dataclass(frozen=True)
class Facts:
    """An application, its kit and its gate.

    Attributes:
        app: the application.
        services: of the kit.
        guard: the gate's.
        operations: all that the application serves.
        keys: the kit's secrets.
    """

    app: Starlette
    services: Services[Any]
    guard: RouterGuard | None
    operations: list[Operation]
    keys: tuple[str, ...]

    @cached_property
    def routes(self) -> list[ServedRoute]:
        """The application's own routes."""
        return list(served_routes(self.app))

    @cached_property
    def guards(self) -> dict[RouterGuard, list[ServedRoute]]:
        """The gate's guard and those of routers, each with the routes that it guards."""
        found: dict[RouterGuard, list[ServedRoute]] = {} if self.guard is None else {self.guard: self.routes}
        for route in self.routes:
            for call in route.dependencies:
                if isinstance(call, RouterGuard) and call is not self.guard:
                    found.setdefault(call, []).append(route)
        return found

    @property
    def middleware(self) -> Iterator[Middleware]:
        """That of the application, and of those mounted on it."""
        for place in places(self.app):
            yield from place.app.user_middleware

    def choice(self, guard: RouterGuard, page: str) -> Choice:
        """What a guard decides about a GET of a page that browsers are sent to."""
        path = path_of(page)
        operation = next(
            (each for each in self.operations if each.method == "GET" and path_regex(each).match(path)), None
        )
        return guard.decisions("GET").find(path).for_endpoint(public=operation is not None and operation.is_marked)

    def required(self, choice: Choice) -> Requirement | None:
        """What that asks for, or what the kit's own check does."""
        return choice.required(self.services.access)
