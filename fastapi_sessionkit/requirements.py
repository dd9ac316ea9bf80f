"""Requirements: what a session must be or have, as small named values that combine with ``&`` and ``|``."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from inspect import isawaitable
from pathlib import PurePath
from typing import Any, ClassVar

from ._settings import Duration, in_seconds, require_text
from .errors import ConfigurationError

logger: logging.Logger = logging.getLogger(__name__)

NOBODY = "nobody is signed in"

Names = Collection[str]
Check = Callable[[Any], bool | Awaitable[bool]]
"""A function of the session, or of ``None`` when nobody is signed in."""


@dataclass(frozen=True, slots=True)
class Access:
    """How requirements read a session that is not a ``Session``, or that keeps its roles elsewhere.

    Every hook may be sync or async and must not block. A hook that raises denies, and is logged.

    Attributes:
        get_roles: gives the roles of a session; by default ``session.all_roles``.
        get_permissions: gives its permissions; by default ``session.permissions``.
        check: ``check(rule, session)`` decides a guard's rule instead of every built-in condition; ``session`` is
            ``None`` when nobody is signed in. Not asked for ``public=True``.
    """

    get_roles: Callable[[Any], Names | Awaitable[Names]] | None = None
    get_permissions: Callable[[Any], Names | Awaitable[Names]] | None = None
    check: Callable[[Any, Any], bool | Awaitable[bool]] | None = None

    def __post_init__(self) -> None:
        for name, given in (("get_roles", "session"), ("get_permissions", "session"), ("check", "rule, session")):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise ConfigurationError(
                    f"Access({name}=...) takes a function, {name}=lambda {given}: ..., not {hook!r}"
                )


@dataclass(slots=True)
class Subject:
    """Whom a requirement is asked of: the session, how to read it, and how long ago its user signed in (seconds)."""

    session: Any
    access: Access = Access()
    age: float | None = None


def origin_of(error: Exception) -> str:
    """What was raised and where. Not its text: that of a ``KeyError`` is a value of the session."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, {PurePath(frame.filename).name}:{frame.lineno}"


async def _ask(hook: Callable[[Any], Names | Awaitable[Names]] | None, session: Any, attribute: str) -> Names:
    if session is None:
        return ()
    try:
        names: Any = getattr(session, attribute, ()) if hook is None else hook(session)
        if hook is not None and isawaitable(names):
            names = await names
        return names if isinstance(names, (frozenset, tuple)) else _collection(names)
    except Exception as error:  # noqa: BLE001 - it denies
        what = "The session" if hook is None else "The Access hook"
        logger.error("%s could not give %s, so it counts as none: %s", what, attribute, origin_of(error))  # noqa: TRY400
        return ()


def _collection(names: Any) -> frozenset[str]:
    if isinstance(names, str | bytes):  # "admin" in "administrator" is true
        raise TypeError(f"a collection of names is needed, not one {type(names).__name__}: return [name]")
    return frozenset(names)


class Requirement:
    """Something a session must fulfil. Immutable, hashable, and named: the name is what logs and OpenAPI show.

    ``a & b`` needs both, ``a | b`` one of them. A subclass gives ``name`` and ``refusal``.
    """

    __slots__ = ()

    reads: ClassVar[str] = ""
    """The attribute of the session that this reads, if any."""
    hook: ClassVar[str] = ""
    """The ``Access`` hook that is asked instead, where the kit has one."""

    @property
    def name(self) -> str:
        """For example ``role:admin | permission:reports:write``."""
        raise NotImplementedError

    def is_met(self, session: Any, access: Access) -> bool:  # noqa: ARG002
        """Whether the session plainly fulfils this, never ``None``: the quick way, for what needs no waiting.

        When it does not, ``refusal`` has the last word.
        """
        return False

    async def refusal(self, subject: Subject) -> str | None:
        """``None`` when the subject fulfils this, otherwise the reason why not, without any value of the session."""
        raise NotImplementedError

    def leaves(self) -> Iterator["Requirement"]:
        """The requirements that this is made of."""
        yield self

    def alternatives(self) -> tuple[tuple["Requirement", ...], ...]:
        """The same as a choice of conjunctions: one of the outer tuples must hold in all its parts."""
        return ((self,),)

    def __and__(self, other: "Requirement") -> "Requirement":
        return all_of(self, other)

    def __or__(self, other: "Requirement") -> "Requirement":
        return any_of(self, other)

    def __bool__(self) -> bool:
        """Refuse ``and``, ``or`` and ``not``, which would drop one of two requirements without a word."""
        raise ConfigurationError(
            f"Combine requirements with & and |: 'and', 'or' and 'not' would forget {self} or what stands beside it"
        )

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class _SignedIn(Requirement):
    @property
    def name(self) -> str:
        return "signed_in"

    def is_met(self, session: Any, access: Access) -> bool:  # noqa: ARG002
        return session is not None

    async def refusal(self, subject: Subject) -> str | None:
        return NOBODY if subject.session is None else None


