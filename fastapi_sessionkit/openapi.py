"""OpenAPI from the same rules and dependencies that are enforced, and what a guard's rules can't reach."""

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.applications import Starlette

from ._application.routes import Served, served
from ._coverage import Coverage, coverage, covers
from ._patterns import Pattern
from ._request.services import Services
from .dependencies import Required, require_session
from .guard import RouterGuard, enforced
from .requirements import Access, Requirement, all_of, signed_in
from .rules import Rule

logger: logging.Logger = logging.getLogger(__name__)

Schema = dict[str, Any]
Security = list[dict[str, list[str]]]

_DETAIL = {"application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}}}


class Kit(Protocol):
    """What the documentation needs of a ``SessionKit``."""

    @property
    def services(self) -> Services[Any]:
        """Its settings, of which the ``Access`` hooks matter here."""
        ...

    @property
    def require_session(self) -> Callable[..., Any]:
        """The kit's own dependency."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """What a route requires on the paths of one pattern; ``where`` is ``None`` for all its other paths."""

    where: str | None
    requirement: Requirement | None


def document(app: Starlette, kit: Kit, guard: RouterGuard | None, at: str = "") -> None:
    """Make ``app.openapi()`` say what the guard, and what the dependencies of each operation, require.

    Args:
        app: the application; nothing is done for one that isn't FastAPI's.
        kit: whose session is required.
        guard: the application's, or that of the one around it.
        at: where the application is mounted on the guard's.
    """
    if not isinstance(app, FastAPI) or kit in getattr(app.openapi, "kits", ()):
        return
    generate: Callable[[], Schema] = app.openapi
    source: Schema | None = None
    documented: Schema = {}

    def openapi() -> Schema:
        nonlocal source, documented
        schema = generate()
        if schema is not source:  # FastAPI makes a new one when routes were added
            source, documented = schema, _documented(copy.deepcopy(schema), _operations(app, kit, guard, at), kit)
        return documented

    openapi.kits = (*getattr(generate, "kits", ()), kit)  # type: ignore[attr-defined]
    app.openapi = openapi  # type: ignore[method-assign]


def report(app: Starlette, kit: Kit, guard: RouterGuard | None) -> None:
    """Log, once each, the rules that no route can reach, those that an earlier rule hides, and a login page that is shut."""
    routes = list(served(app))
    guards = {call for route in routes for call in route.dependencies if isinstance(call, RouterGuard)}
    for each in guards | ({guard} if guard is not None else set()):
        guarded = routes if each is guard else [route for route in routes if each in route.dependencies]
        for problem in (*_problems(each.rules, guarded), *_closed_login(each, kit.services.access)):
            logger.warning(problem)


def cases(guard: RouterGuard, method: str, template: str, access: Access) -> Iterator[Case]:
    """What a guard requires on a template's paths: certain for all of them last, what is only possible before."""
    if "{" not in template:
        selection = guard.select(method, template)
        yield Case(None, selection.requirement if selection.rule is None else enforced(selection.rule, access))
        return
    passed: list[Pattern] = []
    for where, pattern, requirement in _in_order(guard, method, access):
        if any(covers(earlier, pattern) for earlier in passed):
            continue  # it never decides
        passed.append(pattern)
        match coverage(pattern, template):
            case Coverage.CERTAIN:
                yield Case(None, requirement)
                return
            case Coverage.POSSIBLE:
                yield Case(where, requirement)
            case Coverage.NEVER:
                pass
    yield Case(None, signed_in if guard.global_protect else None)


def _in_order(guard: RouterGuard, method: str, access: Access) -> Iterator[tuple[str, Pattern, Requirement | None]]:
    """What decides, in the order in which ``RouterGuard.select`` asks it."""
    for rule in guard.rules:
        if rule.covers_method(method):
            yield rule.pattern, rule.path, enforced(rule, access)
    if guard.global_protect:
        for pattern, _ in guard.open:
            yield pattern.text, pattern, None


def _documented(schema: Schema, operations: dict[tuple[str, str], list[Case]], kit: Kit) -> Schema:
    transport = kit.services.transport
    scheme = transport.scheme_name
    schema.setdefault("components", {}).setdefault("securitySchemes", {})[scheme] = dict(transport.scheme)
    named = not schema["openapi"].startswith("3.0")  # names of roles came with OpenAPI 3.1
    for (path, method), found in operations.items():
        operation = schema.get("paths", {}).get(path, {}).get(method.lower())
        if operation is not None:
            _describe(operation, found, scheme, schema.get("security", []), named=named)
    return schema


def _operations(app: FastAPI, kit: Kit, guard: RouterGuard | None, at: str) -> dict[tuple[str, str], list[Case]]:
    """The cases of each operation, by its path and method: those of all its routes, for ``{x:int}`` and ``{x}`` are one."""
    found: dict[tuple[str, str], dict[str, list[Case]]] = {}
    for route in served(app):
        if route.operation is None:
            continue
        for method in route.methods or ():
            templates = found.setdefault((route.operation, method), {})
            if route.template not in templates:  # of two routes with one template only the first ever answers
                templates[route.template] = list(_combined(route, method, kit, guard, at))
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


def _combined(route: Served, method: str, kit: Kit, guard: RouterGuard | None, at: str) -> Iterator[Case]:
    """The cases of every guard on the way, each together with what the dependencies require."""
    required = list(_required(route.dependencies, kit))
    # What is a dependency sees the path below the mount.
    guards = dict.fromkeys([(guard, at), *((call, "") for call in route.dependencies)])
    access = kit.services.access
    asked = [cases(each, method, to + route.template, access) for each, to in guards if isinstance(each, RouterGuard)]
    for combination in product(*asked):
        where = " and ".join(case.where for case in combination if case.where is not None)
        parts = [case.requirement for case in combination if case.requirement is not None] + required
        yield Case(where or None, all_of(*parts) if parts else None)


def _required(dependencies: Iterable[Any], kit: Kit) -> Iterator[Requirement]:
    for call in dependencies:
        if isinstance(call, Required) and call.kit in {None, kit}:
            yield call.requirement
        elif call in (require_session, kit.require_session):
            yield signed_in


def _describe(operation: Schema, found: list[Case], scheme: str, of_all: Security, *, named: bool) -> None:
    if all(case.requirement is None for case in found):
        return
    security: Security = []
    for case in found:
        for item in _security(case.requirement, scheme, named=named):
            if item not in security:
                security.append(item)
    operation["security"] = _merged(_others(operation.get("security", of_all), scheme), security)
    needed = " or ".join(dict.fromkeys(str(case.requirement) for case in found if case.requirement is not None))
    for status, description in (("401", "Not authenticated"), ("403", f"Forbidden: requires {needed}")):
        operation.setdefault("responses", {}).setdefault(status, {"description": description, "content": _DETAIL})
    if any(case.where is not None for case in found):
        text = "\n".join(["Access depends on the path:", "", *map(_line, found)])
        before = operation.get("description", "")
        if text not in before:
            operation["description"] = f"{before.rstrip()}\n\n{text}".lstrip()


def _line(case: Case) -> str:
    where = "otherwise" if case.where is None else f"`{case.where}`"
    return f"- {where}: {'open' if case.requirement is None else case.requirement}"


def _security(requirement: Requirement | None, scheme: str, *, named: bool) -> Security:
    if requirement is None:
        return [{}]
    choices = [_with_signed_in(parts) for parts in requirement.alternatives()]
    # What needs more than another choice does is no choice.
    least = [choice for choice in choices if not any(other.keys() < choice.keys() for other in choices)]
    names = [dict.fromkeys(part.name for part in choice if part != signed_in) for choice in least]
    return [{scheme: list(each) if named else []} for each in names]


def _with_signed_in(parts: tuple[Requirement, ...]) -> dict[Requirement, None]:
    """What has a role or a permission is signed in; what a check lets in need not be."""
    return dict.fromkeys((*parts, signed_in) if any(part.reads for part in parts) else parts)


def _others(security: Iterable[Mapping[str, list[str]]], scheme: str) -> Security:
    """What FastAPI wrote for other schemes."""
    others: Security = []
    for choice in security:
        other = {name: scopes for name, scopes in choice.items() if name != scheme}
        if other not in others:
            others.append(other)
    return others or [{}]


def _merged(left: Security, right: Security) -> Security:
    """Both must hold: each choice of one with each of the other."""
    return [{**first, **second} for first, second in product(left, right)]


def _problems(rules: tuple[Rule, ...], routes: list[Served]) -> Iterator[str]:
    for number, rule in enumerate(rules):
        hiding = next((earlier for earlier in rules[:number] if _hides(earlier, rule)), None)
        if hiding is not None:
            yield f"Rule {rule} never decides: rule {hiding} comes before it and matches everything that it does"
        elif not any(_reaches(rule, route) for route in routes):
            yield f"Rule {rule} never decides: no route of the application has such a path and method"


def _closed_login(guard: RouterGuard, access: Access) -> Iterator[str]:
    if guard.login_path is None or access.check is not None:
        return  # whom a check lets in it knows alone
    selection = guard.select("GET", guard.login_path)
    if selection.requirement is not None:
        yield (
            f"Nobody can sign in at {guard.login_path}: rule {selection.rule} asks for {selection.requirement} there. "
            f"Put Rule({guard.login_path!r}, public=True) before it"
        )


def _hides(earlier: Rule, later: Rule) -> bool:
    methods = earlier.methods is None or (later.methods is not None and later.methods <= earlier.methods)
    return methods and covers(earlier.path, later.path)


def _reaches(rule: Rule, route: Served) -> bool:
    if rule.methods is not None and route.methods is not None and rule.methods.isdisjoint(route.methods):
        return False
    return coverage(rule.path, route.template) is not Coverage.NEVER
