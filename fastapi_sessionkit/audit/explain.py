"""Why somebody may, or may not, call something: each who is asked, and what they say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.routing import compile_path

from .._paths.routed import is_ambiguous
from .._request.services import Services
from ..access import NO_SEGMENTS, Segments
from ..decisions import Choice
from ..dependencies import Required
from ..guard import RouterGuard
from ..requirements import Requirement
from ..rules import Rule
from .operations import ANY_METHOD, WEBSOCKET, Operation, path_regex
from .people import Person, Verdict, all_hold, verdict


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule that a guard tried before it decided. ``outcome``: ``"decides"``, ``"another path"`` or ``"another method"``."""

    rule: Rule
    outcome: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one of those says who decide about a request.

    Attributes:
        by: ``"gate"``, ``"router"`` or ``"dependency"``.
        requirement: what it asks for; ``None`` for nothing.
        reason: why it asks for that: the rule, or the guard's setting.
        verdict: whether the person fulfils it.
        tried: the rules that a guard tried, in order.
    """

    by: str
    requirement: Requirement | None
    reason: str
    verdict: Verdict
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why somebody may, or may not, call a method on a path.

    Attributes:
        method: as asked.
        path: as asked.
        person: as asked.
        operation: what answers there; ``None`` for nothing.
        steps: all who are asked, in order. The first that refuses decides.
    """

    method: str
    path: str
    person: Person
    operation: Operation | None
    steps: tuple[Step, ...]

    @property
    def allowed(self) -> bool | None:
        """Whether they get through; ``None`` where only a function, or a clock, can tell."""
        return all_hold(step.verdict for step in self.steps).holds

    @property
    def missing(self) -> tuple[str, ...]:
        """What is missing, or on what it depends."""
        return all_hold(step.verdict for step in self.steps).reasons

    @property
    def decided_by(self) -> Step | None:
        """Who decides: the first who refuses, else the first who can't be sure, else the last who asks for something."""
        for holds in (False, None):
            for step in self.steps:
                if step.verdict.holds is holds:
                    return step
        asking = [step for step in self.steps if step.requirement is not None] or self.steps
        return asking[-1] if asking else None


@dataclass(frozen=True, slots=True)
class Question:
    """Whether somebody may call a method on a path. ``method`` is an HTTP method or ``"WEBSOCKET"``."""

    method: str
    path: str
    person: Person
    services: Services[Any]

    def answer(self, operations: list[Operation], guard: RouterGuard | None) -> Explanation:
        """Ask everybody who decides about the request in turn."""
        operation = next((each for each in operations if self._is_answered_by(each)), None)
        public = operation is not None and operation.is_marked
        steps = [] if guard is None else [self._step_of_guard("gate", guard, self.path, public=public)]
        if operation is not None:
            steps += self._steps_behind(operation)
        return Explanation(self.method, self.path, self.person, operation, tuple(steps))

    @property
    def _http_method(self) -> str:
        return "GET" if self.method == WEBSOCKET else self.method

    def _is_answered_by(self, operation: Operation) -> bool:
        method = operation.method
        if (method == WEBSOCKET) is not (self.method == WEBSOCKET):
            return False
        is_head = self.method == "HEAD" and method == "GET" and "HEAD" in (operation.route.methods or ())
        return (method in {self.method, ANY_METHOD} or is_head) and path_regex(operation).match(self.path) is not None

    def _steps_behind(self, operation: Operation) -> Iterator[Step]:
        """What the guards of routers and the dependencies say; they see the path below a mount."""
        match = path_regex(operation).match(self.path)
        parameters = {} if match is None else match.groupdict()
        inner = _below(operation.at, self.path)
        for call in operation.route.dependencies:
            if isinstance(call, RouterGuard):
                yield self._step_of_guard("router", call, inner, public=operation.is_marked)
            elif isinstance(call, Required) and call.kit in {None, self.services.kit}:
                found = verdict(call.requirement, self.person, parameters)
                yield Step("dependency", call.requirement, call.name or "a dependency", found)

    def _step_of_guard(self, by: str, guard: RouterGuard, path: str, *, public: bool) -> Step:
        if is_ambiguous(path):
            return Step(by, None, "ambiguous path", _AMBIGUOUS)
        choice = guard.decisions(self._http_method).find(path).for_endpoint(public=public)
        requirement = choice.required(self.services.access)
        segments: Segments = choice.pattern.named_segments(path) if choice.pattern.names else NO_SEGMENTS
        reason = choice.reason if choice.rule is None else f"rule {choice.rule}"
        found = verdict(requirement, self.person, segments)
        return Step(by, requirement, reason, found, tuple(_tried(guard, choice, self._http_method)))


_AMBIGUOUS = Verdict(False, ("the path could be read in several ways, so it is refused with 400",))  # noqa: FBT003


def _tried(guard: RouterGuard, choice: Choice, method: str) -> Iterator[Tried]:
    for rule in guard.rules:
        if rule is choice.rule:
            yield Tried(rule, "decides")
            return
        yield Tried(rule, "another path" if rule.covers_method(method) else "another method")


def _below(at: str, path: str) -> str:
    """The path as the application that is mounted sees it."""
    match = compile_path(at + "/{sessionkit_rest:path}")[0].match(path) if at else None
    return path if match is None else "/" + match["sessionkit_rest"]
