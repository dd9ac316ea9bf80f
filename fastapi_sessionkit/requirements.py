"""Requirements: what a session must be or have, as small named values that combine with ``&`` and ``|``."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from ._request.spelling import probably_meant
from ._settings import CLOCK_SKEW, Duration, binds, in_seconds, is_asynchronous, require_text
from .access import Access, Pending, Segments, Subject, origin_of
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

logger: logging.Logger = logging.getLogger(__name__)

NOBODY = "nobody is signed in"
_USER_ID = "user_id"
MOST_ALTERNATIVES = 32
"""Conjunctions that one requirement may be spelled out as."""

Check = Callable[[Any], bool | Awaitable[bool]] | Callable[[Any, Segments], bool | Awaitable[bool]]
"""A function of the session, or of ``None`` when nobody is signed in; and, if it takes two arguments, of the segments."""
Alternatives: TypeAlias = tuple[tuple["Requirement", ...], ...]


class Requirement(ABC):
    """Something a session must fulfil. Immutable, hashable, and named: the name is what logs and OpenAPI show.

    ``a & b`` needs both, ``a | b`` one of them. A subclass gives ``name`` and ``refusal``, and a class without one of
    them can't be made.
    """

    __slots__ = ()

    reads: str = ""
    """The attribute of the session that this reads, if any."""
    hook: ClassVar[str] = ""
    """The ``Access`` hook that is asked instead, where the kit has one."""
    variable: str = ""
    """The named segment that this reads, if any: a rule's pattern, or a route's path, that has none is a mistake."""
    takes_segments: bool = True
    """Whether a dependency has to look for the segments of the path before it asks."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For example ``role:admin | permission:reports:write``."""

    @abstractmethod
    async def refusal(self, subject: Subject) -> str | None:
        """``None`` when the subject fulfils this, otherwise the reason why not, without any value of the session.

        What a guard or a dependency asks denies when this raises or gives anything else, and logs it.
        """
        raise NotImplementedError

    def refusal_now(self, subject: Subject) -> str | Pending | None:
        """The same as far as it can be told at once; otherwise what to wait for before asking again.

        This is for speed, and the library's own requirements: for others it asks ``refusal``.
        """
        answer: str | Pending | None = subject.once(
            id(self), partial(self.refusal, subject), self._reason, partial(_raised, self.name)
        )
        return answer

    def _reason(self, given: object) -> str | None:
        if given is None or isinstance(given, str):
            return given
        return _no_answer(self.name, given, "neither a reason nor None")

    def leaves(self) -> Iterator["Requirement"]:
        """The requirements that this is made of."""
        yield self

    def alternatives(self) -> Alternatives | None:
        """The same as a choice of conjunctions: one of the outer tuples must hold in all its parts.

        ``None`` where there would be more than 32: requirements multiply out.
        """
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

    if not TYPE_CHECKING:  # so that type checkers refuse it too

        def __call__(self) -> None:
            """Refuse ``Depends(role("admin"))``, where FastAPI could only say that it is not callable."""
            raise ConfigurationError(no_dependency_message(self))

    def __str__(self) -> str:
        return self.name


def no_dependency_message(requirement: Requirement) -> str:
    """What to say where a requirement is taken for a dependency."""
    return (
        f"{requirement} is a requirement, and Depends() takes a dependency that asks for it: write Depends(require(...)), such "
        'as Depends(require(role("admin")))'
    )


async def refusal_of(requirement: Requirement, subject: Subject) -> str | None:
    """Why the subject does not fulfil the requirement; ``None`` when it does. Waits where that takes waiting."""
    while True:
        answer = requirement.refusal_now(subject)
        if answer is None or isinstance(answer, str):
            return answer
        await answer


def fresh_limits(requirement: Requirement) -> list[float]:
    """The ages in seconds that ``fresh`` allows anywhere in a requirement, the largest first."""
    ages = {leaf.max_age for leaf in requirement.leaves() if isinstance(leaf, _Fresh)}
    return sorted(ages, reverse=True)


def require_no_waiting(requirement: Requirement, access: Access, caller: str) -> None:
    """Refuse to ask without waiting what only an ``await`` can answer."""
    for leaf in requirement.leaves():
        hook = getattr(access, leaf.hook, None) if leaf.hook else None
        waits = is_asynchronous(leaf.check) if isinstance(leaf, _Custom) else not isinstance(leaf, _BuiltIn)
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


T = TypeVar("T")


def folded(
    requirement: Requirement,
    leaf: Callable[[Requirement], T],
    every: Callable[[list[T]], T],
    some: Callable[[list[T]], T],
) -> T:
    """What ``leaf`` makes of its leaves, put together by ``every`` where all must hold, and by ``some`` where one must."""
    if not isinstance(requirement, _Combined):
        return leaf(requirement)
    parts = [folded(part, leaf, every, some) for part in requirement.parts]
    return every(parts) if isinstance(requirement, _AllOf) else some(parts)


def kind_of(leaf: Requirement) -> str:
    """Which of the library's own requirements this is: ``"role"``, ``"fresh"``; ``""`` for one of the application's."""
    return leaf.kind if isinstance(leaf, _BuiltIn) else ""


