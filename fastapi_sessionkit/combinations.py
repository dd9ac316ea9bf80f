"""What a requirement is, and how requirements combine with ``&`` and ``|``."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar

from .access import Pending, Subject, origin_of
from .errors import ConfigurationError

logger: logging.Logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_ALTERNATIVES = 32
"""Conjunctions that one requirement may be spelled out as."""

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
            id(self), partial(self.refusal, subject), self._reason, partial(raised_reason, self.name)
        )
        return answer

    def _reason(self, given: object) -> str | None:
        if given is None or isinstance(given, str):
            return given
        return no_answer_reason(self.name, given, "neither a reason nor None")

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


class BuiltIn(Requirement):
    """A requirement with one predicate, ``refusal_now``, whoever asks."""

    __slots__ = ()
    kind: ClassVar[str] = ""
    takes_segments = False

    @abstractmethod
    def refusal_now(self, subject: Subject) -> str | Pending | None:
        """The predicate."""
        raise NotImplementedError

    async def refusal(self, subject: Subject) -> str | None:
        """The same, once it is known."""
        return await refusal_of(self, subject)


def raised_reason(name: str, error: Exception) -> str:
    """Why a requirement denies that raised; logs it."""
    logger.error("%s raised, so it denies: %s", name, origin_of(error))
    return f"{name} raised"


def no_answer_reason(name: str, answer: object, what: str) -> str:
    """Why a requirement denies that gave something else than an answer; logs it."""
    logger.error("%s gave a %s, which is %s, so it denies", name, type(answer).__name__, what)
    if isinstance(answer, CoroutineType):
        answer.close()  # it is refused, not forgotten
    return f"{name} gave no answer"


@dataclass(frozen=True, slots=True)
class _Combined(BuiltIn):
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
    return leaf.kind if isinstance(leaf, BuiltIn) else ""
