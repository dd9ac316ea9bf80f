"""What only a complete application shows about its cookie and its guards, said once at startup.

Other middleware that has the same cookie, rules that decide nothing, targets of redirects that nothing serves, a login page
that is shut, and endpoints that are marked as open and are not.
"""

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette

from .._paths.coverage import Coverage, coverage
from .._paths.patterns import Pattern
from .._paths.redirects import path_of
from .._request.services import Services
from ..access import Access
from ..decisions import Choice
from ..errors import ConfigurationError
from ..guard import RouterGuard
from ..openapi import Case, combined
from ..requirements import fresh_limits
from ..rules import Rule
from .kits import all_routes, clashes, guarded_routes, routes_below, shared_stores
from .routes import ServedRoute

logger: logging.Logger = logging.getLogger(__name__)

_NAMED = 5
"""How many of one kind are named; the rest are counted."""
_NO_RULE_NAMES_IT = "*"
"""Stands for the methods that no rule names."""


def report(app: Starlette, services: Services[Any], guard: RouterGuard | None) -> None:
    """Log what is wrong with the kit's cookie, the application's guard and those of its routers, in a few lines each."""
    for problem in (*clashes(app, services.transport), *shared_stores(app, services)):
        logger.warning("%s", problem)
    routes = list(all_routes(app))
    for each, guarded in guarded_routes(app, guard).items():
        for problem in _problems(each, guarded, routes, services.access):
            logger.warning("%s", problem)
    for problem in _marked_and_asked(app, services, guard):
        logger.warning("%s", problem)


def _problems(
    guard: RouterGuard, guarded: list[ServedRoute], routes: list[ServedRoute], access: Access
) -> Iterator[str]:
    found = hiders(guard)
    hidden = {choice: by for choice, by in found.items() if None not in by}
    yield from _hidden_rules(hidden)
    yield from _unreached_rules([choice for choice in found if choice not in hidden], guarded)
    yield from _pages_not_served(guard, routes)
    yield from _shut_login_page(guard, access)
    yield from _shut_reauthentication_page(guard, access)


def hiders(guard: RouterGuard) -> dict[Choice, dict[Choice | None, None]]:
    """For each rule the earlier ones that hide it, method by method; ``None`` among them where it decides."""
    found: dict[Choice, dict[Choice | None, None]] = {}
    named = (name for rule in guard.rules for name in sorted(rule.methods or ()))
    for method in dict.fromkeys((*named, _NO_RULE_NAMES_IT)):
        decisions = guard.decisions(method)
        for choice in decisions.choices:
            if choice.rule is not None:
                found.setdefault(choice, {})[decisions.hidden.get(choice)] = None
    return found


def _hidden_rules(hidden: dict[Choice, dict[Choice | None, None]]) -> Iterator[str]:
    for choice, by in list(hidden.items())[:_NAMED]:
        rules = [str(each.rule) for each in by if each is not None]
        before = f"rule {rules[0]} comes" if len(rules) == 1 else f"rules {_listing(rules)} come"
        yield f"Rule {choice.rule} never decides: {before} before it and matches everything that it does"
    if len(hidden) > _NAMED:
        yield f"{len(hidden) - _NAMED:,} more rules never decide, because earlier ones hide them"


def _unreached_rules(choices: list[Choice], routes: list[ServedRoute]) -> Iterator[str]:
    rules = [choice.rule for choice in choices if choice.rule is not None]
    unreached = [str(rule) for rule in rules if not any(reaches(rule, route) for route in routes)]
    if len(unreached) == 1:
        yield f"Rule {unreached[0]} never decides: no route of the application has such a path and method"
    elif unreached:
        yield f"Rules {_listing(unreached)} never decide: no route of the application has such a path and method"


def reaches(rule: Rule, route: ServedRoute) -> bool:
    """Whether a rule is about a route, on one of its paths and methods at least."""
    if rule.methods is not None and route.methods is not None and rule.methods.isdisjoint(route.methods):
        return False
    return coverage(rule.path, route.template) is not Coverage.NEVER


