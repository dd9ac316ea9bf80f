"""What answers an error that nobody handled, outside of every middleware, says to caches what other responses say."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._settings import is_asynchronous

Mark = Callable[[Message], None]

_MARKS = "fastapi_sessionkit.marks"
"""Where the scope of a request that failed keeps what is to be done to its answer."""


def mark_answer_to_error(app: Starlette, scope: Scope, mark: Mark) -> None:
    """Let what the application's handler for ``Exception`` or 500 answers to this request be marked.

    Only the outermost layer sends that answer, so its handler is put into one that marks, at the first error.
    """
    scope.setdefault(_MARKS, []).append(mark)
    layer: Any = app.middleware_stack
    while layer is not None and not isinstance(layer, ServerErrorMiddleware):
        layer = getattr(layer, "app", None)
    if layer is not None and not getattr(layer.handler, "marks", False):
        layer.handler = _marking(layer.handler or layer.error_response)


def _marking(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, whose answers are marked; asynchronous if it is, for another one runs in a thread."""

    def answer(request: Request, error: Exception) -> ASGIApp:
        return _marked(handler(request, error), request.scope)

    async def asynchronous_answer(request: Request, error: Exception) -> ASGIApp:
        return _marked(await handler(request, error), request.scope)

    chosen: Any = asynchronous_answer if is_asynchronous(handler) else answer
    chosen.marks = True
    return chosen  # type: ignore[no-any-return]


def _marked(response: ASGIApp, scope: Scope) -> ASGIApp:
    marks: list[Mark] = scope.get(_MARKS, [])

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                for mark in marks:
                    mark(message)
            await send(message)

        await response(scope, receive, send_marked)

    return respond
