"""The router guard: which rule decides about a request, and what it decides."""

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from fastapi import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ._frozen import Frozen
from ._paths.denial import denial_error, follows, is_navigation, page_of, page_to_return_to, redirect, refusal
from ._paths.patterns import Pattern
from ._paths.preflight import answers_preflight, is_preflight, route_answers_preflight
from ._paths.redirects import checked_target, next_target, path_of, wanted_page
from ._paths.routed import is_ambiguous, route_path
from ._request.lookup import request_session_of
from ._request.request_session import RequestSession
from ._request.visitors import NO_USERS
from ._settings import require_bool, require_list
from .access import Access, Subject
from .decisions import Choice, Decision, Decisions
from .errors import ConfigurationError
from .markers import leads_to_public
from .requirements import Requirement, age_that_would_do, refusal_of, require_no_waiting, signed_in
from .rules import Rule

__all__ = ["Decision", "RouterGuard", "login_redirect_target", "route_path"]

logger: logging.Logger = logging.getLogger(__name__)

# How many choices are remembered, and how long a path and its method may be together: a client that makes up paths
# can't fill the memory.
_REMEMBERED, _REMEMBERED_LENGTH = 1_024, 256

_EVERYTHING = Pattern("/**")
_AMBIGUOUS = Choice(_EVERYTHING, None, None, "ambiguous path")
_OPEN = Choice(_EVERYTHING, None, None, "no rule matches")
_PROTECTED = Choice(_EVERYTHING, None, signed_in, "global protection")
_PREFLIGHT = Decision(allowed=True, rule=None, reason="a CORS preflight, which carries no session")


