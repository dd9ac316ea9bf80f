"""What a guard has to choose from, in order, and the ``Decision`` that comes of it."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import takewhile
from operator import is_not

from ._paths.coverage import covers
from ._paths.patterns import ONE, REST, Pattern, PatternIndex
from .access import Access
from .requirements import Requirement, check_of_session, name_of
from .rules import Rule


@dataclass(frozen=True, slots=True)
class Decision:
    """What a guard says about one request.

    Attributes:
        allowed: whether the request may pass.
        rule: the rule that decided; ``None`` when none matched.
        reason: why, in words that hold no value of the session.
        requirement: what was required; ``None`` where everybody may pass.
        signed_in: whether somebody is signed in; ``None`` when that did not matter.
        max_age: where nothing but a recent sign-in is missing: how many seconds ago that may be; otherwise ``None``.
    """

    allowed: bool
    rule: Rule | None
    reason: str
    requirement: Requirement | None = None
    signed_in: bool | None = None
    max_age: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a guard requires on the paths of one pattern.

    Attributes:
        pattern: which paths it is about.
        rule: the rule that says so; ``None`` where the guard's settings do.
        requirement: what is required; ``None`` where everybody may pass.
        reason: why this is a choice, or why everybody may pass.
        is_fallback_that_asks: whether it is global protection.
    """

    pattern: Pattern
    rule: Rule | None
    requirement: Requirement | None
    reason: str
    is_fallback_that_asks: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Of the choices without a rule nothing else asks for anything. Each request reads it, so it is decided once.
        object.__setattr__(self, "is_fallback_that_asks", self.rule is None and self.requirement is not None)

    def for_endpoint(self, *, public: bool) -> "Choice":
        """The same; an open one where it is global protection and the endpoint is marked ``@public``."""
        return MARKED if public and self.is_fallback_that_asks else self

    def required(self, access: Access) -> Requirement | None:
        """What is asked here: a rule's own conditions, or the kit's ``Access(check=...)`` instead of them."""
        check = access.check
        if check is None or self.rule is None or self.requirement is None:
            return self.requirement
        return check_of_session(partial(check, self.rule), name_of(check))


MARKED = Choice(Pattern("/**"), None, None, "the endpoint is marked @public")


@dataclass(frozen=True)
class Decisions:
    """A guard's choices for one method. The first whose pattern matches decides, and the fallback where none does.

    Attributes:
        choices: what there is to choose from, in order.
        fallback: what is chosen where none of them matches.
    """

    choices: tuple[Choice, ...]
    fallback: Choice
    _index: PatternIndex[Choice] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", PatternIndex((choice.pattern, choice) for choice in self.choices))

    def for_endpoint(self, *, public: bool) -> "Decisions":
        """The same for an endpoint that is marked ``@public``, or not: no fallback asks the former for anything."""
        made = copy.copy(self)
        object.__setattr__(made, "fallback", self.fallback.for_endpoint(public=public))
        return made

    def find(self, path: str) -> Choice:
        """The choice that decides about a path."""
        return self._index.find(path) or self.fallback

    @cached_property
    def hidden(self) -> Mapping[Choice, Choice]:
        """The choices that never decide, each with the first one before it that matches everything it does."""
        found = {}
        for choice in self.choices:
            before = takewhile(partial(is_not, choice), self._index.matching(_example(choice.pattern)))
            hider = next((each for each in before if covers(each.pattern, choice.pattern)), None)
            if hider is not None:
                found[choice] = hider
        return found


def _example(pattern: Pattern) -> str:
    """A path of the pattern's that every pattern matches which covers it."""
    return "/" + "/".join("\0" if atom == ONE else atom for atom in pattern.atoms if atom != REST)
