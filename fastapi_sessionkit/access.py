"""How requirements read a session: the application's ``Access`` hooks, and ``Subject``, whom a requirement is asked of."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from inspect import isawaitable
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, TypeAlias
from uuid import UUID

from ._settings import takes
from .errors import ConfigurationError

logger: logging.Logger = logging.getLogger(__name__)

Names = Collection[str]
Segments: TypeAlias = Mapping[str, str]
"""Segments of a path by the names that a rule's pattern, or a route, gives them."""

NO_SEGMENTS: Segments = MappingProxyType({})

Pending: TypeAlias = Coroutine[Any, Any, None]
"""An answer that takes waiting: await it, and ask again."""


@dataclass(frozen=True, slots=True)
class Access:
    """How requirements read a session that is not a ``Session``, or that keeps its roles elsewhere.

    Every hook may be sync or async and must not block. A hook that raises denies, and is logged.

    Attributes:
        get_roles: gives the roles of a session, as a list or another collection of strings that is no mapping; by
            default ``session.all_roles``. Anything else counts as none, and is logged.
        get_permissions: gives its permissions in the same way; by default ``session.permissions``.
        check: ``check(rule, session)`` decides a guard's rule instead of every built-in condition; ``session`` is
            ``None`` when nobody is signed in. Not asked for ``public=True``. What is neither ``True`` nor plainly false
            denies, and is logged.
    """

    get_roles: Callable[[Any], Names | Awaitable[Names]] | None = None
    get_permissions: Callable[[Any], Names | Awaitable[Names]] | None = None
    check: Callable[[Any, Any], bool | Awaitable[bool]] | None = None
    has_hooks: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        for name, given in (("get_roles", "session"), ("get_permissions", "session"), ("check", "rule, session")):
            hook = getattr(self, name)
            if hook is not None and not takes(hook, len(given.split(", "))):
                raise ConfigurationError(
                    f"Access({name}=...) takes a function, {name}=lambda {given}: ..., not {hook!r}"
                )
        object.__setattr__(self, "has_hooks", self.get_roles is not None or self.get_permissions is not None)


