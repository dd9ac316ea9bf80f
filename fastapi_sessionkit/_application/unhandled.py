"""What answers an error that nobody handled, outside of every middleware, says to caches what other responses say."""

from collections.abc import Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._request.request_session import SCOPE_KEY, RequestSession
from .._settings import is_asynchronous

Mark = Callable[[RequestSession[Any], Message], None]


def mark_answers_to_errors(app: Starlette, mark: Mark) -> None:
    """Let what the application's handler for ``Exception`` or 500 answers be marked.

    Only the outermost layer sends that answer, so its handler is put into one that marks.
    """
    layer: Any = app.middleware_stack
    while layer is not None and not isinstance(layer, ServerErrorMiddleware):
        layer = getattr(layer, "app", None)
    if layer is not None and not getattr(layer.handler, "marks", False):
        layer.handler = _marking(layer.handler or layer.error_response, mark)


def remember_session(error: Exception, own: RequestSession[Any]) -> None:
    """Keep with an error whose request it ended: a middleware that copies the scope keeps the session from the handler.

    Of one request alone: an error that was made once, a failed task's for example, may be raised for each.
    """
    inner = vars(error).get(SCOPE_KEY, [])
    vars(error)[SCOPE_KEY] = [*inner, own] if inner and inner[-1].outer is own else [own]


def _marking(handler: Callable[..., Any], mark: Mark) -> Callable[..., Any]:
    """The handler, whose answers are marked; asynchronous if it is, for another one runs in a thread."""

    def answer(request: Request, error: Exception) -> ASGIApp:
        return _marked(handler(request, error), request.scope, error, mark)

    async def asynchronous_answer(request: Request, error: Exception) -> ASGIApp:
        return _marked(await handler(request, error), request.scope, error, mark)

    chosen: Any = asynchronous_answer if is_asynchronous(handler) else answer
    chosen.marks = True
    return chosen  # type: ignore[no-any-return]


def _marked(response: ASGIApp, scope: Scope, error: Exception, mark: Mark) -> ASGIApp:
    sessions = list({id(own): own for own in _sessions(scope, error)}.values())

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                for own in sessions:
                    mark(own, message)
            await send(message)

        await response(scope, receive, send_marked)

    return respond


def _sessions(scope: Scope, error: BaseException | None) -> Iterator[RequestSession[Any]]:
    """The request's sessions: those that the scope leads to, and those that the error, or what it came of, has ended."""
    own: RequestSession[Any] | None = scope.get(SCOPE_KEY)
    while own is not None:
        yield own
        own = own.outer
    while error is not None:
        yield from vars(error).get(SCOPE_KEY, ())
        error = error.__cause__ or error.__context__
