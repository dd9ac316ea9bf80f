"""The session from a plain function, which can't wait: a template's context, a limiter's key, a log filter."""

from typing import Any

from starlette.requests import HTTPConnection

from ._request.lookup import request_session_of
from .reasons import Reason


def session_of(request: HTTPConnection) -> Any:
    """The session of a request for which it is loaded already; ``None`` when nobody is signed in.

    It is loaded by a guard whose rule asks for somebody, by every dependency that asks for the session, on the paths of
    ``kit.install(app, preload=["/pages/**"])``, and, with the context processor for templates, wherever the answer may be a page.

    Raises:
        ConfigurationError: nothing has loaded it. The message says what to write.
        StoreUnavailable: it was asked for, and the store failed.
    """
    return request_session_of(request.scope, "session_of").loaded_session("session_of")


def session_reason(request: HTTPConnection) -> Reason | None:
    """Why nobody is signed in; ``None`` when somebody is.

    The same word stands in the debug log, once for each request that asked for the session and found nobody. For whoever
    runs the application, not for its clients: it tells them which of their guesses was close.

    Raises:
        ConfigurationError: nothing has loaded the session, as for ``session_of``.
    """
    return request_session_of(request.scope, "session_reason").absence("session_reason")