class Subject:
    """Whom a requirement is asked of, for one decision. What is asked of the application is asked once.

    Attributes:
        access: how the application reads it.
        before: the session as it was when its id was rotated away, where the request came by that id: it has no role
            and no permission that this had not, and owns nothing that this did not.
        segments: the named segments of the path that is decided about.
    """

    __slots__ = ("_age", "_answers", "_session", "access", "before", "segments")

    def __init__(
        self, session: Any, access: Access = Access(), age: float | None = None, segments: Segments = NO_SEGMENTS
    ) -> None:
        self._session: Any = session
        self.access: Access = access
        self.before: Any = None
        self.segments: Segments = segments
        self._age = age
        self._answers: dict[Hashable, Any] | None = None

    @property
    def session(self) -> Any:
        """The session; ``None`` when nobody is signed in."""
        return self._session

    @property
    def is_nobody(self) -> bool:
        """Whether nobody is signed in."""
        return self._session is None

    @property
    def age(self) -> float | None:
        """Seconds since the user signed in; ``None`` when nobody can say."""
        return self._age

    def at(self, segments: Segments) -> "Subject":
        """The same somebody, for a decision about a path with these segments. Another one's segments can't get into it."""
        subject = Subject(self.session, self.access, self.age, segments)
        subject.before = self.before
        return subject

    def owns(self, text: str, field: str) -> bool:
        """Whether a text is the value of a field of the session, or one of its values."""
        sessions = (self._session,) if self.before is None else (self._session, self.before)
        try:
            return all(_has_text(getattr(session, field, None), text) for session in sessions)
        except Exception as error:  # noqa: BLE001 - it denies
            why = error if isinstance(error, _UnreadableError) else origin_of(error)
            logger.error("The session's %s can't be compared with a path, so it owns nothing: %s", field, why)  # noqa: TRY400
            return False

    def aged(self, age: float) -> "Subject":
        """The same one, had they signed in so many seconds ago. What the application has answered is not asked again."""
        if self._answers is None:
            self._answers = {}
        other = Subject(self.session, self.access, age, self.segments)
        other.before, other._answers = self.before, self._answers
        return other

    def names(self, attribute: str, hook: str) -> frozenset[str] | tuple[str, ...] | Pending | None:
        """The names that an ``Access`` hook gives, or without one an attribute of the session; none where that fails.

        ``None`` where nobody is signed in.
        """
        if self._session is None:
            return None
        if self.access.has_hooks and (ask := getattr(self.access, hook)) is not None:
            return self._hook_names(ask, hook, attribute)
        try:
            given = getattr(self._session, attribute, ())  # only looked at, so it may be one that requests share
            if self.before is not None:
                return _names_in(given) & _names_in(getattr(self.before, attribute, ()))
            return given if isinstance(given, (frozenset, tuple)) else _names_in(given)
        except Exception as error:  # noqa: BLE001 - it denies
            return _no_names("The session", attribute, error)

    def _hook_names(self, ask: Callable[[Any], Any], hook: str, attribute: str) -> frozenset[str] | Pending:
        failed = partial(_no_names, "The Access hook", attribute)
        names: frozenset[str] | Pending = self.once(hook, partial(ask, self.session), _names_in, failed)
        if self.before is None or not isinstance(names, frozenset):
            return names
        had: frozenset[str] | Pending = self.once((hook, "before"), partial(ask, self.before), _names_in, failed)
        return names & had if isinstance(had, frozenset) else had

    def once(
        self, key: Hashable, ask: Callable[[], Any], read: Callable[[Any], Any], failed: Callable[[Exception], Any]
    ) -> Any:
        """What ``read`` makes of what ``ask()`` gives, asked once for a key; ``Pending`` while that takes waiting.

        ``failed`` answers for what was raised.
        """
        if self._answers is None:
            self._answers = {}
        elif key in self._answers:
            return self._answers[key]
        try:
            given = ask()
            answer = self._settle(key, given, read, failed) if isawaitable(given) else read(given)
        except Exception as error:  # noqa: BLE001 - failed() denies
            answer = failed(error)
        self._answers[key] = answer
        return answer

    async def _settle(
        self, key: Hashable, given: Awaitable[Any], read: Callable[[Any], Any], failed: Callable[[Exception], Any]
    ) -> None:
        answers = self._answers = self._answers or {}
        try:
            answers[key] = read(await given)
        except Exception as error:  # noqa: BLE001 - failed() denies
            answers[key] = failed(error)


def origin_of(error: Exception) -> str:
    """What was raised and where. Not its text: that of a ``KeyError`` is a value of the session."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, {PurePath(frame.filename).name}:{frame.lineno}"


class _UnreadableError(TypeError):
    """The text is safe to log."""


def _has_text(value: Any, text: str) -> bool:
    if value is None:
        return False
    if isinstance(value, Collection) and not isinstance(value, str | bytes | bytearray | memoryview | Mapping | Enum):
        return text in [_text_of(each) for each in value if each is not None]
    return _text_of(value) == text


def _text_of(value: Any) -> str:
    """How an id stands in a path. What else may be a value has a text that says something about Python, not about it."""
    plain = value.value if isinstance(value, Enum) else value
    if isinstance(plain, str):
        return str.__str__(plain)
    if isinstance(plain, int | UUID) and not isinstance(plain, bool):
        return str(plain)
    raise _UnreadableError(
        f"a text, a whole number or a UUID is needed, or a list of them, not a {type(value).__name__}"
    )


def _names_in(given: Any) -> frozenset[str]:
    """The names. Part of one string is no name, and the keys of a mapping may be what is *not* granted."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Collection):
        raise _UnreadableError(f"a list of strings is needed, not a {type(given).__name__}")
    if not all(isinstance(name, str) for name in given):
        raise _UnreadableError(f"the {type(given).__name__} holds what is no string")
    return frozenset(given)


def _no_names(what: str, attribute: str, error: Exception) -> frozenset[str]:
    why = error if isinstance(error, _UnreadableError) else origin_of(error)
    logger.error("%s could not give %s, so it counts as none: %s", what, attribute, why)
    return frozenset()
