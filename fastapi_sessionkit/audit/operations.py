"""What an application serves, and what each of it needs: what the gate, the guards of routers and the dependencies say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Mount, WebSocketRoute, compile_path
from starlette.staticfiles import StaticFiles

from .._application.kits import Place, routes_below
from .._application.routes import ServedRoute
from ..guard import RouterGuard
from ..openapi import Case, Said, together
from ..requirements import Requirement
from ..rules import Rule
from .formulas import OPEN_TEXT, Formula, formula_of
from .kits import Kit, asked_by

ANY_METHOD = "*"
WEBSOCKET = "WEBSOCKET"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path, and what it needs.

    Attributes:
        method: ``"WEBSOCKET"`` for a handshake, ``"*"`` for every method that has no line of its own.
        path: the full path, as the route writes it: ``/users/{user_id:int}``.
        kind: ``"operation"``, ``"websocket"``, ``"page"`` (of the documentation), ``"static"``, ``"mount"``,
            ``"frontend"``, or ``"route"`` for one of Starlette's.
        name: what the endpoint is called.
        tags: those of the operation.
        is_marked: whether its endpoint is marked ``@public``.
        cases: what it needs, by path: the last case is about all paths that no other one is about.
        route: the route, with its path below ``at``.
        at: the path of the application or router that it is mounted with.
        asking: the guards of its routers and its other dependencies, in order, each with the kit that it asks.
    """

    method: str
    path: str
    kind: str
    name: str
    tags: tuple[str, ...]
    is_marked: bool
    cases: tuple[Case, ...]
    route: ServedRoute = field(repr=False, compare=False)
    at: str = field(repr=False, compare=False)
    asking: tuple[tuple[Any, Kit], ...] = field(repr=False, compare=False)

    @property
    def certain(self) -> bool:
        """Whether all of its paths need the same."""
        return len(self.cases) == 1

    @property
    def open(self) -> bool:
        """Whether everybody may call it, on one of its paths at least."""
        return any(case.requirement is None for case in self.cases)

    @property
    def needs(self) -> str:
        """What it needs, in words: ``role:admin``, ``open``, or path by path."""
        if self.certain:
            return in_words(self.cases[0].requirement)
        return "; ".join(
            f"{f'at {case.where}' if case.where else 'otherwise'}: {in_words(case.requirement)}" for case in self.cases
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that decide about it, each once."""
        found = (said.choice.rule for said in self.said if said.choice is not None)
        return tuple(dict.fromkeys(rule for rule in found if rule is not None))

    @property
    def rule(self) -> str | None:
        """Those rules as text; ``None`` where none matches."""
        return ", ".join(map(str, self.rules)) or None

    @property
    def said_by(self) -> tuple[str, ...]:
        """Who asks for something: ``"gate"``, ``"router"``, ``"dependency"``."""
        asking = {said.by for said in self.said if said.requirement is not None}
        return tuple(by for by in ("gate", "router", "dependency") if by in asking)

    @property
    def said(self) -> Iterator[Said]:
        """What everybody says who decides about it, path by path."""
        for case in self.cases:
            yield from case.said

    @property
    def formulas(self) -> tuple[tuple[str | None, Formula], ...]:
        """What it needs, path by path, to be compared."""
        return tuple((case.where, formula_of(case.requirement)) for case in self.cases)


def operations_of(app: Starlette, kits: tuple[Kit, ...]) -> list[Operation]:
    """Everything that an application serves, mounted applications included, by path and method.

    Args:
        app: the application.
        kits: its kits, the audited one first.
    """
    found: dict[Operation, None] = {}
    for at, place, route in routes_below(app):
        asking = _asking(place, route, kits)
        for method, cases in _cases_by_method(route, [_Asked(kit, place, at, route, asking) for kit in kits]):
            kind = _kind(route, at, place)
            made = Operation(
                method=WEBSOCKET if kind == "websocket" else method,
                path=at + route.template,
                kind=kind,
                name=getattr(route.endpoint, "__name__", type(route.endpoint).__name__ if route.endpoint else ""),
                tags=route.tags,
                is_marked=route.is_public,
                cases=cases,
                route=route,
                at=at,
                asking=asking,
            )
            found[made] = None
    return sorted(found, key=lambda each: (each.path, each.method))


def _asking(place: Place, route: ServedRoute, kits: tuple[Kit, ...]) -> tuple[tuple[Any, Kit], ...]:
    """The dependencies of a route, each with the kit that it asks, if it asks any."""
    found = ((call, asked_by(kits, place, call)) for call in route.dependencies)
    return tuple((call, kit) for call, kit in found if kit is not None)


class _Asked:
    """One kit, asked about one route."""

    def __init__(
        self, kit: Kit, place: Place, at: str, route: ServedRoute, asking: tuple[tuple[Any, Kit], ...]
    ) -> None:
        self.kit = kit
        self.gates = list(kit.gates(place, at))
        self.route = replace(route, dependencies=tuple(call for call, asked in asking if asked is kit))

    @property
    def guards(self) -> Iterator[RouterGuard]:
        yield from (guard for guard, _ in self.gates)
        yield from (call for call in self.route.dependencies if isinstance(call, RouterGuard))

    def cases(self, method: str) -> list[Case]:
        return self.kit.cases(self.route, method, self.gates)


def _cases_by_method(route: ServedRoute, asked: list[_Asked]) -> Iterator[tuple[str, tuple[Case, ...]]]:
    """What each method needs. A method that needs what the one for all others does has no line of its own."""
    if isinstance(route.original, WebSocketRoute):
        yield "GET", _cases(asked, "GET")
        return
    methods = _methods(route)
    if methods is not None:
        by_method = {method: _cases(asked, method) for method in methods}
        if by_method.get("HEAD") is not None and _same(by_method.get("GET"), by_method["HEAD"]):
            del by_method["HEAD"]
        yield from by_method.items()
        return
    others = _cases(asked, "")
    rules = [rule for each in asked for guard in each.guards for rule in guard.rules]
    for method in sorted({name for rule in rules for name in rule.methods or ()}):
        own = _cases(asked, method)
        if not _same(own, others):
            yield method, own
    yield ANY_METHOD, others


def _cases(asked: list[_Asked], method: str) -> tuple[Case, ...]:
    """The cases of one method. One that needs what the others do says nothing of its own."""
    found = list(together([each.cases(method) for each in asked]))
    if all(_asks_alike(each, found[-1]) for each in found):
        return (found[-1],)
    return tuple(found)


def _asks_alike(one: Case, other: Case) -> bool:
    rules = [[said.choice and said.choice.rule for said in each.said] for each in (one, other)]
    return one.requirement == other.requirement and rules[0] == rules[1]


def _same(one: tuple[Case, ...] | None, other: tuple[Case, ...]) -> bool:
    return one is not None and [(each.where, each.requirement) for each in one] == [
        (each.where, each.requirement) for each in other
    ]


def _methods(route: ServedRoute) -> list[str] | None:
    """The methods that it answers, in their usual order; ``None`` for any."""
    methods = route.methods
    if methods is None and isinstance(route.endpoint, type) and issubclass(route.endpoint, HTTPEndpoint):
        methods = frozenset(name for name in _METHODS if hasattr(route.endpoint, name.lower()))
    if methods is None and isinstance(route.endpoint, StaticFiles):
        methods = frozenset({"GET", "HEAD"})
    return None if methods is None else sorted(methods, key=lambda name: (name not in _METHODS, name))


def answers_head(route: ServedRoute) -> bool:
    """Whether what answers GET answers HEAD too: Starlette's routes do, FastAPI's only where they say so."""
    return "HEAD" in (route.methods or _methods(route) or ()) or isinstance(route.endpoint, type)


def _kind(route: ServedRoute, at: str, place: Place) -> str:
    original, app = route.original, place.app
    if isinstance(original, WebSocketRoute):
        return "websocket"
    if isinstance(original, APIRoute):
        return "operation"
    if isinstance(original, Mount):
        return "static" if isinstance(route.endpoint, StaticFiles) else "mount"
    if isinstance(app, FastAPI) and at == place.at:
        pages = (app.docs_url, app.redoc_url, app.openapi_url, app.swagger_ui_oauth2_redirect_url)
        if route.template in pages:
            return "page"
    return "frontend" if route.endpoint is None and route.methods == frozenset({"GET", "HEAD"}) else "route"


def in_words(requirement: Requirement | None) -> str:
    """What is needed, or ``open``."""
    return OPEN_TEXT if requirement is None else str(requirement)


def path_regex(operation: Operation) -> re.Pattern[str]:
    """What the operation's paths look like, with their parameters as groups."""
    return compile_path(operation.path)[0]
