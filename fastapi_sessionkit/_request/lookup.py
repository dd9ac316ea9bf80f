"""Finding the session of the current request, or saying what to do when there is none."""

from collections.abc import Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.types import Scope

from ..errors import ConfigurationError
from .request_session import SCOPE_KEY, RequestSession
from .services import Services


def request_session_of(scope: Scope, caller: str, kit: object | None = None) -> RequestSession[Any]:
    """This request's session for a kit, or for the one kit of the innermost application that has any.

    An anonymous kit is meant only where there is no other.

    Raises:
        ConfigurationError: no kit is installed, a middleware asks too early, or there is more than one kit and none is
            named.
    """
    innermost: RequestSession[Any] | None = scope.get(SCOPE_KEY)
    if kit is None and innermost is not None and innermost.outer is not None:
        kit = _the_kit_of(scope, innermost, caller)
    found = innermost if kit is None else request_session_of_kit(innermost, kit)
    if found is None:
        raise ConfigurationError(_absence_message(scope, caller, kit))
    return found


def request_session_of_kit(innermost: RequestSession[Any] | None, kit: object) -> RequestSession[Any] | None:
    """This one, or the one around it, that belongs to a kit."""
    found = innermost
    while found is not None and found.services.kit is not kit:
        found = found.outer
    return found


def _the_kit_of(scope: Scope, innermost: RequestSession[Any], caller: str) -> object:
    """The one kit that is meant where several are around: that of the application itself, if it has any."""
    around = list(_outwards(innermost))
    first = next((session for session in around if not session.services.anonymous), innermost)
    anonymous = first.services.anonymous
    kits = installed_kits(scope.get("app"), anonymous=anonymous) or [first.services.kit]
    if len(kits) > 1 or (kits == [first.services.kit] and len(installed_kits(first.app, anonymous=anonymous)) > 1):
        raise ConfigurationError(ambiguity_message(caller))
    return kits[0]


def _outwards(innermost: RequestSession[Any]) -> Iterator[RequestSession[Any]]:
    found: RequestSession[Any] | None = innermost
    while found is not None:
        yield found
        found = found.outer


def installed_kits(app: object, *, anonymous: bool) -> list[object]:
    """The anonymous kits, or the others, that are on the application itself."""
    return [services.kit for services in installed(app) if services.anonymous is anonymous]


def installed(app: object) -> Iterator[Services[Any]]:
    """The kits that are on the application itself: one that it shares with the one around it is not among them."""
    for middleware in app.user_middleware if isinstance(app, Starlette) else ():
        services = middleware.kwargs.get("services")
        if isinstance(services, Services):
            yield services


def _absence_message(scope: Scope, caller: str, kit: object | None) -> str:
    """Why there is no session to ask for: nobody installed the kit, or a middleware asks before its turn."""
    kits = [services.kit for services in installed(scope.get("app"))]
    if kit in kits or (kit is None and kits):
        return (
            f"{caller} was called in a middleware before the request reached the kit, which is always the innermost, so there "
            "is no session yet. Ask after `response = await call_next(request)`, or in a dependency"
        )
    which = "this SessionKit is not" if SCOPE_KEY in scope else "no SessionKit is"
    return (
        f"{caller} found that {which} installed on the application. Install it once, next to where the application is made: "
        "kit = SessionKit(AppSession, secret_key=...); kit.install(app)"
    )


def ambiguity_message(caller: str) -> str:
    """What to say to somebody who asks for "the" session where there are several."""
    return (
        f"{caller} can't tell which session is meant: more than one SessionKit is installed on this application. Use the "
        "kit's own: kit.get_session, kit.require_role(...), kit.set_session(request, ...), kit.install(app, guard=...)"
    )