@dataclass(frozen=True, slots=True)
class _Has(Requirement):
    """A name is among those that an attribute of the session gives, or the ``Access`` hook instead of it."""

    kind: ClassVar[str]
    wanted: str

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.wanted}"

    def is_met(self, session: Any, access: Access) -> bool:
        if getattr(access, self.hook) is not None:
            return False
        try:
            names = getattr(session, self.reads, ())
        except Exception:  # noqa: BLE001 - refusal() asks again, and logs
            return False
        return isinstance(names, (frozenset, tuple)) and self.wanted in names

    async def refusal(self, subject: Subject) -> str | None:
        if subject.session is None:
            return NOBODY
        names = await _ask(getattr(subject.access, self.hook), subject.session, self.reads)
        return None if self.wanted in names else f"{self.name} is missing"


class _Role(_Has):
    __slots__ = ()
    kind, reads, hook = "role", "all_roles", "get_roles"


class _Permission(_Has):
    __slots__ = ()
    kind, reads, hook = "permission", "permissions", "get_permissions"


@dataclass(frozen=True, slots=True)
class _Fresh(Requirement):
    max_age: float

    @property
    def name(self) -> str:
        return f"fresh:{self.max_age:g}s"

    async def refusal(self, subject: Subject) -> str | None:
        if subject.session is None:
            return NOBODY
        if subject.age is not None and subject.age <= self.max_age:
            return None
        return f"signed in more than {self.max_age:g} seconds ago"


@dataclass(frozen=True, slots=True)
class _Custom(Requirement):
    check: Check
    label: str

    @property
    def name(self) -> str:
        return f"custom:{self.label}"

    def __hash__(self) -> int:
        return hash(self.label)  # the check may be unhashable, such as an instance of a dataclass with __call__

    async def refusal(self, subject: Subject) -> str | None:
        try:
            answer = self.check(subject.session)
            allowed = await answer if isawaitable(answer) else answer
        except Exception as error:  # noqa: BLE001 - it denies
            logger.error("%s raised, so it denies: %s", self.name, origin_of(error))  # noqa: TRY400
            return f"{self.name} raised"
        return None if allowed else f"{self.name} said no"


@dataclass(frozen=True, slots=True)
class _Combined(Requirement):
    parts: tuple[Requirement, ...]

    def leaves(self) -> Iterator[Requirement]:
        for part in self.parts:
            yield from part.leaves()


@dataclass(frozen=True, slots=True)
class _AllOf(_Combined):
    @property
    def name(self) -> str:
        return " & ".join(f"({part})" if isinstance(part, _AnyOf) else part.name for part in self.parts)

    def is_met(self, session: Any, access: Access) -> bool:
        return all(part.is_met(session, access) for part in self.parts)

    async def refusal(self, subject: Subject) -> str | None:
        for part in self.parts:
            reason = await part.refusal(subject)
            if reason is not None:
                return reason
        return None

    def alternatives(self) -> tuple[tuple[Requirement, ...], ...]:
        combined: tuple[tuple[Requirement, ...], ...] = ((),)
        for part in self.parts:
            combined = tuple((*left, *right) for left in combined for right in part.alternatives())
        return combined


