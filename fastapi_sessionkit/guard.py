"""The router guard: which rule decides about a request, and what it decides."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from fastapi import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ._denial import denial_error, is_navigation, redirect
from ._patterns import UNREADABLE, Pattern, PatternIndex
from ._preflight import answers_preflight, is_preflight, route_answers_preflight
from ._redirects import checked_target
from ._request.lookup import request_session_of
from ._request.request_session import RequestSession
from ._settings import require_bool, require_list
from .errors import ConfigurationError
from .requirements import Access, Requirement, Subject, custom, name_of, signed_in
from .rules import Rule

logger: logging.Logger = logging.getLogger(__name__)

# How many answers are remembered, and how long a path and its method may be together: a client that makes up paths
# can't fill the memory.
_REMEMBERED, _REMEMBERED_LENGTH = 1_024, 256

# What parts of the stack could read differently: refusing is safe, normalising is not.
_UNCLEAR = re.compile(rf"{UNREADABLE.pattern}|//|/\.{{1,2}}(?:/|\Z)|\A(?!/)")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a guard says about one request.

    Attributes:
        allowed: whether the request may pass.
        rule: the rule that decided; ``None`` when none matched.
        reason: why, in words that hold no value of the session.
        requirement: what was required; ``None`` where everybody may pass.
        signed_in: whether somebody is signed in; ``None`` when that did not matter.
    """

    allowed: bool
    rule: Rule | None
    reason: str
    requirement: Requirement | None = None
    signed_in: bool | None = None


class Selection:
    """What a path and a method require, whoever asks: ``requirement`` is ``None`` where everybody may pass.

    ``granted`` is what is decided about somebody who is signed in and fulfils it, or about everybody.
    """

    __slots__ = ("granted", "requirement", "rule")

    def __init__(
        self, rule: Rule | None, requirement: Requirement | None, reason: str = "", *, allowed: bool = True
    ) -> None:
        self.rule: Rule | None = rule
        self.requirement: Requirement | None = requirement
        reason = reason or f"fulfils {requirement}"
        signed_in = None if requirement is None else True
        self.granted: Decision = Decision(
            allowed=allowed, rule=rule, reason=reason, requirement=requirement, signed_in=signed_in
        )


_AMBIGUOUS = Selection(None, None, "ambiguous path", allowed=False)
_PREFLIGHT = Selection(None, None, "a CORS preflight, which carries no session")
_NO_RULE = Selection(None, None, "no rule matches")
_LOGIN_PAGE = Selection(None, None, "the login page")
_EXCLUDED = Selection(None, None, "excluded from global protection")
_PROTECTED = Selection(None, signed_in)


