"""Why somebody may, or may not, call something: each who is asked, and what they say."""

from collections.abc import Iterator
from dataclasses import dataclass

from starlette.applications import Starlette

from .._application.answering import Way, other_spelling, way_of
from .._application.routes import ANYTHING, path_of
from .._paths.routed import is_ambiguous, route_path
from .._request.lookup import installed
from ..access import NO_SEGMENTS, Segments
from ..decisions import Choice
from ..dependencies import Required
from ..guard import RouterGuard
from ..markers import is_public
from ..requirements import Requirement
from ..rules import Rule
from .kits import Kit
from .operations import ANY_METHOD, WEBSOCKET, Operation, answers_head, path_regex
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

    def answer(self, app: Starlette, operations: list[Operation], kits: tuple[Kit, ...]) -> Explanation:
        """Ask everybody who decides about the request in turn."""
        root = getattr(app, "root_path", "")
        kind = "websocket" if self.method == WEBSOCKET else "http"
        scope = {"type": kind, "method": self._http_method, "path": self.path, "root_path": root}
        way = way_of(app, scope)
        operation = self._operation(way, route_path(scope), operations)
        steps = list(self._steps_of_gates(way, kits))
        if operation is not None:
            steps += self._steps_behind(operation, way, route_path(scope))
        return Explanation(self.method, self.path, self.person, operation, tuple(steps))

    @property
    def _http_method(self) -> str:
        return "GET" if self.method == WEBSOCKET else self.method

    def _operation(self, way: Way, path: str, operations: list[Operation]) -> Operation | None:
        """What is served where the request comes to. For a frontend, and in doubt, its path tells."""
        if way.context is not None:
            to = way.at + path_of(way.context)
            own = [each for each in operations if each.route.original is way.context.original_route]
            here = [each for each in own if each.path in {to, to + ANYTHING}]
        else:
            known = [each for each in operations if each.at == way.at and (way.is_lost or each.kind == "frontend")]
            matching = [each for each in known if path_regex(each).match(_spelled(path, way))]
            here = sorted(matching, key=lambda each: -len(each.path))
        return next(filter(self._is_method_of, here), None)

    def _is_method_of(self, operation: Operation) -> bool:
        method = operation.method
        if (method == WEBSOCKET) is not (self.method == WEBSOCKET):
            return False
        is_head = self.method == "HEAD" and method == "GET" and answers_head(operation.route)
        return method in {self.method, ANY_METHOD} or is_head

    def _steps_of_gates(self, way: Way, kits: tuple[Kit, ...]) -> Iterator[Step]:
        """What the gates say of the applications that the request passes; of one application, in the order of its kits."""
        public, known = is_public(way.endpoint), {each.services.kit: each for each in kits}
        for app, path in way.through:
            for kit in (known[each.kit] for each in installed(app) if each.kit in known):
                guard = kit.guards.get(app)
                if guard is not None:
                    yield self._step_of_guard("gate", kit, guard, path, public=public)

    def _steps_behind(self, operation: Operation, way: Way, path: str) -> Iterator[Step]:
        """What the guards of routers and the dependencies say; they see the path below a mount."""
        match = path_regex(operation).match(_spelled(path, way))
        parameters = {} if match is None else match.groupdict()
        for call, kit in operation.asking:
            if isinstance(call, RouterGuard):
                yield self._step_of_guard("router", kit, call, _spelled(way.path, way), public=operation.is_marked)
            elif isinstance(call, Required):
                requirement = kit.asks(call.requirement)
                found = verdict(requirement, self.person, parameters)
                yield Step("dependency", requirement, call.name or "a dependency", found)

    def _step_of_guard(self, by: str, kit: Kit, guard: RouterGuard, path: str, *, public: bool) -> Step:
        if is_ambiguous(path):
            return Step(by, None, "ambiguous path", _AMBIGUOUS)
        choice = guard.decisions(self._http_method).find(path).for_endpoint(public=public)
        requirement = kit.asks(choice.required(kit.services.access))
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


def _spelled(path: str, way: Way) -> str:
    """The path with the last slash, or without, that the router sends the request on to."""
    return other_spelling(path) if way.is_redirected else path
