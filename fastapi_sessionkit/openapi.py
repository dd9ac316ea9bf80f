"""OpenAPI from the same decisions and dependencies that are enforced."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette

from ._application.routes import ServedRoute, served_routes
from ._paths.coverage import Coverage, coverage
from ._request.lookup import installed_kits
from ._request.services import Services
from .decisions import Choice, Decisions
from .dependencies import Required
from .guard import RouterGuard
from .requirements import MOST_ALTERNATIVES, Access, Alternatives, Requirement, all_of, any_of, signed_in

Schema = dict[str, Any]
Security = list[dict[str, list[str]]]

_MOST_CASES = 1_024
"""Combinations of what several guards require on several paths, that are told apart."""
_DETAIL = {"application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}}}


@dataclass(frozen=True, slots=True)
class Said:
    """What one of those who decide about a route requires: the gate, a router's guard or a dependency.

    Attributes:
        by: ``"gate"``, ``"router"`` or ``"dependency"``.
        requirement: what it requires; ``None`` where everybody may pass.
        choice: the guard's choice, with its rule; ``None`` of a dependency.
        kit: the name of another kit than the one that is asked about, if it is that one's word.
    """

    by: str
    requirement: Requirement | None
    choice: Choice | None = None
    kit: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """What a route requires on the paths of one pattern; ``where`` is ``None`` for all its other paths."""

    where: str | None
    requirement: Requirement | None
    said: tuple[Said, ...] = ()


def document(app: Starlette, services: Services[Any], guard: RouterGuard | None, at: str = "") -> None:
    """Make ``app.openapi()`` say what the guard, and what the dependencies of each operation, require.

    Args:
        app: the application; nothing is done for one that isn't FastAPI's.
        services: of the kit whose session is required.
        guard: the application's, or that of the one around it.
        at: where the application is mounted on the guard's.
    """
    if not isinstance(app, FastAPI) or services.kit in getattr(app.openapi, "kits", ()):
        return
    generate: Callable[[], Schema] = app.openapi
    source: Schema | None = None
    documented: Schema = {}

    def openapi() -> Schema:
        nonlocal source, documented
        schema = generate()
        if schema is not source:  # FastAPI makes a new one when routes were added
            source, documented = schema, document_schema(copy.deepcopy(schema), services, app, guard, at)
        return documented

    openapi.kits = (*getattr(generate, "kits", ()), services.kit)  # type: ignore[attr-defined]
    app.openapi = openapi  # type: ignore[method-assign]


def cases(
    guard: RouterGuard, method: str, template: str, access: Access, *, public: bool = False, by: str = "gate"
) -> Iterator[Case]:
    """What a guard requires on a template's paths: certain for all of them last, what is only possible before."""
    for where, choice in _choices(guard.decisions(method).for_endpoint(public=public), template):
        requirement = choice.required(access)
        yield Case(where, requirement, (Said(by, requirement, choice),))


def _choices(decisions: Decisions, template: str) -> Iterator[tuple[str | None, Choice]]:
    if "{" not in template:
        yield None, decisions.find(template)
        return
    for choice in decisions.choices:
        how_much = Coverage.NEVER if choice in decisions.hidden else coverage(choice.pattern, template)
        if how_much is Coverage.CERTAIN:
            yield None, choice
            return
        if how_much is Coverage.POSSIBLE:
            yield choice.pattern.text, choice
    yield None, decisions.fallback


def document_schema(
    schema: Schema, services: Services[Any], app: Starlette, guard: RouterGuard | None, at: str = ""
) -> Schema:
    """Make a schema of the application's routes say what is required; it may say so already. Gives the same schema."""
    if services.anonymous:
        return _without_schemes(schema, app, services)
    ours = {transport.scheme_name: dict(transport.scheme) for transport in services.transports}
    schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
    for name in (written := _schemes(app, services)):  # by dependencies of no kit, perhaps for a cookie of another name
        schemes.pop(name, None)
    schemes.update(ours)
    named = not schema["openapi"].startswith("3.0")  # names of roles came with OpenAPI 3.1
    for (path, method), found in _operations(app, services, guard, at).items():
        operation = schema.get("paths", {}).get(path, {}).get(method.lower())
        if operation is not None:
            written_for_all = schema.get("security", [])
            _describe(operation, found, list(ours), written, written_for_all, named=named)
    return schema


