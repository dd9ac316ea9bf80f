"""What the pages of an application know of the session: for ``Jinja2Templates``, whose pages can't wait."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from jinja2 import StrictUndefined
from starlette.requests import Request

from ._application.kits import gate_of
from ._paths.routed import route_path
from ._request.lookup import request_session_of
from ._request.request_session import RequestSession
from .errors import ConfigurationError, StoreUnavailable
from .kit import SessionKit
from .requirements import Requirement, check_readable, permission, require_no_waiting, role


def context_processor(kit: SessionKit[Any]) -> Callable[[Request], dict[str, Any]]:
    """What ``Jinja2Templates(directory=..., context_processors=[context_processor(kit)])`` gives to each page.

    ================================  ======================================================================
    ``session``                       the session, or ``None`` when nobody is signed in
    ``has_role("admin")``             whether somebody is, with this role
    ``has_permission("a:write")``     the same for a permission
    ``can("GET", "/admin")``          whether the guard would let this visitor in there
    ================================  ======================================================================

    A page can't wait, so from here on the kit loads the session ahead of every request whose answer may be a page: whose
    client takes HTML. Elsewhere it must be loaded by then, see ``session_of``; where it is not, a page that uses one of these
    raises ``ConfigurationError``, which says what to write. Where the store has failed, a page that uses one of these is
    503; on the page that says so nobody is signed in. A page that uses none of them is left alone.

    ``can`` takes the path of a link, with or without the prefix of a proxy, a query or a host. It asks the guard that the
    kit is installed with, and no dependency of the route. A check that is asynchronous can't be asked from a page.
    """
    kit.services.use.in_pages = True
    return partial(_context, kit)


def _context(kit: SessionKit[Any], request: Request) -> dict[str, Any]:
    page = _Page(kit, request)
    return {
        "session": page.session(),
        "has_role": page.has_role,
        "has_permission": page.has_permission,
        "can": page.can,
    }


def _outage(own: RequestSession[Any]) -> StoreUnavailable:
    """What a page raises that uses the session after the store has failed; those that are rendered after that are a visitor's."""
    own.asked = own.failed = True
    return StoreUnavailable()


class _Page:
    """One page that is rendered. Nothing is asked before the page asks."""

    def __init__(self, kit: SessionKit[Any], request: Request) -> None:
        self._kit = kit
        self._request = request

    def session(self) -> Any:
        """The session, or what raises as soon as the page uses it."""
        try:
            own = self._own("session")
            if own.ahead and not own.is_settled and not own.failed:
                return StrictUndefined(exc=lambda _: _outage(own))  # type: ignore[arg-type]
            return own.loaded_session("session")
        except StoreUnavailable:
            return None
        except ConfigurationError as error:
            return StrictUndefined(hint=str(error), exc=ConfigurationError)  # type: ignore[arg-type]

    def has_role(self, name: str) -> bool:
        """Whether somebody is signed in who has a role."""
        return self._fulfils(role(name), "has_role")

    def has_permission(self, name: str) -> bool:
        """Whether somebody is signed in who has a permission."""
        return self._fulfils(permission(name), "has_permission")

    def can(self, method: str, target: object) -> bool:
        """Whether the guard would let the visitor in there."""
        own = self._own("can")
        guard, leads_to_public = gate_of(own.app, self._kit)
        if guard is None:
            raise ConfigurationError(
                "can(...) asks the application's guard, and it has none: kit.install(app, guard=RouterGuard(...))"
            )
        path = unquote(urlsplit(str(target)).path)
        scope = {**own.scope, "type": "http", "method": method.upper(), "path": path}
        return guard.allows_now(
            method.upper(), route_path(scope), own, f"can({method!r}, ...)", public=leads_to_public(scope)
        )

    def _fulfils(self, requirement: Requirement, caller: str) -> bool:
        access = self._kit.services.access
        require_no_waiting(check_readable(requirement, self._kit.model, access), access, caller)
        return requirement.refusal_now(self._own(caller).loaded_subject(caller)) is None

    def _own(self, caller: str) -> RequestSession[Any]:
        return request_session_of(self._request.scope, caller, self._kit)
