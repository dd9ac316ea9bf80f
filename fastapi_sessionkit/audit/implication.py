"""Whether one requirement implies another, decided exactly, and a person who shows that it does not.

Requirements have no "not", so the sequent calculus for ``&`` and ``|`` is complete: what is left after taking both sides
apart is a set of atoms that somebody may have, and a set that they don't need to have.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from ..requirements import Requirement
from .formulas import All, Atom, Formula, Some, formula_of

Atoms = frozenset[Atom]


def implies(first: Requirement | None, second: Requirement | None) -> bool:
    """Whether everybody who fulfils the first requirement fulfils the second; ``None`` is no requirement.

    Exact for roles, permissions, owners and freshness (``fresh(60)`` implies ``fresh(600)``), all of which take somebody
    who is signed in. A function is what it is: one implies itself, and functions are the same if their source is.
    """
    return counterexample(formula_of(first), formula_of(second)) is None


def counterexample(first: Formula, second: Formula) -> Atoms | None:
    """What somebody has who fulfils the first and not the second, and no more than that takes; ``None``: there is nobody."""
    found = _refuted([first], [second])
    if found is None:
        return None
    for atom in sorted(found):
        less = found - {atom}
        if fulfils(less, first):  # with less they can't fulfil the second either
            found = less
    return found


def fulfils(atoms: Collection[Atom], formula: Formula) -> bool:
    """Whether somebody who has these atoms, and what comes with them, fulfils a formula."""
    if isinstance(formula, Atom):
        return any(atom.entails(formula) for atom in atoms)
    test = all if isinstance(formula, All) else any
    return test(fulfils(atoms, part) for part in formula.parts)


def _refuted(given: list[Formula], wanted: list[Formula]) -> Atoms | None:
    """Atoms with which all that is given holds, and nothing that is wanted does."""
    given, wanted = _flat(given, All), _flat(wanted, Some)
    had = frozenset(each for each in given if isinstance(each, Atom))
    if not set(given).isdisjoint(wanted) or any(fulfils(had, each) for each in wanted):
        return None
    open_demands = [each for each in wanted if isinstance(each, All) and not _is_denied(each, wanted)]
    if open_demands:
        demand, parts = _narrowest(open_demands, lambda part: not fulfils(had, part))
        others = [each for each in wanted if each != demand]
        return _first(_refuted(given, [*others, part]) for part in parts)
    choices = [each for each in given if isinstance(each, Some) and not fulfils(had, each)]
    if choices:
        choice, parts = _narrowest(choices, lambda part: not _is_denied(part, wanted))
        others = [each for each in given if each != choice]
        return _first(_refuted([*others, part], wanted) for part in parts)
    return had


def _narrowest(formulas: Sequence[All | Some], is_left: Callable[[Formula], bool]) -> tuple[Formula, list[Formula]]:
    """The formula that leaves the fewest parts to try, and those."""
    return min(
        ((each, [part for part in each.parts if is_left(part)]) for each in formulas), key=lambda each: len(each[1])
    )


def _is_denied(formula: Formula, wanted: list[Formula]) -> bool:
    """Whether nobody can fulfil a formula who has nothing of what is wanted, as far as its atoms show."""
    if isinstance(formula, Atom):
        return any(isinstance(each, Atom) and formula.entails(each) for each in wanted)
    test = any if isinstance(formula, All) else all
    return test(_is_denied(part, wanted) for part in formula.parts)


def _first(found: Iterator[Atoms | None]) -> Atoms | None:
    return next((each for each in found if each is not None), None)


def _flat(formulas: list[Formula], kind: type[All] | type[Some]) -> list[Formula]:
    """The same, with what only lists its parts replaced by them."""
    found: list[Formula] = []
    waiting = list(formulas)
    for each in waiting:  # it grows by the parts
        if isinstance(each, kind):
            waiting.extend(each.parts)
        elif each not in found:
            found.append(each)
    return found