def _without_schemes(schema: Schema, app: Starlette, services: Services[Any]) -> Schema:
    """The schema without what FastAPI writes of the module's ``require_session``, where that is no user's session."""
    if installed_kits(app, anonymous=False):
        return schema
    ours, components = _schemes(app, services), schema.get("components", {})
    for name in ours:
        components.get("securitySchemes", {}).pop(name, None)
    if not components.get("securitySchemes"):
        components.pop("securitySchemes", None)
    for operations in schema.get("paths", {}).values():
        for operation in operations.values():
            if isinstance(operation, dict):
                _forget(operation, ours)
    return schema


def _schemes(app: Starlette, services: Services[Any]) -> frozenset[str]:
    """What the session's schemes are called: those of the kit, and those that FastAPI has written for dependencies."""
    calls = [call for route in served_routes(app) for call in route.dependencies if isinstance(call, Required)]
    ours = [transport.scheme_name for transport in services.transports]
    return frozenset([*ours, *(call.scheme_name for call in calls if call.kit is None)])


def _operations(
    app: Starlette, services: Services[Any], guard: RouterGuard | None, at: str
) -> dict[tuple[str, str], list[Case]]:
    """The cases of each operation, by its path and method: those of all its routes, for ``{x:int}`` and ``{x}`` are one."""
    found: dict[tuple[str, str], dict[str, list[Case]]] = {}
    for route in served_routes(app):
        if route.operation is None:
            continue
        for method in route.methods or ():
            templates = found.setdefault((route.operation, method), {})
            if route.template not in templates:  # of two routes with one template only the first ever answers
                templates[route.template] = list(combined(route, method, services, [(guard, at)]))
    return {operation: _of_all(templates) for operation, templates in found.items()}


def _of_all(templates: dict[str, list[Case]]) -> list[Case]:
    first, *others = templates.values()
    if all(list(map(_line, each)) == list(map(_line, first)) for each in others):
        return first
    return [
        Case(template if case.where is None else f"{template} at {case.where}", case.requirement)
        for template, cases_of_it in templates.items()
        for case in cases_of_it
    ]


def combined(
    route: ServedRoute, method: str, services: Services[Any], gates: Iterable[tuple[RouterGuard | None, str]]
) -> Iterator[Case]:
    """The cases of every guard on the way, each together with what the dependencies require.

    Args:
        route: what the request comes to.
        method: of the request.
        services: of the kit that is asked.
        gates: the guards of the applications that it passes, each with the path before the route's as the guard sees it.
    """
    required = tuple(_required(route.dependencies, services))
    # What is a dependency sees the path below the mount.
    guards: dict[tuple[RouterGuard | None, str], str] = dict.fromkeys(gates, "gate")
    for call in route.dependencies:
        if isinstance(call, RouterGuard):
            guards.setdefault((call, ""), "router")
    access, public = services.access, route.is_public
    asked = [
        list(cases(guard, method, at + route.template, access, public=public, by=by))
        for (guard, at), by in guards.items()
        if guard is not None
    ]
    yield from together(asked, required)


def together(asked: list[list[Case]], required: tuple[Said, ...] = ()) -> Iterator[Case]:
    """The cases of several who are asked, each with each of the others', and with what is required on all paths."""
    if prod(map(len, asked)) > _MOST_CASES:
        asked = [_summary(each) for each in asked]
    for combination in product(*asked):
        where = " and ".join(case.where for case in combination if case.where is not None)
        said = (*(each for case in combination for each in case.said), *required)
        parts = [each.requirement for each in said if each.requirement is not None]
        yield Case(where or None, all_of(*parts) if parts else None, said)


def _summary(found: list[Case]) -> list[Case]:
    """At most two cases, where there are too many paths to tell apart: what some path asks for, and whether one is open."""
    needed = [case.requirement for case in found if case.requirement is not None]
    some = [Case("some paths", any_of(*needed), (Said(found[0].said[0].by, any_of(*needed)),))] if needed else []
    if len(needed) == len(found):
        return [Case(None, some[0].requirement, some[0].said)]
    return [*some, Case(None, None)]


def _required(dependencies: Iterable[Any], services: Services[Any]) -> Iterator[Said]:
    for call in dependencies:
        if isinstance(call, Required) and call.kit in {None, services.kit}:
            yield Said("dependency", call.requirement)


