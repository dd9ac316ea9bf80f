"""Findings: what is probably not as it was meant. Each has a code, a place, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .._application.checks import check_routes, check_unambiguous
from .._application.report import contradiction, hiders, is_served, reaches
from .._paths.redirects import path_of
from ..errors import ConfigurationError
from ..guard import RouterGuard
from ..openapi import Case, Said
from ..requirements import Requirement, signed_in
from .facts import Facts
from .implication import implies
from .operations import ANY_METHOD, Operation
from .settings import findings_in_settings

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE", ANY_METHOD})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is probably not as it was meant.

    Attributes:
        code: which kind, for example ``"open-write"``; the documentation has each.
        at: where: a method and a path, a rule or a setting.
        text: what is wrong.
        advice: what to do.
    """

    code: str
    at: str
    text: str
    advice: str


def findings_of(facts: Facts) -> list[Finding]:
    """All that is found, in the order of the checks."""
    found = [finding for check in _CHECKS for finding in check(facts)]
    found += [Finding(*each) for each in findings_in_settings(facts)]
    return list(dict.fromkeys(found))


def _failing_start(facts: Facts) -> Iterator[Finding]:
    for check in (check_unambiguous, check_routes):
        try:
            check(facts.app)
        except ConfigurationError as error:
            where, _, text = str(error).partition(": ")
            yield Finding(
                "start-fails", where, text or where, "The application does not start like this: do what it says"
            )


def _idle_rules(facts: Facts) -> Iterator[Finding]:
    for guard, routes in facts.guards.items():
        for choice, by in hiders(guard).items():
            rule = choice.rule
            if rule is None:
                continue
            if None not in by:
                names = ", ".join(str(each.rule) for each in by if each is not None)
                yield Finding(
                    "hidden-rule", str(rule), f"It never decides: {names} before it matches everything that it does",
                    "Put it before that, or take it out",
                )  # fmt: skip
            elif not any(reaches(rule, route) for route in routes):
                yield Finding(
                    "unreachable-rule", str(rule), "It never decides: no route has such a path and method",
                    "Look for a slip in its pattern or its methods, or take it out",
                )  # fmt: skip


def _contradicted_marks(facts: Facts) -> Iterator[Finding]:
    for operation in facts.operations:
        for case in operation.cases if operation.is_marked else ():
            if case.requirement is not None:
                text, _, advice = contradiction(case).partition(": ")
                where = case.where or operation.path
                yield Finding(
                    "public-contradicted",
                    f"{operation.method} {where}",
                    f"It is marked @public, but {text}",
                    advice.capitalize(),
                )


def _pages(facts: Facts) -> Iterator[Finding]:
    for guard in facts.guards:
        for page, setting in _targets(guard).items():
            if not is_served(page, facts.routes):
                yield Finding(
                    "missing-page", page, f"{setting} sends browsers there, and no route has such a path for GET",
                    "Add the page, or correct the setting",
                )  # fmt: skip
                continue
            needed = facts.needed(page)
            if needed is not None and not _lets_in(guard, setting, needed):
                yield Finding(
                    "shut-page", page, f"{setting} sends browsers there, and it needs {needed}",
                    f"Put Rule({path_of(page)!r}, public=True) before the rule that asks",
                )  # fmt: skip


def _lets_in(guard: RouterGuard, setting: str, needed: Requirement) -> bool:
    """Whether those who are sent to a page may see it: everybody, or those who are signed in."""
    if setting == "login_path" or (setting == "redirect_to" and guard.login_path is None):
        return False
    return implies(signed_in, needed)


def _targets(guard: RouterGuard) -> dict[str, str]:
    """The pages that browsers are sent to, each with the setting that says so."""
    found = {rule.redirect_to: "redirect_to" for rule in guard.rules if rule.redirect_to is not None}
    again = guard.reauthenticate_path
    if again is not None:
        found[again] = "reauthenticate_path"
    if guard.login_path is not None:
        found[guard.login_path] = "login_path"
        if guard.global_protect:
            found.setdefault(guard.home_path, "home_path")
    return found


