"""``request.session``: the mapping that libraries for Starlette want, as the one field of an anonymous kit of its own."""

import json
from functools import wraps
from typing import Any
from weakref import ref

from pydantic import BaseModel, Field
from starlette.types import Scope

from ..errors import ConfigurationError, SessionTooLarge
from ..transport import Headers
from .request_session import RequestSession
from .services import Services
from .visitors import VisitorSession

KEY = "session"
"""Where Starlette's ``request.session`` looks in the scope."""

SECOND = (
    "kit.install(app, request_session=True) and another middleware both give request.session, and each would lose what the other "
    "keeps: take the other one away, which is {}"
)


class RequestData(BaseModel):
    """What ``request.session`` holds."""

    data: dict[str, Any] = Field(default_factory=dict)


def _marking(name: str) -> Any:
    """A method of ``dict`` that changes it, and notes that before."""
    method = getattr(dict, name)

    @wraps(method)
    def marked(self: "RequestMapping", *args: Any, **named: Any) -> Any:
        self.mark_modified()
        return method(self, *args, **named)

    return marked


class RequestMapping(dict[str, Any]):
    """One request's ``request.session``: a ``dict`` that says when it is read, and refuses a change that comes too late.

    Attributes:
        accessed: whether anybody has asked for it.
    """

    accessed: bool = False

    def __init__(self, own: "MappedSession", data: dict[str, Any]) -> None:
        super().__init__(data)
        self._own = ref(own)  # the session leads here, and both go with the request

    def mark_accessed(self) -> None:
        """Note that the response depends on it: Starlette's ``request.session`` calls this."""
        self.accessed = True
        own = self._own()
        if own is not None:
            own.note_read()

    def mark_modified(self) -> None:
        """Note that it is about to be changed.

        Raises:
            SessionKitError: the response has started.
        """
        own = self._own()
        if own is not None:
            own.require_open()
        self.mark_accessed()

    __setitem__ = _marking("__setitem__")
    __delitem__ = _marking("__delitem__")
    __ior__ = _marking("__ior__")
    clear = _marking("clear")
    pop = _marking("pop")
    popitem = _marking("popitem")
    setdefault = _marking("setdefault")
    update = _marking("update")


class MappedSession(VisitorSession[RequestData]):
    """The session of one request behind its ``request.session``."""

    __slots__ = ("__weakref__", "_before", "_mapping")

    async def offer(self, scope: Scope) -> None:
        """Put ``request.session`` into a request's scope, with what its cookie holds.

        Raises:
            ConfigurationError: another middleware has put its own there.
        """
        other = scope.get(KEY)
        if other is not None and not isinstance(other, RequestMapping):
            raise ConfigurationError(SECOND.format(f"what has made a {type(other).__name__}"))
        data: dict[str, Any] = {}
        if self.has_token:
            await self.settle()  # a signed cookie: nothing is waited for
            self.asked = False
            data = {} if self.session is None else self.session.data
        self._before = json.dumps(data)
        self._mapping = scope[KEY] = RequestMapping(self, json.loads(self._before))

    @property
    def is_pending(self) -> bool:
        """Whether somebody has read it, and may so have changed it, at any depth."""
        return self._mapping.accessed

    def note_read(self) -> None:
        """The response depends on the session."""
        self.asked = True
        self._mark_late()

    def require_open(self) -> None:
        """``SessionKitError`` where nothing is saved any more."""
        self._require_open("A change of request.session")

    async def commit(self, *, may_move: bool = True) -> Headers:
        """Save the mapping if it is another by now.

        Raises:
            TypeError: it holds what JSON can't.
            SessionTooLarge: it outgrew its cookie.
        """
        after = _written(self._mapping)
        if after != self._before:
            await self.settle()
            if self.session is not None:
                self.session.data.clear()
                self.session.data.update(json.loads(after))
        try:
            return await super().commit(may_move=may_move)
        except SessionTooLarge as error:
            sizes = {f"request.session[{key!r}]": len(json.dumps(value)) for key, value in self._mapping.items()}
            raise self.services.transport.too_large(error.size - error.limit, sizes) from None


def _written(mapping: RequestMapping) -> str:
    """The mapping as JSON; ``TypeError`` names the key of what can't be written, and not its value."""
    for key, value in mapping.items():
        if not isinstance(key, str):
            raise TypeError(f"request.session takes strings as keys, not a {type(key).__name__}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise TypeError(f"request.session[{key!r}] can't be kept, for JSON can't hold it") from None
    return json.dumps(mapping)


def session_class(services: Services[Any]) -> type[RequestSession[Any]]:
    """What a request's session is for a kit."""
    if issubclass(services.codec.model, RequestData):
        return MappedSession
    return VisitorSession if services.anonymous else RequestSession