@dataclass(frozen=True, slots=True)
class _AnyOf(_Combined):
    @property
    def name(self) -> str:
        return " | ".join(part.name for part in self.parts)

    def is_met(self, session: Any, access: Access) -> bool:
        return any(part.is_met(session, access) for part in self.parts)

    async def refusal(self, subject: Subject) -> str | None:
        reasons = []
        for part in self.parts:
            reason = await part.refusal(subject)
            if reason is None:
                return None
            reasons.append(reason)
        return " and ".join(dict.fromkeys(reasons))

    def alternatives(self) -> tuple[tuple[Requirement, ...], ...]:
        return tuple(choice for part in self.parts for choice in part.alternatives())


def all_of(*parts: Requirement) -> Requirement:
    """What needs every one of the parts."""
    return _combine(_AllOf, parts)


def any_of(*parts: Requirement) -> Requirement:
    """What needs one of the parts."""
    return _combine(_AnyOf, parts)


def _combine(kind: type[_AllOf] | type[_AnyOf], parts: Iterable[Requirement]) -> Requirement:
    flat: dict[Requirement, None] = {}
    for part in parts:
        if not isinstance(part, Requirement):
            raise ConfigurationError(
                f"Requirements combine with requirements such as role('admin') or custom(fn), not with {part!r}"
            )
        flat.update(dict.fromkeys(part.parts if isinstance(part, kind) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else kind(tuple(flat))


signed_in: Requirement = _SignedIn()
"""Somebody is signed in."""


def role(*any_of_them: str) -> Requirement:
    """One of these roles, from ``role`` or ``roles``."""
    return any_of(*map(_Role, _names(any_of_them, "role")))


def permission(*all_of_them: str) -> Requirement:
    """Every one of these permissions."""
    return all_of(*map(_Permission, _names(all_of_them, "permission")))


def any_permission(*any_of_them: str) -> Requirement:
    """At least one of these permissions."""
    return any_of(*map(_Permission, _names(any_of_them, "any_permission")))


def fresh(max_age: Duration | None = None, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> Requirement:
    """Signed in no longer ago than this: ``fresh(600)``, ``fresh(timedelta(minutes=10))`` or ``fresh(minutes=10)``."""
    try:
        units = timedelta(seconds=seconds, minutes=minutes, hours=hours)
    except (TypeError, ValueError, OverflowError):
        raise ConfigurationError(
            f"fresh({seconds=}, {minutes=}, {hours=}) takes numbers, as in fresh(minutes=10)"
        ) from None
    if max_age is None:
        max_age = units
    elif units:
        raise ConfigurationError(f"fresh() takes one length of time, not {max_age!r} and {units!r}")
    return _Fresh(in_seconds(max_age, "fresh(max_age)"))


def custom(fn: Check, name: str | None = None) -> Requirement:
    """A check of your own: ``fn(session)``, sync or async, gets ``None`` when nobody is signed in.

    An exception denies and is logged. ``name`` is by default the function's.
    """
    if not callable(fn):
        raise ConfigurationError(f"custom() takes a function of the session, not {fn!r}")
    if name is not None:
        require_text(name, "custom(name=...)")
    return _Custom(fn, name or name_of(fn))


def name_of(fn: Callable[..., Any]) -> str:
    """What logs and OpenAPI call a function that checks."""
    own: str = getattr(fn, "__name__", type(fn).__name__)
    return "check" if own == "<lambda>" else own


def check_readable(requirement: Requirement, model: type, access: Access) -> Requirement:
    """The requirement, or ``ConfigurationError`` when it asks for what neither the model nor a hook can tell."""
    for leaf in requirement.leaves():
        if not leaf.reads or getattr(access, leaf.hook) is not None:
            continue
        if not hasattr(model, leaf.reads) and leaf.reads not in getattr(model, "model_fields", ()):
            raise ConfigurationError(
                f"{leaf.name} can't be asked of a {model.__name__}, which has no {leaf.reads}: subclass Session, or say "
                f"how to read it with SessionKit(access=Access({leaf.hook}=lambda session: ...))"
            )
    return requirement


def _names(names: tuple[object, ...], what: str) -> tuple[str, ...]:
    good = tuple(str.__str__(name) for name in names if isinstance(name, str) and name.strip())  # of an Enum, its value
    if not names or len(good) < len(names):
        raise ConfigurationError(
            f"{what}() takes one or more names, each a string that is not blank: {what}('reader'), not {names!r}"
        )
    return good
