"""Finding the handle of the current request, or saying what to do when there is none."""

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
    handle: SessionHandle[Any] | None = scope.get(SCOPE_KEY)
    if kit is not None:
        while handle is not None and handle.services.kit is not kit:
            handle = handle.outer
    if handle is None:
        which = "no SessionKit is" if kit is None else "this SessionKit is not"
        msg = (
            f"{caller} found that {which} installed on the application. Install it once, next to where the "
            "application is made: kit = SessionKit(AppSession, secret_key=...); kit.install(app). Middleware comes too "
            "early to ask: the kit is always the innermost"
        )
        raise ConfigurationError(msg)
    if kit is None and handle.outer is not None and _kits_on(handle.app) > 1:
        msg = (
            f"{caller} can't tell which session is meant: more than one SessionKit is installed on this application. "
            "Use the kit's own: kit.get_session, kit.require_role(...), kit.set_session(request, ...)"
        )
        raise ConfigurationError(msg)
    return handle


def _kits_on(app: object) -> int:
    """Counted where they are installed: a kit that an application shares with the one around it has no handle here."""
    middleware = app.user_middleware if isinstance(app, Starlette) else ()
    return sum(isinstance(each.kwargs.get("services"), Services) for each in middleware)