class _BuiltIn(Requirement):
    """A requirement with one predicate, ``refusal_now``, whoever asks."""

    __slots__ = ()
    kind: ClassVar[str] = ""
    takes_segments = False

    @abstractmethod
    def refusal_now(self, subject: Subject) -> str | Pending | None:
        raise NotImplementedError

    async def refusal(self, subject: Subject) -> str | None:
        return await refusal_of(self, subject)


@dataclass(frozen=True, slots=True)
class _SignedIn(_BuiltIn):
    kind = "signed_in"

    @property
    def name(self) -> str:
        return "signed_in"

    def refusal_now(self, subject: Subject) -> str | None:
        return NOBODY if subject.is_nobody else None


@dataclass(frozen=True, slots=True)
class _Has(_BuiltIn):
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
class _Fresh(_BuiltIn):
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
class _Owner(_BuiltIn):
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
class _Custom(_BuiltIn):
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
            id(self), partial(self.check, *given), self._verdict, partial(_raised, self.name)
        )
        return answer

    def _verdict(self, answer: object) -> str | None:
        if answer is True:
            return None
        if answer is None or (isinstance(answer, int | float | Collection) and not answer):
            return f"{self.name} said no"
        return _no_answer(self.name, answer, "neither True nor plainly false")


def _raised(name: str, error: Exception) -> str:
    logger.error("%s raised, so it denies: %s", name, origin_of(error))
    return f"{name} raised"


def _no_answer(name: str, answer: object, what: str) -> str:
    logger.error("%s gave a %s, which is %s, so it denies", name, type(answer).__name__, what)
    if isinstance(answer, CoroutineType):
        answer.close()  # it is refused, not forgotten
    return f"{name} gave no answer"


@dataclass(frozen=True, slots=True)
class _Combined(_BuiltIn):
    parts: tuple[Requirement, ...]

    def leaves(self) -> Iterator[Requirement]:
        for part in self.parts:
            yield from part.leaves()


@dataclass(frozen=True, slots=True)
class _AllOf(_Combined):
    @property
    def name(self) -> str:
        return " & ".join(f"({part})" if isinstance(part, _AnyOf) else part.name for part in self.parts)

    def refusal_now(self, subject: Subject) -> str | Pending | None:
        for part in self.parts:
            answer = part.refusal_now(subject)
            if answer is not None:
                return answer
        return None

    def alternatives(self) -> Alternatives | None:
        combined: Alternatives = ((),)
        for part in self.parts:
            choices = part.alternatives()
            if choices is None or len(combined) * len(choices) > MOST_ALTERNATIVES:
                return None
            combined = tuple((*left, *right) for left in combined for right in choices)
        return combined


@dataclass(frozen=True, slots=True)
class _AnyOf(_Combined):
    @property
    def name(self) -> str:
        return " | ".join(part.name for part in self.parts)

    def refusal_now(self, subject: Subject) -> str | Pending | None:
        reasons: dict[str, None] = {}
        for part in self.parts:
            answer = part.refusal_now(subject)
            if not isinstance(answer, str):
                return answer
            reasons[answer] = None
        return " and ".join(reasons)

    def alternatives(self) -> Alternatives | None:
        combined: Alternatives = ()
        for part in self.parts:
            choices = part.alternatives()
            if choices is None or len(combined) + len(choices) > MOST_ALTERNATIVES:
                return None
            combined += choices
        return combined


def all_of(*parts: Requirement) -> Requirement:
    """What needs every one of the parts."""
    return _combine(_AllOf, parts)


def any_of(*parts: Requirement) -> Requirement:
    """What needs one of the parts."""
    return _combine(_AnyOf, parts)


def require_hashable(requirement: Requirement) -> None:
    """Refuse a requirement that has no hash, such as of a dataclass that may change."""
    try:
        hash(requirement)
    except TypeError as error:
        raise ConfigurationError(
            f"{type(requirement).__name__} can't be hashed ({error}), and a requirement does not change once it is made: write "
            "@dataclass(frozen=True), with tuples in place of lists"
        ) from None


def _combine(kind: type[_AllOf] | type[_AnyOf], parts: Iterable[Requirement]) -> Requirement:
    flat: dict[Requirement, None] = {}
    for part in parts:
        if not isinstance(part, Requirement):
            raise ConfigurationError(
                f"Requirements combine with requirements such as role('admin') or custom(fn), not with {part!r}"
            )
        require_hashable(part)
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


def check_readable(requirement: Requirement, model: type, access: Access) -> Requirement:
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


def _may_have(model: type, leaf: Requirement) -> bool:
    """Whether a session of the model has what is read: a field, a property, or, without a hook, an extra field."""
    fields = getattr(model, "model_fields", ())
    if hasattr(model, leaf.reads) or leaf.reads in fields:
        return True
    takes_extra = getattr(model, "model_config", {}).get("extra") == "allow"
    return takes_extra and not leaf.hook and probably_meant(leaf.reads, fields) is None


def _names(names: tuple[object, ...], what: str) -> tuple[str, ...]:
    good = tuple(str.__str__(name) for name in names if isinstance(name, str) and name.strip())  # of an Enum, its value
    if not names or len(good) < len(names):
        raise ConfigurationError(
            f"{what}() takes one or more names, each a string that is not blank: {what}('reader'), not {names!r}"
        )
    return good
