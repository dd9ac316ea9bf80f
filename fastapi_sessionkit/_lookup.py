"""Finding the handle of the current request, or saying what to do when there is none."""

from collections.abc import Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.types import Scope

from fastapi_sessionkit._handle import SCOPE_KEY, Services, SessionHandle
from fastapi_sessionkit.errors import ConfigurationError


def handle_of(scope: Scope, caller: str, kit: object | None = None) -> SessionHandle[Any]:
    """The handle of this request for a kit, or for the one kit of the innermost application that has any.

    Raises:
        ConfigurationError: no kit is installed, or more than one and none is named.
    """
    innermost: SessionHandle[Any] | None = scope.get(SCOPE_KEY)
    if kit is None and innermost is not None and innermost.outer is not None:
        kit = _the_kit_of(scope, innermost, caller)
    handle = innermost
    while handle is not None and kit is not None and handle.services.kit is not kit:
        handle = handle.outer
    if handle is None:
        which = "no SessionKit is" if innermost is None else "this SessionKit is not"
        msg = (
            f"{caller} found that {which} installed on the application. Install it once, next to where the "
            "application is made: kit = SessionKit(AppSession, secret_key=...); kit.install(app). Middleware comes too "
            "early to ask: the kit is always the innermost"
        )
        raise ConfigurationError(msg)
    return handle


def _the_kit_of(scope: Scope, innermost: SessionHandle[Any], caller: str) -> object:
    """The one kit that is meant where several are around: that of the application itself, if it has any."""
    kits = [services.kit for services in installed(scope.get("app"))] or [innermost.services.kit]
    if len(kits) > 1 or (kits == [innermost.services.kit] and len(list(installed(innermost.app))) > 1):
        raise ConfigurationError(ambiguous(caller))
    return kits[0]


def installed(app: object) -> Iterator[Services[Any]]:
    """The kits that are on the application itself: one that it shares with the one around it has no handle here."""
    for middleware in app.user_middleware if isinstance(app, Starlette) else ():
        services = middleware.kwargs.get("services")
        if isinstance(services, Services):
            yield services


def ambiguous(caller: str) -> str:
    """What to say to somebody who asks for "the" session where there are several."""
    return (
        f"{caller} can't tell which session is meant: more than one SessionKit is installed on this application. Use the "
        "kit's own: kit.get_session, kit.require_role(...), kit.set_session(request, ...), kit.install(app, guard=...)"
    )
