"""The library's own requirements: what a session must be or have, as small named values."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel

from ._request.spelling import probably_meant
from ._settings import CLOCK_SKEW, Duration, binds, in_seconds, is_asynchronous, require_text
from .access import Access, Pending, Segments, Subject
from .combinations import (
    MOST_ALTERNATIVES,
    Alternatives,
    BuiltIn,
    Requirement,
    all_of,
    any_of,
    folded,
    kind_of,
    no_answer_reason,
    no_dependency_message,
    raised_reason,
    refusal_of,
    require_hashable,
)
from .errors import ConfigurationError

__all__ = [
    "MOST_ALTERNATIVES",
    "Access",
    "Alternatives",
    "Requirement",
    "Subject",
    "age_that_would_do",
    "all_of",
    "any_of",
    "any_permission",
    "check_of_session",
    "check_readable",
    "custom",
    "folded",
    "fresh",
    "fresh_limits",
    "kind_of",
    "name_of",
    "no_dependency_message",
    "owner",
    "permission",
    "refusal_of",
    "require_hashable",
    "require_no_waiting",
    "role",
    "signed_in",
]

NOBODY = "nobody is signed in"
_USER_ID = "user_id"

Check = Callable[[Any], bool | Awaitable[bool]] | Callable[[Any, Segments], bool | Awaitable[bool]]
"""A function of the session, or of ``None`` when nobody is signed in; and, if it takes two arguments, of the segments."""


@dataclass(frozen=True, slots=True)
class _SignedIn(BuiltIn):
    kind = "signed_in"

    @property
    def name(self) -> str:
        return "signed_in"

    def refusal_now(self, subject: Subject) -> str | None:
        return NOBODY if subject.is_nobody else None


@dataclass(frozen=True, slots=True)
class _Has(BuiltIn):
    """A name is among those that an attribute of the session gives, or the ``Access`` hook instead of it."""

    wanted: str

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.wanted}"

    def refusal_now(self, subject: Subject) -> str | Pending | None:
        names = subject.names(self.reads, self.hook)
        if isinstance(names, (frozenset, tuple)):
            return None if self.wanted in names else f"{self.name} is missing"
        return NOBODY if names is None else names


class _Role(_Has):
    __slots__ = ()
    kind, reads, hook = "role", "all_roles", "get_roles"


class _Permission(_Has):
    __slots__ = ()
    kind, reads, hook = "permission", "permissions", "get_permissions"


@dataclass(frozen=True, slots=True)
class _Fresh(BuiltIn):
    kind = "fresh"
    max_age: float

    @property
    def name(self) -> str:
        return f"fresh:{self.max_age:g}s"

    def refusal_now(self, subject: Subject) -> str | None:
        if subject.is_nobody:
            return NOBODY
        if subject.age is None:
            return "nobody can say when the user signed in"
        if subject.age < -CLOCK_SKEW:
            return "signed in at a time that is still to come"
        return None if subject.age <= self.max_age else f"signed in more than {self.max_age:g} seconds ago"


@dataclass(frozen=True, slots=True)
class _Owner(BuiltIn):
    kind = "owner"
    takes_segments = True
    variable: str
    reads: str

    @property
    def name(self) -> str:
        return f"owner:{self.variable}" if self.reads == _USER_ID else f"owner:{self.variable}({self.reads})"

    def refusal_now(self, subject: Subject) -> str | None:
        if subject.is_nobody:
            return NOBODY
        segment = subject.segments.get(self.variable)
        if not segment:
            return f"the path has no {self.variable}"
        return None if subject.owns(segment, self.reads) else f"{self.name} is somebody else's"


@dataclass(frozen=True, slots=True)
class _Custom(BuiltIn):
    kind = "custom"
    check: Callable[..., Any]
    label: str
    takes_segments: bool = False

    @property
    def name(self) -> str:
        return f"custom:{self.label}"

    def __hash__(self) -> int:
        return hash(self.label)  # the check may be unhashable, such as an instance of a dataclass with __call__

    def refusal_now(self, subject: Subject) -> str | Pending | None:
        given = (subject.session, subject.segments) if self.takes_segments else (subject.session,)
        answer: str | Pending | None = subject.once(
            id(self), partial(self.check, *given), self._verdict, partial(raised_reason, self.name)
        )
        return answer

    def _verdict(self, answer: object) -> str | None:
        if answer is True:
            return None
        if answer is None or (isinstance(answer, int | float | Collection) and not answer):
            return f"{self.name} said no"
        return no_answer_reason(self.name, answer, "neither True nor plainly false")


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


def owner(variable: str, field: str = _USER_ID) -> Requirement:
    """Whoever a segment of the path names: ``Rule("/users/{user_id}/**", requires=owner("user_id"))``.

    Compared as text, letter by letter, with a text, a whole number or a UUID. A field that is ``None``, and a value that is
    something else, denies.

    Args:
        variable: the name of the segment in the rule's pattern; of a dependency, the route's path parameter.
        field: the session's field that has to have this value, or, where it is a collection, has to hold it.
    """
    given: dict[str, object] = {"variable": variable, "field": field}
    for name, value in given.items():
        if not isinstance(value, str) or not value.isidentifier():
            raise ConfigurationError(
                f'owner({name}) is a name, as in owner("user_id") or owner("team", field="teams"), not {value!r}'
            )
    return _Owner(variable, field)


def custom(fn: Check, name: str | None = None) -> Requirement:
    """A check of your own: ``fn(session)``, sync or async, gets ``None`` when nobody is signed in.

    A function that takes two arguments gets the named segments of the path as well: ``fn(session, segments)``, where
    ``segments["user_id"]`` is the text that stands for ``{user_id}``. An argument with a default is not given. An exception
    denies and is logged. ``name`` is by default the function's.
    """
    if not callable(fn):
        raise ConfigurationError(f"custom() takes a function of the session, not {fn!r}")
    if name is not None:
        require_text(name, "custom(name=...)")
    return _Custom(fn, name or name_of(fn), _takes_segments(fn))


def check_of_session(fn: Callable[[Any], Any], name: str) -> Requirement:
    """A check that gets the session alone, without a look at what it takes."""
    return _Custom(fn, name)


def _takes_segments(fn: Callable[..., Any]) -> bool:
    """Whether a function takes two arguments, rather than one. What takes both is asked for the one that it wraps."""
    for follow_wrapped in (False, True):
        one, two = (binds(fn, count, follow_wrapped=follow_wrapped) for count in (1, 2))
        if not one and not two:
            raise ConfigurationError(
                f"A check takes the session, or the session and the segments of the path: {name_of(fn)} takes neither one "
                "argument nor two"
            )
        if one is not two:
            return two
    return False


def name_of(fn: Callable[..., Any]) -> str:
    """What logs and OpenAPI call a function that checks."""
    own: str = getattr(fn, "__name__", type(fn).__name__)
    return "check" if own == "<lambda>" else own


def fresh_limits(requirement: Requirement) -> list[float]:
    """The ages in seconds that ``fresh`` allows anywhere in a requirement, the largest first."""
    ages = {leaf.max_age for leaf in requirement.leaves() if isinstance(leaf, _Fresh)}
    return sorted(ages, reverse=True)


def require_no_waiting(requirement: Requirement, access: Access, caller: str) -> None:
    """Refuse to ask without waiting what only an ``await`` can answer."""
    for leaf in requirement.leaves():
        hook = getattr(access, leaf.hook, None) if leaf.hook else None
        waits = is_asynchronous(leaf.check) if isinstance(leaf, _Custom) else not isinstance(leaf, BuiltIn)
        if waits or is_asynchronous(hook):
            raise ConfigurationError(
                f"{caller} can't wait for {leaf}, which is asynchronous. Make it a plain function, or decide before the page is "
                "rendered, decision = await guard.decide(...), and give the page what it says"
            )


async def age_that_would_do(requirement: Requirement, subject: Subject) -> float | None:
    """Where nothing but a recent sign-in is missing: how many seconds ago that may be at most. Otherwise ``None``."""
    for age in [] if subject.is_nobody else fresh_limits(requirement):
        if await refusal_of(requirement, subject.aged(age)) is None:
            return age
    return None


def check_readable(requirement: Requirement, model: type[BaseModel], access: Access) -> Requirement:
    """The requirement, or ``ConfigurationError`` when it asks for what neither the model nor a hook can tell."""
    for leaf in requirement.leaves():
        if not leaf.reads or (leaf.hook and getattr(access, leaf.hook) is not None) or _may_have(model, leaf):
            continue
        instead = (
            f"subclass Session, or say how to read it with SessionKit(access=Access({leaf.hook}=lambda session: ...))"
            if leaf.hook
            else "name a field that it has, or give it one"
        )
        raise ConfigurationError(
            f"{leaf.name} can't be asked of a {model.__name__}, which has no {leaf.reads}: {instead}"
        )
    return requirement


def _may_have(model: type[BaseModel], leaf: Requirement) -> bool:
    """Whether a session of the model has what is read: a field, a property, or, without a hook, an extra field."""
    fields = model.model_fields
    if hasattr(model, leaf.reads) or leaf.reads in fields:
        return True
    takes_extra = model.model_config.get("extra") == "allow"
    return takes_extra and not leaf.hook and probably_meant(leaf.reads, fields) is None


def _names(names: tuple[object, ...], what: str) -> tuple[str, ...]:
    good = tuple(str.__str__(name) for name in names if isinstance(name, str) and name.strip())  # of an Enum, its value
    if not names or len(good) < len(names):
        raise ConfigurationError(
            f"{what}() takes one or more names, each a string that is not blank: {what}('reader'), not {names!r}"
        )
    return good
