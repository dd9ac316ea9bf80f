"""The pure ASGI layer: attach the request's session, gate, and commit once, just before the response's first byte."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from fastapi import HTTPException
from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._paths.denial import may_be_page
from .._paths.patterns import Pattern
from .._request.announcing import ANNOUNCED
from .._request.changes import Action
from .._request.lookup import request_session_of_kit
from .._request.mapping import MappedSession, session_class
from .._request.origin import SAFE_METHODS, refusal, source
from .._request.request_session import SCOPE_KEY, RequestSession
from .._request.services import Services
from ..errors import Forbidden, StoreUnavailable
from ..guard import RouterGuard, route_path
from ..transport import Headers
from .caching import mark_changing, mark_dependent
from .challenges import add_challenges
from .endpoints import PublicEndpoints
from .lifecycle import Lifecycle
from .unhandled import mark_answers_to_errors, remember_session

logger: logging.Logger = logging.getLogger(__name__)

_REFUSED = "fastapi_sessionkit.refused"
"""Where the scope of a request that a kit has refused keeps the refusal, for the innermost kit to answer with."""
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
        preload: Sequence[Pattern],
        host: Starlette,
        lifecycle: Lifecycle,
        public_endpoints: PublicEndpoints,
    ) -> None:
        self.app = app
        self.services = services
        self.guard = guard
        self.preload = preload
        self.host = host
        self.lifecycle = lifecycle
        self.public_endpoints = public_endpoints
        self._header_limit = min(transport.header_limit for transport in services.transports)
        self._marks_errors = False
        self._session_class = session_class(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._watched(send))
            return
        self.lifecycle.check()
        if not self._marks_errors:  # not before now: the middleware around this one has been made
            self._marks_errors = True
            mark_answers_to_errors(self.host, _mark_if_asked)
        outer: RequestSession[Any] | None = scope.get(SCOPE_KEY)
        shared = None if outer is None else request_session_of_kit(outer, self.services.kit)
        if shared is not None:  # the same kit on an application around this one: one session a request
            await self._serve(shared, scope, receive, send)
            return
        # A copy, so that scope and session are no cycle: both go with the request, without the garbage collector.
        own = scope[SCOPE_KEY] = self._session_class(self.services, dict(scope), self.host, outer, send=send)
        if isinstance(own, MappedSession):
            await own.offer(scope)
        answer = partial(self._answer, own, scope, receive, send)
        try:
            await self._serve(own, scope, receive, answer if scope["type"] == "http" else _closing(answer, scope))
        except Exception as error:
            if not own.replaced:
                own.closed = True  # nothing will be committed any more: a helper that is called now says so
                remember_session(error, own)
                raise
        finally:
            own.send = None  # it leads back here
            if own.watches:
                await own.stop_watching()
            if outer is not None and outer.app is not self.host:  # what is around the mounted application goes on
                scope[SCOPE_KEY] = outer
        if ANNOUNCED in own.scope:  # the client has its response; an event loop may end with the request
            await self.services.events.flush()

    def _answer(
        self, own: RequestSession[Any], scope: Scope, receive: Receive, send: Send, message: Message
    ) -> Awaitable[None]:
        """The way out of one request: the first message of the response waits for the commit."""
        if not own.closed and message["type"] in _STARTS:
            own.closed = True  # before the commit: a change that came while it waits would be lost
            if message.get("status") == 401:
                add_challenges(message, own)
            if own.asked:  # nothing is pending where nobody has
                if own.is_pending:
                    return _Commit(own, self._respond, scope, receive, send).answer(message)
                if message["type"] != "websocket.close":
                    mark_dependent(message, self.services.varies_by, signed_in=own.is_somebodys)
            else:
                own.late = (_mark_late, message)
        elif own.replaced:
            raise ResponseReplaced
        return send(message)

    async def _serve(  # noqa: C901 - each request takes this way, where a call more would cost more than the loop
        self, own: RequestSession[Any], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the application answer, unless the origin check or the gate does."""
        bytes_of_headers = 0
        for _, value in scope["headers"]:
            bytes_of_headers += len(value)
        try:
            if _REFUSED in scope:
                raise scope[_REFUSED]
            if bytes_of_headers > self._header_limit:
                _refuse_long_header(own, scope)
            if scope.get("method") not in SAFE_METHODS:
                self._refuse_cross_origin(own, scope)
            if self.guard is not None:
                await self.guard.enforce(own, scope, is_marked=self.public_endpoints)
                if own.asked:
                    # As it is now: routing moves what a mount has taken off the path into the scope's ``root_path``.
                    before_routing = own.scope if own.app is self.host else dict(scope)
                    own.judges = (*own.judges, (self._enforce_again, before_routing))
            if self.preload and any(pattern.matches(route_path(scope)) for pattern in self.preload):
                await own.settle()
        except HTTPException as refusal:
            if refusal.status_code == 431:
                own.ignore_tokens()
            elif self.services.use.in_pages:
                await _load_for_page(own, scope)
            await self._refuse(refusal, scope, receive, send)
        else:
            if self.services.use.in_pages:
                await _load_for_page(own, scope)
            await self.app(scope, partial(_receive, own, receive), send)

    async def _refuse(self, refusal: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(self.app, SessionMiddleware):
            # That kit's turn comes yet, and what answers may ask for its session.
            scope[_REFUSED] = refusal
            await self.app(scope, receive, send)
        else:
            await self._respond(refusal, scope, receive, send)

    async def _enforce_again(self, own: RequestSession[Any], scope: Scope) -> None:
        if self.guard is not None:
            await self.guard.enforce(own, scope, is_marked=self.public_endpoints)

    def _refuse_cross_origin(self, own: RequestSession[Any], scope: Scope) -> None:
        services = own.services
        if services.transport.rides_along and own.has_token and not services.origins.allows(own.scope):
            own.asked = True
            services.events.announce("refused_origin", own.scope, reason=f"a request from {source(scope)}")
            error = Forbidden(refusal(scope, "request"))
            logger.debug("%s %r: %s", scope.get("method", "GET"), scope["path"], error.detail)
            raise error

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
        self, own: RequestSession[Any], respond: Callable[..., Any], scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._own = own
        self._respond = respond
        self._scope, self._receive, self._send = scope, receive, send

    async def answer(self, message: Message) -> None:
        """Commit and send the message, or answer what kept it from being saved and raise."""
        try:
            _mark(message, await self._commit(message), self._own)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered or raised
            await self._replace(error)
        await self._send(message)

    async def _commit(self, message: Message) -> Headers:
        if message.get("status", 200) >= 500:
            return []
        if message["type"] != "websocket.close":
            return await self._own.commit()
        return await self._commit_at_close()

    async def _commit_at_close(self) -> Headers:
        """A handshake that is refused by closing has no headers: what needs no new token is saved."""
        noun = self._own.services.transport.noun
        if self._own.action is Action.SIGN_IN:
            logger.warning("A handshake that is refused by closing can carry no %s: the new session is dropped", noun)
        elif await self._own.commit(may_move=False):
            logger.warning("A handshake that is refused by closing can carry no %s: the client keeps its old one", noun)
        return []

    async def _replace(self, error: Exception) -> NoReturn:
        """Send what the failed commit is answered with; raises in any case.

        The application's exception handler may change the session again, to sign out for example.
        """
        self._own.reopen()
        innermost = self._scope[SCOPE_KEY]
        if innermost.app is not self._own.app:  # an application with a kit of its own failed, inside this one
            self._scope[SCOPE_KEY] = self._own
        send = _closing(self._send_instead, self._scope)
        try:
            await self._respond(error, self._scope, self._receive, send)  # raises what has no handler
        except StoreUnavailable as again:  # a handler changed the session once more, and that was not saved either
            self._own.reopen()
            await self._respond(again, self._scope, self._receive, send, handled=False)
        self._own.replaced = True
        raise ResponseReplaced from error

    async def _send_instead(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self._own.closed = True
            if message.get("status") == 401:
                add_challenges(message, self._own)
            _mark(message, await self._commit(message), self._own)
        await self._send(message)


def _refuse_long_header(own: RequestSession[Any], scope: Scope) -> None:
    """431 where a header that brings tokens is too long: parsers below take time for it that nobody has bounded.

    The lines of one header count together: HTTP/2 sends each cookie as a line of its own.
    """
    for transport in own.services.transports:
        for brings in transport.varies_by.split(b", "):
            name = brings.lower()
            length = sum(len(value) for each, value in scope["headers"] if each == name)
            if length > transport.header_limit:
                error = HTTPException(
                    431,
                    f"The {brings.decode()} header has {length:,} bytes, and at most {transport.header_limit:,} are taken: "
                    "CookieSettings(header_limit=...)",
                )
                logger.debug("%s %r: %s", scope.get("method", "GET"), scope["path"], error.detail)
                raise error


async def _load_for_page(own: RequestSession[Any], scope: Scope) -> None:
    """A template can't wait for the session, nor can one that an exception handler renders."""
    if may_be_page(scope):
        await own.load_ahead()


async def _receive(own: RequestSession[Any], receive: Receive) -> Message:
    """A body that dribbles in does not outlive the rights that it was let in with."""
    message = await receive()
    if own.judges and message["type"] == "http.request" and not message.get("more_body", False):
        await own.judge_again()
    return message


def _mark(message: Message, given: Headers, own: RequestSession[Any]) -> None:
    varies_by = own.services.varies_by
    if message["type"] == "websocket.close":
        return
    if given or own.changes_hands:
        mark_changing(message, varies_by, given)
    else:
        mark_dependent(message, varies_by, signed_in=own.is_somebodys)


def _mark_if_asked(own: RequestSession[Any], message: Message) -> None:
    if own.asked:
        _mark(message, [], own)


def _mark_late(own: RequestSession[Any], message: Message) -> None:
    """Mark a response that began before the session was asked for: a middleware may hold its headers, the list itself."""
    headers = message.get("headers")
    _mark(message, [], own)
    if isinstance(headers, list):
        headers[:], message["headers"] = message["headers"], headers


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