def _loops(facts: Facts) -> Iterator[Finding]:
    for guard in facts.guards:
        for start in _targets(guard):
            way = [path_of(start)]
            while (after := _sent_on(facts, guard, way[-1])) is not None and after not in way:
                way.append(after)
            between_two = {way[-1], after} == {path_of(guard.home_path), path_of(guard.login_path or "")}
            if after is not None and after == way[0] and len(way) > 1 and not between_two:
                yield Finding(
                    "redirect-loop", min(way), f"Who is refused is sent in a circle: {' to '.join([*way, after])}",
                    "Let redirect_to name a page that everybody may see",
                )  # fmt: skip


def _sent_on(facts: Facts, guard: RouterGuard, path: str) -> str | None:
    """Where somebody is sent on to who may not see a page, or who is signed in and asks for the login page."""
    choice = facts.choice(guard, path)
    if choice.rule is None:
        is_login = choice.requirement is None and guard.global_protect and path == guard.login_path
        return path_of(guard.home_path) if is_login else None
    target = choice.rule.redirect_to
    return path_of(target) if target is not None and facts.required(choice) is not None else None


def _open_writes(facts: Facts) -> Iterator[Finding]:
    for operation in facts.operations:
        told = operation.is_marked or operation.path in facts.login_pages
        if operation.method in UNSAFE and not told and any(map(_is_silently_open, operation.cases)):
            yield Finding(
                "open-write", f"{operation.method} {operation.path}", "Everybody may call it, and it may change something",
                "Protect it by a rule; or say that it is open, by Rule(..., public=True) or @public",
            )  # fmt: skip


def _is_silently_open(case: Case) -> bool:
    """Whether everybody may call it there, and no rule says so."""
    rules = [said.choice.rule for said in case.said if said.choice is not None]
    return case.requirement is None and not any(rule is not None and rule.public for rule in rules)


def _lone_dependencies(facts: Facts) -> Iterator[Finding]:
    ruled = [each for each in facts.operations if any(map(_is_own_rule, each.said))]
    for operation in facts.operations:
        if operation.said_by != ("dependency",) or all(
            said.kit for said in operation.said if said.requirement is not None
        ):
            continue
        sibling = next((each for each in ruled if _are_siblings(operation, each)), None)
        if sibling is not None:
            yield Finding(
                "lone-dependency", f"{operation.method} {operation.path}",
                f"A dependency alone protects it, and its neighbour {sibling.method} {sibling.path} has rule {sibling.rule}",
                "Let the rule cover it too, so that the gate refuses before the body is read",
            )  # fmt: skip


def _is_own_rule(said: Said) -> bool:
    """Whether a rule of the audited kit's asks for something."""
    rule = None if said.kit or said.choice is None else said.choice.rule
    return rule is not None and rule.requirement is not None


def _are_siblings(one: Operation, other: Operation) -> bool:
    parents = [each.path.rpartition("/")[0] for each in (one, other)]
    return one.path == other.path or (bool(parents[0]) and parents[0] == parents[1])


def _open_documentation(facts: Facts) -> Iterator[Finding]:
    others = [each for each in facts.operations if each.kind != "page" and each.path not in facts.login_pages]
    for page in facts.operations if others and not any(each.open for each in others) else ():
        if page.kind == "page" and page.open:
            yield Finding(
                "open-docs", page.path, "The documentation is open, and everything else is not",
                f"Protect it, Rule({page.path!r}); or leave it out where it is public, FastAPI(openapi_url=None)",
            )  # fmt: skip


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _failing_start,
    _idle_rules,
    _contradicted_marks,
    _pages,
    _loops,
    _open_writes,
    _lone_dependencies,
    _open_documentation,
)
