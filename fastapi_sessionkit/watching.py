"""``session_watch``: a connection that outlives its request ends with the session that it was let in by."""

import asyncio
from types import TracebackType
from typing import Any, Self

import anyio
from fastapi import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from ._request.looking import look_of
from ._request.lookup import request_session_of
from ._request.request_session import RequestSession
from ._request.saving import user_id_of
from ._settings import Duration, in_seconds
from .errors import NotAuthenticated, SessionKitError, StoreUnavailable

__all__ = ["SessionWatch", "session_watch"]

_ENDED, _TRY_AGAIN_LATER = 4401, 1013
"""Close codes of a WebSocket: one of the application's own range, and RFC 6455's for a server that can't serve now."""


class SessionWatch:
    """Watches the session of one connection, from the beginning of an ``async with`` to its end.

    Attributes:
        ended: is set when the connection was ended: ``watch.ended.is_set()``, ``await watch.ended.wait()``.
        refusal: why: ``NotAuthenticated`` when the session has ended or expired, the refusal of the rule or dependency
            that lets it in no more, ``StoreUnavailable`` when nobody could say for too long. ``None`` until then.
    """

    def __init__(self, own: RequestSession[Any], every: float) -> None:
        self.ended: anyio.Event = anyio.Event()
        self.refusal: HTTPException | None = None
        self.own: RequestSession[Any] = own
        self.every: float = every
        self.user_id: str | None = None
        self._scope: anyio.CancelScope | None = None
        self._goodbye: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to watch.

        Raises:
            NotAuthenticated: nobody is signed in.
            StoreUnavailable: the store can't say.
        """
        own = self.own
        await own.settle_now()
        if own.is_nobody:
            raise NotAuthenticated
        token = own.issued or own.token
        if token is None:
            raise SessionKitError(
                "session_watch can't watch a session that begins with this response before that has started: enter it in the "
                "body of the stream, or after accept()"
            )
        self.user_id = user_id_of(own.session)
        self._look = look_of(own.services, token)
        own.watches = (*own.watches, self)
        self._look.join(self)
        if own.scope["type"] == "websocket":
            self._scope = anyio.CancelScope()
            self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Watch no longer. What ended the body of a WebSocket stays in here; what follows the block runs."""
        self._look.leave(self)
        swallowed = self._scope is not None and self._scope.__exit__(kind, error, trace)
        if self.refusal is None:
            return swallowed
        if not self.own.closed:
            raise self.refusal
        if self._scope is not None:
            await self._say_goodbye()
        return swallowed or isinstance(error, WebSocketDisconnect)

    def end(self, refusal: HTTPException) -> None:
        """End the connection, once."""
        if self.refusal is not None:
            return
        self.refusal = refusal
        self.ended.set()
        self._look.leave(self)
        self._goodbye = self.own.end_connection(refusal, _last_message(self.own.scope["type"], refusal))
        if self._scope is not None:
            self._scope.cancel()

    async def stop(self) -> None:
        """The request is over, and so is the watch, whatever becomes of the block that it was in."""
        self._look.leave(self)
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        if self._goodbye is not None:
            await asyncio.wait([self._goodbye])


def session_watch(connection: HTTPConnection, every: Duration = 30.0) -> SessionWatch:
    """End a WebSocket or an event stream when its session ends, for the length of an ``async with``.

    It ends when the session was signed out, revoked or has expired, when its id was moved away from and has no grace
    left, or when it no longer fulfils what the rules and dependencies asked that let it in. The session is looked at every
    ``every`` seconds, and at once where the store tells of changes (memory, Redis). Looking does not count as using it.
    All connections of one token in one process share one look.

    A WebSocket is closed with code 4401, and the body of the block cancelled. An event stream comes to its end; its body is
    told as if the client had gone. Of a response that has not started the refusal takes the place, and nothing is cancelled.

    A store that fails for as long as three times ``every`` ends the connection too (a WebSocket with code 1013).

    Args:
        connection: the ``WebSocket``, or the ``Request`` of the stream.
        every: how long it takes at most from one look to the next; a ``timedelta`` or seconds.

    Raises:
        ConfigurationError: no kit, or more than one, is installed; ``every`` is no length of time.
    """
    return watch_of(request_session_of(connection.scope, "session_watch"), every)


def watch_of(own: RequestSession[Any], every: Duration) -> SessionWatch:
    """The watch over one kit's session."""
    return SessionWatch(own, in_seconds(every, "session_watch(every=...)"))


def _last_message(kind: str, refusal: HTTPException) -> dict[str, Any]:
    if kind != "websocket":
        return {"type": "http.response.body", "body": b"", "more_body": False}
    unknown = isinstance(refusal, StoreUnavailable)
    return {
        "type": "websocket.close",
        "code": _TRY_AGAIN_LATER if unknown else _ENDED,
        "reason": "Session storage is unavailable" if unknown else "The session has ended",
    }