class RouterGuard(Frozen):
    """Protects paths by rules, of which the first that matches path and method decides.

    Use it for the whole application, ``kit.install(app, guard=guard)``, or as a dependency of a router,
    ``APIRouter(dependencies=[Depends(guard)])``. Immutable; everything is checked when it is made.

    Args:
        protect: the rules, in order.
        login_path: where a browser goes to sign in. Open under global protection; never redirects to itself.
        reauthenticate_path: where a signed-in browser goes that signed in too long ago for ``fresh``; by default
            ``login_path``. Needs somebody signed in under global protection; never redirects to itself.
        home_path: where a signed-in browser goes that asks for the login page under global protection, unless a rule
            or ``exclude`` names the login page.
        global_protect: what no rule is about needs somebody signed in; otherwise it is open.
        exclude: patterns that stay open under global protection; without it they say nothing.
        debug: log each decision at DEBUG with rule, reason and the session's shape, never its values.

    Raises:
        ConfigurationError: for anything that can't be enforced as written.
    """

    __slots__ = (
        "_again",
        "_decisions",
        "_home",
        "_login",
        "_remembered",
        "debug",
        "exclude",
        "global_protect",
        "home_path",
        "login_path",
        "reauthenticate_path",
        "rules",
    )

    def __init__(
        self,
        protect: Iterable[Rule] = (),
        *,
        login_path: str | None = None,
        reauthenticate_path: str | None = None,
        home_path: str = "/",
        global_protect: bool = False,
        exclude: Iterable[str] = (),
        debug: bool = False,
    ) -> None:
        require_bool(global_protect, "RouterGuard(global_protect=...)")
        require_bool(debug, "RouterGuard(debug=...)")
        self.rules: tuple[Rule, ...] = require_list(
            protect, "RouterGuard(protect=...)", '[Rule("/admin/**", role="admin")]'
        )
        if not all(isinstance(rule, Rule) for rule in self.rules):
            raise ConfigurationError(
                f'RouterGuard(protect=...) takes Rules: protect=[Rule("/admin/**", role="admin")], not {protect!r}'
            )
        excluded = require_list(exclude, "RouterGuard(exclude=...)", '["/public/**"]')
        self.exclude: tuple[Pattern, ...] = tuple(map(Pattern, excluded))
        self.login_path: str | None = (
            None if login_path is None else checked_target(login_path, "RouterGuard(login_path=...)")
        )
        self.reauthenticate_path: str | None = reauthenticate_path
        if reauthenticate_path is not None:
            checked_target(reauthenticate_path, "RouterGuard(reauthenticate_path=...)")
            _page(path_of(reauthenticate_path), "reauthenticate_path")
        self._again = login_path if reauthenticate_path is None else reauthenticate_path
        self.home_path: str = checked_target(home_path, "RouterGuard(home_path=...)")
        self.global_protect: bool = global_protect
        self.debug: bool = debug
        self._home = _page(path_of(home_path), "home_path")
        self._login = (
            None if login_path is None else Choice(_page(login_path, "login_path"), None, None, "the login page")
        )
        self._decisions = self._decisions_by_method()
        self._remembered = lru_cache(_REMEMBERED)(self._find)

    def _decisions_by_method(self) -> dict[str, Decisions]:
        """The decisions for each method that a rule names; under ``""`` those for all others."""
        rules = [
            Choice(rule.path, rule, rule.requirement, "public" if rule.public else "a rule") for rule in self.rules
        ]
        after: list[Choice] = []
        if self.global_protect:
            after += (Choice(each, None, None, "excluded from global protection") for each in self.exclude)
            after += [] if self._login is None else [self._login]
        fallback = _PROTECTED if self.global_protect else _OPEN
        made = {}
        for method in {"", *(name for rule in self.rules for name in rule.methods or ())}:
            own = [choice for choice in rules if choice.rule is not None and choice.rule.covers_method(method)]
            made[method] = Decisions((*own, *after), fallback)
        return made

    def decisions(self, method: str) -> Decisions:
        """What there is to choose from for a method, in order: the rules, what stays open, and the fallback.

        Everything that decides, documents or reports reads this. A path that is refused as ambiguous never comes to it.
        """
        return self._decisions.get(method.upper()) or self._decisions[""]

    async def decide(
        self,
        method: str,
        path: str,
        session: Any,
        *,
        access: Access = Access(),
        age: float | None = None,
        public: bool = False,
    ) -> Decision:
        """What the guard says about a request.

        Args:
            method: the HTTP method; GET for a WebSocket handshake.
            path: the path as the router sees it: decoded, without ``root_path``.
            session: the session, or ``None`` when nobody is signed in.
            access: how to read the session; a kit gives its own.
            age: seconds since the user signed in, for ``fresh``.
            public: whether the endpoint at that path is marked ``@public``.
        """
        return await self._decide(
            self._choice(method, path).for_endpoint(public=public), path, Subject(session, access, age)
        )

    def allows_now(self, method: str, path: str, own: RequestSession[Any], caller: str, *, public: bool) -> bool:
        """Whether the guard would let whoever is signed in pass, as far as that can be told without waiting.

        Raises:
            ConfigurationError: the session is not loaded, or a check is asynchronous. Its message names the caller.
        """
        choice = self._choice(method, path).for_endpoint(public=public)
        if choice is _AMBIGUOUS:
            return False
        requirement = choice.required(own.access)
        if requirement is None:
            return True
        require_no_waiting(requirement, own.access, caller)
        subject = own.loaded_subject(caller).at(choice.pattern.named_segments(path))
        return requirement.refusal_now(subject) is None

    async def _decide(self, choice: Choice, path: str, subject: Subject) -> Decision:
        return await _decision(choice, choice.required(subject.access), subject.at(choice.pattern.named_segments(path)))

    async def enforce(
        self,
        own: RequestSession[Any],
        scope: Scope,
        *,
        routed: bool = False,
        is_marked: Callable[[Scope], bool] = leads_to_public,
    ) -> None:
        """Let the request pass, or raise what it is answered with. Loads the session only where it matters.

        Args:
            own: the request's session.
            scope: the request.
            routed: whether its route is found already, so that this guard is one of its dependencies.
            is_marked: tells whether the request comes to an endpoint that is marked ``@public``.

        Raises:
            NotAuthenticated: 401; with ``HX-Redirect`` for HTMX.
            Forbidden: 403.
            HTTPException: 302 or 303 for a browser that is sent elsewhere; 400 for an ambiguous path.
            StoreUnavailable: 503.
        """
        if self._again is not None:
            own.guard = self
        root = scope.get("root_path")
        path, method = route_path(scope) if root else scope["path"], scope.get("method", "GET")
        short = len(path) + len(method) <= _REMEMBERED_LENGTH
        choice = self._remembered(method, path) if short else self._find(method, path)  # each call would cost here
        if root and is_ambiguous(scope["path"]):
            choice = _AMBIGUOUS
        elif choice.is_fallback_that_asks:
            choice = choice.for_endpoint(public=is_marked(scope))
        access = own.access
        requirement = choice.requirement if access.check is None else choice.required(access)
        if requirement is None:
            subject = Subject(None)  # whoever it is
        else:
            await own.settle()
            subject = own.subject()
            if choice.pattern.names:
                subject = subject.at(choice.pattern.named_segments(path))
            if not self.debug and requirement.refusal_now(subject) is None:
                return
        decision = await _decision(choice, requirement, subject)
        if requirement is not None and not decision.allowed and _passes_as_preflight(scope, routed=routed):
            decision = _PREFLIGHT
        self._log(decision, method, path, subject)
        if not decision.allowed:
            own.announce("denied", decision.reason)
            raise await self._error(choice, decision, scope, subject)
        if choice is self._login and method == "GET" and is_navigation(scope):
            await self._send_home(own, scope, path)

    def _log(self, decision: Decision, method: str, path: str, subject: Subject) -> None:
        if not self.debug:
            return
        verdict = "allowed" if decision.allowed else "denied"
        rule = "no rule" if decision.rule is None else f"rule {decision.rule}"
        shape = _shape(subject.session)
        logger.debug("%s %r: %s by %s (%s), session %s", method, path, verdict, rule, decision.reason, shape)

    async def __call__(self, connection: HTTPConnection) -> None:
        """The guard as a dependency; the same decision as on the application."""
        own = request_session_of(connection.scope, "Depends(RouterGuard(...))")
        if own.services.anonymous:
            raise ConfigurationError(NO_USERS)
        if own.is_settled:
            await own.settle_now()
        await self.enforce(own, connection.scope, routed=True)
        own.judges = (*own.judges, (self._enforce_routed, connection.scope))

    async def _enforce_routed(self, own: RequestSession[Any], scope: Scope) -> None:
        await self.enforce(own, scope, routed=True)

    def _choice(self, method: str, path: str) -> Choice:
        """What is required, before anybody's session is looked at."""
        short = len(path) + len(method) <= _REMEMBERED_LENGTH
        return self._remembered(method, path) if short else self._find(method, path)

    def _find(self, method: str, path: str) -> Choice:
        return _AMBIGUOUS if is_ambiguous(path) else self.decisions(method).find(path)

    async def _send_home(self, own: RequestSession[Any], scope: Scope, path: str) -> None:
        if self._home.matches(path) or await own.load() is None:
            return
        if not await self._asks_for_step_up(wanted_page(scope), scope, own.subject()):
            if self.debug:
                logger.debug("%r is for those who are not signed in: sent to %r", path, self.home_path)
            raise redirect(scope, self.home_path)

    async def _error(self, choice: Choice, decision: Decision, scope: Scope, subject: Subject) -> HTTPException:
        if choice is _AMBIGUOUS:
            return HTTPException(400, "Ambiguous path")
        somebody = bool(decision.signed_in)
        refused = refusal(str(decision.requirement), signed_in=somebody, max_age=decision.max_age)
        if decision.max_age is not None:
            return await self.step_up_error(refused, scope, subject)
        target = self._target(decision)
        if target is not None and follows(scope) and await self._leads_in_circles(target, scope, subject):
            target = None
        return denial_error(scope, refused, target, back=not somebody)

    def _target(self, decision: Decision) -> str | None:
        """Where a browser is sent that may not see a page."""
        target = None if decision.rule is None else decision.rule.redirect_to
        return target if decision.signed_in else target or self.login_path

    async def _leads_in_circles(self, target: str, scope: Scope, subject: Subject) -> bool:
        """Whether a browser that is sent to a page would come back to one that it has been to, and never to an end."""
        method = "HEAD" if scope.get("method") == "HEAD" else "GET"
        seen = set[str]()
        following: str | None = target
        while following is not None:
            page = page_of(following)
            if page in seen:
                return True
            seen.add(page)
            following = await self._next(method, page, subject)
        return False

    async def _next(self, method: str, page: str, subject: Subject) -> str | None:
        """Where a browser is sent that comes to a page of this application; ``None`` where it ends there."""
        choice = self._choice(method, page)
        decision = await self._decide(choice, page, subject)
        if not decision.allowed:
            target = None if decision.max_age is not None else self._target(decision)
            return None if target is None or page_of(target) == page else target
        may_send_home = choice is self._login and method == "GET" and not subject.is_nobody
        return self.home_path if may_send_home and not self._home.matches(page) else None

    async def step_up_error(
        self, refused: Callable[..., HTTPException], scope: Scope, subject: Subject
    ) -> HTTPException:
        """What to raise where a recent sign-in is missing; ``refused`` makes the 401.

        A browser is sent to a page that lets it in, and that does not send it home, or nowhere.
        """
        target = self._again
        if target is not None:
            choice = self._choice("GET", path_of(target))
            decision = await self._decide(choice, path_of(target), subject)
            if not decision.allowed or (choice is self._login and await self._would_send_home(target, scope, subject)):
                target = None
        return denial_error(scope, refused, target, back=True)

    async def _would_send_home(self, login_page: str, scope: Scope, subject: Subject) -> bool:
        if self._home.matches(path_of(login_page)):
            return False
        return not await self._asks_for_step_up(page_to_return_to(scope), scope, subject)

    async def _asks_for_step_up(self, page: str | None, scope: Scope, subject: Subject) -> bool:
        """Whether a page, as the browser knows it, would let somebody in who signs in anew."""
        if page is None:
            return False
        path = route_path({"path": unquote(path_of(page)), "root_path": scope.get("root_path", "")})
        return (await self._decide(self._choice("GET", path), path, subject)).max_age is not None