class RouterGuard:
    """Protects paths by rules, of which the first that matches path and method decides.

    Use it for the whole application, ``kit.install(app, guard=guard)``, or as a dependency of a router,
    ``APIRouter(dependencies=[Depends(guard)])``. Immutable; everything is checked when it is made.

    Args:
        protect: the rules, in order.
        login_path: where a browser goes to sign in. Open under global protection; never redirects to itself.
        home_path: where a signed-in browser goes that asks for the login page under global protection, unless a rule
            or ``exclude`` names the login page.
        global_protect: what no rule is about needs somebody signed in; otherwise it is open.
        exclude: patterns that stay open under global protection.
        debug: log each decision at DEBUG with rule, reason and the session's shape, never its values.

    Raises:
        ConfigurationError: for anything that can't be enforced as written.
    """

    def __init__(
        self,
        protect: Iterable[Rule] = (),
        *,
        login_path: str | None = None,
        home_path: str = "/",
        global_protect: bool = False,
        exclude: Iterable[str] = (),
        debug: bool = False,
    ) -> None:
        self.rules: tuple[Rule, ...] = require_list(
            protect, "RouterGuard(protect=...)", '[Rule("/admin/**", role="admin")]'
        )
        if not all(isinstance(rule, Rule) for rule in self.rules):
            raise ConfigurationError(
                f'RouterGuard(protect=...) takes Rules: protect=[Rule("/admin/**", role="admin")], not {protect!r}'
            )
        patterns = require_list(exclude, "RouterGuard(exclude=...)", '["/public/**"]')
        require_bool(global_protect, "RouterGuard(global_protect=...)")
        require_bool(debug, "RouterGuard(debug=...)")
        self.exclude: tuple[Pattern, ...] = tuple(map(Pattern, patterns))
        if self.exclude and not global_protect:
            raise ConfigurationError(
                "RouterGuard(exclude=...) says what stays open under global protection: add global_protect=True"
            )
        self.login_path: str | None = (
            None if login_path is None else checked_target(login_path, "RouterGuard(login_path=...)")
        )
        self.home_path: str = checked_target(home_path, "RouterGuard(home_path=...)")
        self.global_protect: bool = global_protect
        self.debug: bool = debug
        self._login = None if login_path is None else _page(login_path, "login_path")
        self._home = _page(_path_of(home_path), "home_path")
        named = frozenset[str]().union(*(rule.methods or () for rule in self.rules))
        self._indexes = {method: self._index(method) for method in named}
        self._index_of_others = self._index("")
        self._remembered = lru_cache(_REMEMBERED)(self._select)
        login = [] if self._login is None else [(self._login, _LOGIN_PAGE)]
        self.open: tuple[tuple[Pattern, Selection], ...] = (*((each, _EXCLUDED) for each in self.exclude), *login)
        self._open = PatternIndex(self.open)

    async def decide(
        self, method: str, path: str, session: Any, *, access: Access = Access(), age: float | None = None
    ) -> Decision:
        """What the guard says about a request.

        Args:
            method: the HTTP method; GET for a WebSocket handshake.
            path: the path as the router sees it: decoded, without ``root_path``.
            session: the session, or ``None`` when nobody is signed in.
            access: how to read the session; a kit gives its own.
            age: seconds since the user signed in, for ``fresh``.
        """
        return await self.judge(self.select(method, path), Subject(session, access, age))

    def select(self, method: str, path: str) -> Selection:
        """What a path and a method require, before anybody's session is looked at."""
        short = len(path) + len(method) <= _REMEMBERED_LENGTH
        return self._remembered(method, path) if short else self._select(method, path)

    def _select(self, method: str, path: str) -> Selection:
        if _UNCLEAR.search(path):
            return _AMBIGUOUS
        method = method.upper()
        selection = self._indexes.get(method, self._index_of_others).find(path)
        if selection is not None:
            return selection
        if not self.global_protect:
            return _NO_RULE
        return self._open.find(path) or _PROTECTED

    def _index(self, method: str) -> PatternIndex[Selection]:
        """The rules about a method; of one that no rule names, those about all methods."""
        return PatternIndex((rule.path, _selection(rule)) for rule in self.rules if rule.covers_method(method))

    async def judge(self, selection: Selection, subject: Subject) -> Decision:
        """Hold somebody against what is required."""
        rule, requirement = selection.rule, selection.requirement
        if rule is not None:
            requirement = enforced(rule, subject.access)
        if requirement is None:
            return selection.granted
        reason = await requirement.refusal(subject)
        somebody = subject.session is not None
        return Decision(reason is None, rule, reason or f"fulfils {requirement}", requirement, somebody)

    async def enforce(self, handle: RequestSession[Any], scope: Scope, *, routed: bool = False) -> None:
        """Let the request pass, or raise what it is answered with. Loads the session only where it matters.

        Args:
            handle: the request's session.
            scope: the request.
            routed: whether its route is found already, so that this guard is one of its dependencies.

        Raises:
            NotAuthenticated: 401; with ``HX-Redirect`` for HTMX.
            Forbidden: 403.
            HTTPException: 302 or 303 for a browser that is sent elsewhere; 400 for an ambiguous path.
            StoreUnavailable: 503.
        """
        root = scope.get("root_path")
        path, method = route_path(scope) if root else scope["path"], scope.get("method", "GET")
        short = len(path) + len(method) <= _REMEMBERED_LENGTH
        selection = self._remembered(method, path) if short else self._select(method, path)
        if root and _UNCLEAR.search(scope["path"]):
            selection = _AMBIGUOUS
        decision = selection.granted
        if selection.requirement is not None:
            session, access = await handle.load(), handle.services.access
            if access.check is not None or not selection.requirement.is_met(session, access):
                decision = await self.judge(selection, handle.subject())
                if not decision.allowed and is_preflight(scope):
                    passes = route_answers_preflight(scope) if routed else answers_preflight(scope["app"], scope)
                    decision = _PREFLIGHT.granted if passes else decision
            elif not self.debug:
                return
        if self.debug:
            _log(decision, method, path, await handle.load() if decision.signed_in else None)
        if not decision.allowed:
            raise (
                HTTPException(400, "Ambiguous path") if selection is _AMBIGUOUS else self._error(decision, path, scope)
            )
        if selection is _LOGIN_PAGE and method == "GET" and is_navigation(scope):
            await self._send_home(handle, scope, path)

    async def __call__(self, connection: HTTPConnection) -> None:
        """The guard as a dependency; the same decision as on the application."""
        handle = request_session_of(connection.scope, "Depends(RouterGuard(...))")
        if handle.asked:
            await handle.current()
        await self.enforce(handle, connection.scope, routed=True)
        handle.judgements = (*handle.judgements, partial(self.enforce, handle, connection.scope, routed=True))

    async def _send_home(self, handle: RequestSession[Any], scope: Scope, path: str) -> None:
        if not self._home.matches(path) and await handle.load() is not None:
            if self.debug:
                logger.debug("%r is for those who are not signed in: sent to %r", path, self.home_path)
            raise redirect(scope, self.home_path)

    def _error(self, decision: Decision, path: str, scope: Scope) -> HTTPException:
        target = None if decision.rule is None else decision.rule.redirect_to
        page = _path_of(target or "")
        if decision.signed_in and self._home.matches(path) and self.select("GET", page) is _LOGIN_PAGE:
            target = None  # the login page would send it straight back
        return denial_error(
            scope,
            str(decision.requirement),
            signed_in=bool(decision.signed_in),
            redirect_to=target,
            login_path=self.login_path,
        )