def _describe(
    operation: Schema, found: list[Case], schemes: list[str], written: frozenset[str], of_all: Security, *, named: bool
) -> None:
    scheme, *others = schemes
    needed = list(dict.fromkeys(str(case.requirement) for case in found if case.requirement is not None))
    if not needed:
        _forget(operation, written)
        return
    security = _security(found, scheme, named=named)
    if any(case.where is not None for case in found):
        _add_text(operation, "\n".join(["Access depends on the path:", "", *map(_line, found)]))
    elif security is None:
        _add_text(operation, f"Requires {' or '.join(needed)}")
    if security is None:
        security = [{scheme: []}, *([{}] if any(case.requirement is None for case in found) else [])]
    before = operation.get("security", of_all)
    if named:
        security = _with_scopes(security, scheme, _scopes(before, written.difference(others)))
    operation["security"] = _merged(_others(before, written), _by_any(security, schemes))
    for status, text in (("401", "Not authenticated"), ("403", f"Forbidden: requires {' or '.join(needed)}")):
        operation.setdefault("responses", {}).setdefault(status, {"description": text, "content": _DETAIL})


def _forget(operation: Schema, schemes: frozenset[str]) -> None:
    """Take out what FastAPI wrote of a route that never answers, for another one has its path."""
    before = operation.get("security", [])
    if any(not schemes.isdisjoint(choice) for choice in before):
        others = _others(before, schemes)
        operation.update(security=others) if others != [{}] else operation.pop("security")


def _add_text(operation: Schema, text: str) -> None:
    before = operation.get("description", "")
    if text not in before:
        operation["description"] = f"{before.rstrip()}\n\n{text}".lstrip()


def _line(case: Case) -> str:
    where = "otherwise" if case.where is None else f"`{case.where}`"
    return f"- {where}: {'open' if case.requirement is None else case.requirement}"


def _security(found: list[Case], scheme: str, *, named: bool) -> Security | None:
    """What fulfils one of the cases; ``None`` where that would be too many alternatives to be read or compared."""
    entries: dict[tuple[str, ...] | None, None] = {}
    for case in found:
        if case.requirement is None:
            entries[None] = None
            continue
        alternatives = case.requirement.alternatives()
        if alternatives is None or len(entries) + len(alternatives) > 2 * MOST_ALTERNATIVES:
            return None
        entries.update(dict.fromkeys(_least_names(alternatives, named=named)))
    if len(entries) > MOST_ALTERNATIVES:
        return None
    return [{} if names is None else {scheme: list(names)} for names in entries]


def _least_names(alternatives: Alternatives, *, named: bool) -> Iterator[tuple[str, ...]]:
    """The names in each alternative, without the alternatives that ask for all that another does, and more."""
    choices = [_with_signed_in(parts) for parts in alternatives]
    for choice in choices:
        if not any(other.keys() < choice.keys() for other in choices):
            yield tuple(dict.fromkeys(part.name for part in choice if named and part != signed_in))


def _with_signed_in(parts: tuple[Requirement, ...]) -> dict[Requirement, None]:
    """Whoever has a role or a permission is signed in; whoever a check lets in need not be."""
    return dict.fromkeys((*parts, signed_in) if any(part.reads for part in parts) else parts)


def _scopes(security: Security, schemes: frozenset[str]) -> list[str]:
    """Those of ``Security(kit.require_session, scopes=[...])``, which FastAPI writes into one choice; ours may be more."""
    choices = [scopes for choice in security for name, scopes in choice.items() if name in schemes]
    return choices[0] if len(choices) == 1 else []


def _with_scopes(security: Security, scheme: str, scopes: list[str]) -> Security:
    return [
        {**choice, scheme: list(dict.fromkeys((*choice[scheme], *scopes)))} if scheme in choice else choice
        for choice in security
    ]


def _by_any(security: Security, schemes: list[str]) -> Security:
    """The same, fulfilled by any of the kit's schemes."""
    return [
        choice
        for written in security
        for choice in ([{scheme: written[schemes[0]]} for scheme in schemes] if schemes[0] in written else [written])
    ]


def _others(security: Security, schemes: frozenset[str]) -> Security:
    """What is written for other schemes. A choice of ours alone, FastAPI's word for the same dependencies, goes."""
    others: Security = []
    for choice in security:
        other = {name: scopes for name, scopes in choice.items() if name not in schemes}
        if other not in others and (other or not choice):
            others.append(other)
    return others or [{}]


def _merged(left: Security, right: Security) -> Security:
    """Both must hold: each choice of one with each of the other."""
    return [{**first, **second} for first, second in product(left, right)]