def _pages_not_served(guard: RouterGuard, routes: list[ServedRoute]) -> Iterator[str]:
    named = {rule.redirect_to: "Rule(redirect_to=...)" for rule in guard.rules if rule.redirect_to is not None}
    if guard.login_path is not None:
        named[guard.login_path] = "RouterGuard(login_path=...)"
        if guard.global_protect:
            named.setdefault(guard.home_path, "RouterGuard(home_path=...)")
    if guard.reauthenticate_path is not None:
        named.setdefault(guard.reauthenticate_path, "RouterGuard(reauthenticate_path=...)")
    missing = [f"{target} ({setting})" for target, setting in named.items() if not is_served(target, routes)]
    if missing:
        yield f"Browsers are sent to {_listing(missing)}, and no route of the application has such a path for GET"


def is_served(target: str, routes: list[ServedRoute]) -> bool:
    """Whether a route answers a GET of the page that browsers are sent to."""
    try:
        page = Pattern(unquote(path_of(target)).rstrip("/") or "/")
    except ConfigurationError:
        return True  # nobody can tell: it is no path that a rule could name
    return any(
        coverage(page, route.template) is not Coverage.NEVER
        for route in routes
        if route.methods is None or "GET" in route.methods
    )


def _shut_login_page(guard: RouterGuard, access: Access) -> Iterator[str]:
    if guard.login_path is None:
        return
    choice = guard.decisions("GET").find(guard.login_path)
    if choice.requirement is None or (choice.rule is not None and access.check is not None):
        return  # only the check knows whom it lets in
    asks = choice.reason if choice.rule is None else f"rule {choice.rule}"
    yield (
        f"Nobody can sign in at {guard.login_path}: {asks} asks for {choice.requirement} there. "
        f"Put Rule({guard.login_path!r}, public=True) before it"
    )


def _shut_reauthentication_page(guard: RouterGuard, access: Access) -> Iterator[str]:
    page = guard.reauthenticate_path
    if page is None:
        return
    for method in ("GET", "POST"):
        choice = guard.decisions(method).find(path_of(page))
        requirement = choice.required(access)
        if requirement is not None and fresh_limits(requirement):
            yield (
                f"Nobody can authenticate again at {page}: rule {choice.rule} asks for {requirement} there. "
                f"Put Rule({path_of(page)!r}) before it"
            )
            return


def _marked_and_asked(app: Starlette, services: Services[Any], guard: RouterGuard | None) -> Iterator[str]:
    """The endpoints that are marked ``@public`` where a rule or a dependency asks for something."""
    found = [
        (method, at + route.template, case)
        for at, _, route in routes_below(app)
        if route.is_public
        for method in sorted(route.methods or {"GET"})
        for case in combined(route, method, services, [(guard, at)])
        if case.requirement is not None
    ]
    for method, path, case in found[:_NAMED]:
        yield f"{method} {case.where or path} is marked @public, but {contradiction(case)}"
    if len(found) > _NAMED:
        yield f"{len(found) - _NAMED:,} more endpoints are marked @public, and something asks for more there"


def contradiction(case: Case) -> str:
    """What is wrong with an endpoint that is marked ``@public`` in a case that is not open."""
    said = next(each for each in case.said if each.requirement is not None)
    rule = None if said.choice is None else said.choice.rule
    if rule is None:
        return f"a dependency asks for {said.requirement} there, and that decides: take it or the mark away"
    return (
        f"rule {rule} asks for {said.requirement} there, and the rule decides: put a Rule(..., public=True) before it, or take "
        "the mark away"
    )


def _listing(names: list[str]) -> str:
    """The first few names, and how many there are besides."""
    shown = [*names[:_NAMED], *([f"{len(names) - _NAMED:,} more"] if len(names) > _NAMED else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
