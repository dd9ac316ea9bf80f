"""What findings look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware

from .._application.kits import all_routes, guarded_routes, places
from .._application.routes import ServedRoute
from .._paths.redirects import path_of
from .._request.services import Services
from ..decisions import Choice
from ..guard import RouterGuard
from ..requirements import Requirement, all_of
from .explain import Question
from .kits import Kit
from .operations import Operation, path_regex
from .people import ANONYMOUS, Person


@dataclass(frozen=True)
class Facts:
    """An application, its kit and its gate.

    Attributes:
        app: the application.
        services: of the kit.
        kits: all of the application's, this one first.
        operations: all that the application serves.
        keys: the kit's secrets.
    """

    app: Starlette
    services: Services[Any]
    kits: tuple[Kit, ...]
    operations: list[Operation]
    keys: tuple[str, ...]

    @property
    def guard(self) -> RouterGuard | None:
        """The gate's."""
        return self.kits[0].guards.get(self.app)

    @property
    def login_pages(self) -> frozenset[str | None]:
        """Where the people of any of the kits sign in: those of the gates."""
        gates = (each.guards.get(self.app) for each in self.kits)
        return frozenset(gate.login_path for gate in gates if gate is not None)

    @cached_property
    def routes(self) -> list[ServedRoute]:
        """The application's routes, and those of all that is mounted on it."""
        return list(all_routes(self.app))

    @cached_property
    def guards(self) -> dict[RouterGuard, list[ServedRoute]]:
        """The gate's guard and those of routers, each with the routes that it guards, as it sees their paths."""
        return guarded_routes(self.app, self.guard)

    @property
    def middleware(self) -> Iterator[Middleware]:
        """That of the application, and of those mounted on it."""
        for place in places(self.app):
            yield from place.app.user_middleware

    def needed(self, page: str) -> Requirement | None:
        """What the gate, and all others who are asked, want of whom they show a page that browsers are sent to."""
        question = Question("GET", unquote(path_of(page)), Person(ANONYMOUS))
        steps = question.answer(self.app, self.operations, self.kits).steps
        needed = [step.requirement for step in steps if step.requirement is not None]
        return all_of(*needed) if needed else None

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
