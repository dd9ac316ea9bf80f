"""The pure ASGI layer: attach the handle, gate, and commit once, just before the response's first byte."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from fastapi import HTTPException
from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_sessionkit._cookie import mark
from fastapi_sessionkit._handle import SCOPE_KEY, Services, SessionHandle
from fastapi_sessionkit._lifecycle import Lifecycle
from fastapi_sessionkit._origin import SAFE_METHODS
from fastapi_sessionkit.errors import Forbidden, StoreUnavailable
from fastapi_sessionkit.guard import RouterGuard

logger: logging.Logger = logging.getLogger(__name__)

_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start", "websocket.close"})


class ResponseReplaced(OSError):
    """Raised from ``send`` when the commit failed and another response went out instead.

    An ``OSError``, because that is what a server raises when nobody listens any more: whatever produces the response
    stops, and no background task runs for what was not saved.
    """


class SessionMiddleware:
    """The innermost middleware of an application that has a kit."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        services: Services[Any],
        guard: RouterGuard | None,
        host: Starlette,
        lifecycle: Lifecycle,
    ) -> None:
        self.app = app
        self.services = services
        self.guard = guard
        self.host = host
        self.lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._watched(send))
            return
        if not self.lifecycle.checked:
            self.lifecycle.check()
        outer: SessionHandle[Any] | None = scope.get(SCOPE_KEY)
        shared = None if outer is None else _found(outer, self.services.kit)
        if shared is not None:  # the same kit on an application around this one: one handle a request
            await self._serve(shared, scope, receive, send)
            return
        # A copy, so that scope and handle are no cycle: both go with the request, without the garbage collector.
        handle = scope[SCOPE_KEY] = SessionHandle(self.services, dict(scope), self.host, outer)
        answer = partial(self._answer, handle, scope, receive, send)
        try:
            await self._serve(handle, scope, receive, answer if scope["type"] == "http" else _closing(answer, scope))
        except Exception:
            if not handle.replaced:
                handle.closed = True  # nothing will be committed any more: a helper that is called now says so
                raise
        finally:
            if outer is not None:
                scope[SCOPE_KEY] = outer

    def _answer(
        self, handle: SessionHandle[Any], scope: Scope, receive: Receive, send: Send, message: Message
    ) -> Awaitable[None]:
        """The way out of one request: the first message of the response waits for the commit."""
        if not handle.closed and message["type"] in _STARTS:
            handle.closed = True  # before the commit: a change that came while it waits would be lost
            if handle.pending:
                return _Commit(handle, self._respond, scope, receive, send).answer(message)
            if handle.asked:
                mark(message, None, signed_in=handle.session is not None)
        elif handle.replaced:
            raise ResponseReplaced
        return send(message)

    async def _serve(self, handle: SessionHandle[Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, unless the origin check or the gate does."""
        try:
            if scope.get("method") not in SAFE_METHODS:
                self._refuse_cross_origin(handle, scope)
            if self.guard is not None:
                await self.guard.enforce(handle, scope)
        except HTTPException as refusal:
            await self._respond(refusal, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refuse_cross_origin(self, handle: SessionHandle[Any], scope: Scope) -> None:
        if handle.token is not None and not self.services.origins.allows(scope):
            handle.asked = True
            method = scope.get("method", "GET")
            logger.debug("%s %r: refused, the session's cookie came from another origin", method, scope["path"])
            raise Forbidden("Cross-origin request refused")

    async def _respond(
        self, error: Exception, scope: Scope, receive: Receive, send: Send, *, handled: bool = True
    ) -> None:
        """Answer with an error as if the application had raised it: its exception handlers see it, if ``handled``."""

        async def failing(*_: object) -> None:
            raise error

        handlers = _handlers(self.host) if handled else {}
        await ExceptionMiddleware(failing, handlers=handlers)(scope, receive, send)

    def _watched(self, send: Send) -> Send:
        async def send_watched(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.lifecycle.start()
            elif message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await self.lifecycle.stop()
            await send(message)

        return send_watched


class _Commit:
    """Saves what one request changed, before the first message of its response goes out."""

    def __init__(
        self, handle: SessionHandle[Any], respond: Callable[..., Any], scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._handle = handle
        self._respond = respond
        self._scope, self._receive, self._send = scope, receive, send

    async def answer(self, message: Message) -> None:
        """Commit and send the message, or answer what kept it from being saved and raise."""
        try:
            await self._mark(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered or raised
            await self._replace(error)
        await self._send(message)

    async def _mark(self, message: Message) -> None:
        cookie = await self._commit(message)
        mark(message, cookie, signed_in=self._handle.session is not None)

    async def _commit(self, message: Message) -> bytes | None:
        if message["type"] == "websocket.close" and self._handle.needs_cookie:
            logger.warning("A handshake that is refused by closing can carry no cookie: the new session is dropped")
            return None
        return await self._handle.commit() if message.get("status", 200) < 500 else None

    async def _replace(self, error: Exception) -> NoReturn:
        """Send what the failed commit is answered with; raises in any case.

        The application's exception handler may change the session again, to sign out for example.
        """
        self._handle.reopen()
        self._scope[SCOPE_KEY] = self._handle  # also where an application with a kit of its own failed, inside this one
        send = _closing(self._send_instead, self._scope)
        try:
            await self._respond(error, self._scope, self._receive, send)  # raises what has no handler
        except StoreUnavailable as again:  # a handler changed the session once more, and that was not saved either
            self._handle.reopen()
            await self._respond(again, self._scope, self._receive, send, handled=False)
        self._handle.replaced = True
        raise ResponseReplaced from error

    async def _send_instead(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self._handle.closed = True
            await self._mark(message)
        await self._send(message)


def _found(handle: SessionHandle[Any] | None, kit: object) -> SessionHandle[Any] | None:
    while handle is not None and handle.services.kit is not kit:
        handle = handle.outer
    return handle


def _handlers(host: Starlette) -> Mapping[Any, Any]:
    return {key: handler for key, handler in host.exception_handlers.items() if key not in {500, Exception}}


def _closing(send: Send, scope: Scope) -> Send:
    """For a server that can't answer a handshake with a response: refuse it (RFC 6455, close code 1008)."""
    if scope["type"] == "http" or "websocket.http.response" in (scope.get("extensions") or ()):
        return send

    async def send_closing(message: Message) -> None:
        if message["type"] == "websocket.http.response.start":
            await send({"type": "websocket.close", "code": 1008})
        elif message["type"] != "websocket.http.response.body":
            await send(message)

    return send_closing