def login_redirect_target(request: HTTPConnection, default: str = "/") -> str:
    """Where to send the browser after signing in: the query's ``next`` if it is a path on this site, else ``default``.

    The result is safe as a ``Location``: it never leads to another site, so a ``default`` that would counts as ``/``.
    (As a bare dependency FastAPI would take ``default`` from the query.) ``next`` given more than once counts as none.
    The login form must hand the query on: ``<form method="post">`` without an action does.

    Source: OWASP, Unvalidated Redirects and Forwards Cheat Sheet.
    """
    return next_target(request, default)


async def _decision(choice: Choice, requirement: Requirement | None, subject: Subject) -> Decision:
    """Hold somebody against what is required."""
    if requirement is None:
        return Decision(choice is not _AMBIGUOUS, choice.rule, choice.reason)
    reason, somebody = await refusal_of(requirement, subject), not subject.is_nobody
    if reason is None:
        return Decision(True, choice.rule, f"fulfils {requirement}", requirement, somebody)  # noqa: FBT003
    max_age = await age_that_would_do(requirement, subject)
    return Decision(False, choice.rule, reason, requirement, somebody, max_age)  # noqa: FBT003


def _passes_as_preflight(scope: Scope, *, routed: bool) -> bool:
    if not is_preflight(scope):
        return False
    return route_answers_preflight(scope) if routed else answers_preflight(scope["app"], scope)


def _page(path: str, name: str) -> Pattern:
    if not {"*", "{"}.isdisjoint(path):
        raise ConfigurationError(f"RouterGuard({name}=...) is one page, not a pattern: {path!r}")
    return Pattern(path)


def _shape(session: Any) -> str:
    """The session's model and which of its fields hold something."""
    if session is None:
        return "not asked or nobody"
    fields = [name for name in type(session).model_fields if getattr(session, name, None)]
    return f"{type(session).__name__}({', '.join(fields)})"
