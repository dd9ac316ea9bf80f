"""``request.session``: the mapping that libraries for Starlette want, as the one field of an anonymous kit of its own."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, SupportsIndex
from weakref import ref

from pydantic import BaseModel, Field
from starlette.types import Scope

from ..errors import ConfigurationError, SessionKitError, SessionTooLarge
from ..transport import Headers
from .changes import Action
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


def _noting(name: str, note: Callable[["RequestMapping"], None]) -> Any:
    """A method of ``dict`` that notes before what it is about to do."""
    method = getattr(dict, name)

    @wraps(method)
    def noted(self: "RequestMapping", *args: Any, **named: Any) -> Any:
        note(self)
        return method(self, *args, **named)

    return noted


class RequestMapping(dict[str, Any]):
    """One request's ``request.session``: a ``dict`` that says when it is read, and refuses a change that comes too late.

    A copy of it is a plain ``dict``, also one that ``copy`` or ``pickle`` makes.

    Attributes:
        accessed: whether anybody has asked for it.
    """

    accessed: bool = False

    def __init__(self, own: "MappedSession", data: dict[str, Any]) -> None:
        super().__init__(data)
        self._own = ref(own)  # the session leads here, and both go with the request

    def mark_accessed(self) -> None:
        """Note that the response depends on it: Starlette's ``request.session`` calls this, and so does every look at it."""
        self.accessed = True
        own = self._own()
        if own is not None:
            own.note_read()

    def mark_modified(self) -> None:
        """Note that it is about to be changed.

        Raises:
            SessionKitError: the response has started, or the request is over.
        """
        own = self._own()
        if own is None:
            raise SessionKitError(
                "A change of request.session came too late: its request is over, so nothing is saved any more. Make it before "
                "the response is returned."
            )
        own.require_open()
        self.mark_accessed()

    __contains__ = _noting("__contains__", mark_accessed)
    __getitem__ = _noting("__getitem__", mark_accessed)
    __iter__ = _noting("__iter__", mark_accessed)
    __len__ = _noting("__len__", mark_accessed)
    copy = _noting("copy", mark_accessed)
    get = _noting("get", mark_accessed)
    items = _noting("items", mark_accessed)
    keys = _noting("keys", mark_accessed)
    values = _noting("values", mark_accessed)

    __setitem__ = _noting("__setitem__", mark_modified)
    __delitem__ = _noting("__delitem__", mark_modified)
    __ior__ = _noting("__ior__", mark_modified)
    popitem = _noting("popitem", mark_modified)
    update = _noting("update", mark_modified)

    # What finds nothing to change comes never too late.

    def clear(self) -> None:
        """Take everything out."""
        if self:
            self.mark_modified()
        super().clear()

    def pop(self, key: str, *default: Any) -> Any:
        """Take a key out, and give its value."""
        if key in self:
            self.mark_modified()
        return super().pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is put in if it is not there."""
        if key not in self:
            self.mark_modified()
        return super().setdefault(key, default)

    def __reduce_ex__(self, _: SupportsIndex) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


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
            await self.load_ahead()  # a signed cookie: nothing is waited for
            data = {} if self.session is None else self.session.data
        self._before = json.dumps(data)
        self._mapping = scope[KEY] = RequestMapping(self, json.loads(self._before))

    @property
    def is_pending(self) -> bool:
        """Whether somebody has read it, and may so have changed it, at any depth."""
        return self._mapping.accessed

    def require_open(self) -> None:
        """``SessionKitError`` where nothing is saved any more."""
        self._require_open("A change of request.session")

    async def commit(self, *, may_move: bool = True) -> Headers:
        """Save the mapping if it is another by now; one that is empty has no cookie.

        Raises:
            TypeError: it holds what JSON can't.
            SessionTooLarge: it outgrew its cookie.
        """
        after = _written(self._mapping)
        if after != self._before:
            await self.settle()
            if not self._mapping:
                self._start_over(Action.SIGN_OUT, None)
            elif self.session is not None:
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
