"""Operations and people: who may call what."""

from collections.abc import Mapping
from dataclasses import dataclass

from .operations import Operation
from .people import Person, Verdict, verdict

ALLOWED, REFUSED, DEPENDS = "allowed", "refused", "depends"
_WORDS = {True: ALLOWED, False: REFUSED, None: DEPENDS}


@dataclass(frozen=True, slots=True)
class Cell:
    """Whether one person may call one operation.

    Attributes:
        access: ``"allowed"``, ``"refused"``, or ``"depends"`` where only a function, a clock or the path can tell.
        why: what is missing, or on what it depends.
    """

    access: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """One operation, and what each person may do, by their names."""

    operation: Operation
    access: Mapping[str, Cell]


def rows(operations: list[Operation], people: list[Person]) -> list[Row]:
    """The table."""
    return [Row(each, {person.name: _cell(each, person) for person in people}) for each in operations]


def _cell(operation: Operation, person: Person) -> Cell:
    found = [(case.where, verdict(case.requirement, person)) for case in operation.cases]
    if len({each.holds for _, each in found}) == 1:
        first = found[-1][1]
        return Cell(_WORDS[first.holds], _why(first))
    told = [f"{_WORDS[each.holds]} {f'at {where}' if where else 'otherwise'}" for where, each in found]
    return Cell(DEPENDS, "; ".join(told))


def _why(found: Verdict) -> str:
    return " and ".join(found.reasons)
