"""Changing the session: plain functions on the ``Request``, or on a ``WebSocket`` before it is accepted.

They mark what is wanted; it is saved once, just before the response's first byte, on every response below 500. They
work in ``async`` and in ``def`` endpoints alike, because they wait for nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.requests import HTTPConnection

from ._request.codec import Compute, Update
from ._request.lookup import request_session_of
from ._request.request_session import RequestSession
from ._settings import Duration, in_seconds, require_bool


def set_session(
    request: HTTPConnection, session: BaseModel, *, ttl: Duration | None = None, persistent: bool = True
) -> None:
    """Sign in: always under a new id; the session there was is ended.

    Args:
        request: the request that signs in.
        session: an instance of the kit's model.
        ttl: this session's own idle lifetime, ``timedelta`` or seconds; the kit's ``idle_timeout`` by default. The
            kit's ``absolute_timeout`` ends it all the same.
        persistent: whether the browser keeps the cookie when it is closed ("stay signed in"). Without, the cookie has no
            ``Max-Age``, as long as this session lives. The server ends the session when it would otherwise, no sooner:
            a browser that restores its tabs keeps such a cookie too.

    Raises:
        Forbidden: an unsafe request from another origin tries to sign somebody in (login CSRF).
        SessionTooLarge: it would not fit into the cookie.
        TypeError: it is not of the kit's model.
        SessionKitError: the response has started.
    """
    begin_session(request_session_of(request.scope, "set_session"), session, ttl, persistent)


def begin_session(own: RequestSession[Any], session: BaseModel, ttl: Duration | None, persistent: bool) -> None:  # noqa: FBT001
    """Mark what a ``set_session`` means."""
    require_bool(persistent, "set_session(persistent=...)")
    own.sign_in(session, None if ttl is None else in_seconds(ttl, "ttl"), transient=not persistent)


def update_session(
    request: HTTPConnection, compute: Callable[[Any], Mapping[str, Any]] | None = None, /, **changes: Any
) -> None:
    """Change some fields: validated at once, seen by later reads of this request, merged field by field when saved.

    A value that is made from the old one needs a function, ``update_session(request, lambda s: {"n": s.n + 1})``: it
    is run at once, and again on what the store holds by the time of saving, so that of fifty requests each one counts.
    It must give the same for the same session and do nothing else.

    A change of ``user_id``, ``role``, ``roles`` or ``permissions`` also moves the session to a new id.

    Raises:
        NotAuthenticated: nobody is signed in.
        TypeError: both a function and fields are given, or the function gives anything but fields.
        pydantic.ValidationError: the session would not fit its model; nothing is changed.
        SessionTooLarge: it would not fit into the cookie; nothing is changed.
        SessionKitError: the response has started.
    """
    request_session_of(request.scope, "update_session").update(one_update(compute, changes))


def one_update(compute: Compute | None, changes: Mapping[str, Any]) -> Update:
    """The one change that an ``update_session`` means."""
    if compute is None:
        return changes
    if changes or not callable(compute):
        raise TypeError(
            "update_session takes either fields, tier='premium', or one function of the session that gives them"
        )
    return compute


def clear_session(request: HTTPConnection) -> None:
    """Sign out: the record is deleted and the cookie expired. Signing nobody out is fine.

    Raises:
        SessionKitError: the response has started.
    """
    request_session_of(request.scope, "clear_session").sign_out()


def reauthenticate_session(request: HTTPConnection) -> None:
    """Note that the user has just proved again who they are, which is what ``fresh`` asks for (step-up, RFC 9470).

    Call it once the password, or whatever it is, has been checked. The session moves to a new id, and the old one ends
    at once: who holds a copy of it gains nothing.

    Raises:
        NotAuthenticated: nobody is signed in.
        Forbidden: an unsafe request from another origin, as for ``set_session``.
        SessionKitError: the response has started.
    """
    request_session_of(request.scope, "reauthenticate_session").reauthenticate()


def regenerate_session(request: HTTPConnection) -> None:
    """Keep the session under a new id; the old one serves requests under way for ``rotation_grace`` more seconds.

    Raises:
        NotAuthenticated: nobody is signed in.
        SessionKitError: the response has started.
    """
    request_session_of(request.scope, "regenerate_session").rotate()