def _selection(rule: Rule) -> Selection:
    return Selection(rule, rule.requirement, "public" if rule.public else "")


def _path_of(target: str) -> str:
    return target.partition("#")[0].partition("?")[0]


def _page(path: str, name: str) -> Pattern:
    if "*" in path:
        raise ConfigurationError(f"RouterGuard({name}=...) is one page, not a pattern: {path!r}")
    return Pattern(path)


def enforced(rule: Rule, access: Access) -> Requirement | None:
    """What is asked where a rule decides: its own conditions, or the kit's check instead of them."""
    check = access.check
    if check is None or rule.requirement is None:
        return rule.requirement
    return custom(partial(check, rule), name_of(check))


def route_path(scope: Scope) -> str:
    """The path as the router sees it: ``root_path`` taken off at a segment boundary, as Starlette does."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root):
        if path == root:
            return "/"
        if path[len(root)] == "/":
            return path[len(root) :]
    return path


def _log(decision: Decision, method: str, path: str, session: Any) -> None:
    verdict = "allowed" if decision.allowed else "denied"
    rule = "no rule" if decision.rule is None else f"rule {decision.rule}"
    logger.debug("%s %r: %s by %s (%s), session %s", method, path, verdict, rule, decision.reason, _shape(session))


def _shape(session: Any) -> str:
    """The session's model and which of its fields hold something."""
    if session is None:
        return "not asked or nobody"
    fields = [name for name in type(session).model_fields if getattr(session, name, None)]
    return f"{type(session).__name__}({', '.join(fields)})"
