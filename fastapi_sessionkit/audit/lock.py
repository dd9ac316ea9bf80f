"""The access lock: who may do what, as a file that is reviewed; and what became of it since."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from .._paths.coverage import covers, meet
from .._paths.patterns import Pattern
from ..errors import ConfigurationError
from .formulas import Atom, Formula, atoms_in, read_formula
from .implication import counterexample
from .operations import Operation

_VERSION = "1"
_HEADER = (
    f'# Who may do what. Written by "sessionkit lock"; "sessionkit lock --check" compares.\n# version: {_VERSION}\n'
)
_VERSION_LINE = re.compile(r"# version: *(?P<number>.*?) *")
_CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_LINE = re.compile(r'(?P<method>\S+) +(?P<path>"(?:[^"\\]|\\.)*"|\S+)(?: +(?P<needs>\S.*))?')
_CASE = re.compile(r'    (?:at (?P<where>"(?:[^"\\]|\\.)*")|otherwise): (?P<needs>.+)')

Cases = tuple[tuple[str | None, Formula], ...]
EQUAL, EQUIVALENT, LOOSENED, TIGHTENED = "equal", "equivalent", "loosened", "tightened"
CHANGED, UNKNOWN, NEW, REMOVED = "changed", "unknown", "new", "removed"
HARMLESS = frozenset({EQUAL, EQUIVALENT})


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation in the lock, and what it needs: for all paths of a pattern first, and last for all others."""

    method: str
    path: str
    cases: Cases

    @property
    def needs(self) -> str:
        """What it needs, in words."""
        if len(self.cases) == 1:
            return str(self.cases[0][1])
        return "; ".join(f"{f'at {where}' if where else 'otherwise'}: {formula}" for where, formula in self.cases)


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an operation since the lock was written.

    Attributes:
        label: ``"loosened"``, ``"tightened"``, ``"equivalent"``, ``"changed"`` (some gain and some lose), ``"unknown"`` (a
            function changed), ``"new"`` or ``"removed"``; ``"equal"`` for none.
        method: of the operation.
        path: of the operation.
        before: what it needed; ``None`` for a new one.
        after: what it needs; ``None`` for one that is gone.
        gains: what somebody has who may call it now and could not before; empty for everybody, ``None`` for nobody.
        loses: the same the other way round.
    """

    label: str
    method: str
    path: str
    before: str | None
    after: str | None
    gains: tuple[str, ...] | None = None
    loses: tuple[str, ...] | None = None

    @property
    def is_harmless(self) -> bool:
        """Whether the same people may call it as before."""
        return self.label in HARMLESS

    @property
    def witness(self) -> str:
        """Somebody who gains, and somebody who loses, in words."""
        told = (("gains", self.gains), ("loses", self.loses))
        return "; ".join(f"{_described(atoms)} {what}" for what, atoms in told if atoms is not None)


def entries_of(operations: Iterable[Operation]) -> list[Entry]:
    """What the lock says of operations."""
    return [Entry(each.method, each.path, each.formulas) for each in operations]


def lock_text(entries: Iterable[Entry]) -> str:
    """The file: a line for each operation, sorted by path and method; routes that share both as the router asks them."""
    ordered = sorted(entries, key=lambda each: (each.path, each.method))
    return _HEADER + "".join(f"\n{line}" for each in ordered for line in _lines(each)) + "\n"


def _lines(entry: Entry) -> Iterator[str]:
    start = f"{entry.method:<9} {quoted_path(entry.path)}"
    if len(entry.cases) == 1:
        yield f"{start:<50} {entry.cases[0][1]}"
        return
    yield start
    for where, formula in entry.cases:
        yield f"    {'otherwise' if where is None else f'at {json.dumps(where)}'}: {formula}"


def quoted_path(path: str) -> str:
    """A path as it stands in the lock: in quotation marks where a line could not be read otherwise."""
    return path if re.fullmatch(r'[^\s"]+', path) else json.dumps(path)


def read_lock(text: str) -> list[Entry]:
    """What a lock file says.

    Raises:
        ConfigurationError: it is none, and the sentence names the line.
    """
    entries: list[Entry] = []
    number = 0
    try:
        for number, line in enumerate(text.splitlines(), 1):  # noqa: B007 - the error names it
            _check_comment(line)
            if line.strip() and not line.startswith("#"):
                _read_line(line.rstrip(), entries)
        _check_complete(entries[-1:])
    except (ConfigurationError, ValueError) as error:
        raise ConfigurationError(
            f'Line {number} of the lock can\'t be read: {error}. Write it anew with "sessionkit lock"'
        ) from None
    return entries


def _check_comment(line: str) -> None:
    """Refuse what another release, or a merge, has left."""
    version = _VERSION_LINE.fullmatch(line)
    if version is not None and version["number"] != _VERSION:
        raise ConfigurationError(f"it is of version {version['number']}, and this release reads version {_VERSION}")
    if line.startswith(_CONFLICT):
        raise ConfigurationError(f"{line!r} was left by a merge")


def _read_line(line: str, entries: list[Entry]) -> None:
    case, start = _CASE.fullmatch(line), _LINE.fullmatch(line)
    if case is not None and entries and not _is_complete(entries[-1]):
        where = case["where"] and json.loads(case["where"])
        last = entries.pop()
        entries.append(Entry(last.method, last.path, (*last.cases, (where, read_formula(case["needs"])))))
    elif start is not None and case is None:
        _check_complete(entries[-1:])
        path = json.loads(start["path"]) if start["path"].startswith('"') else start["path"]
        cases: Cases = () if start["needs"] is None else ((None, read_formula(start["needs"])),)
        entries.append(Entry(start["method"], path, cases))
    else:
        raise ConfigurationError(f"{line!r} is neither an operation nor what one needs")


def _is_complete(entry: Entry) -> bool:
    """Whether it says what all paths need that no earlier case is about."""
    return bool(entry.cases) and entry.cases[-1][0] is None


def _check_complete(entries: list[Entry]) -> None:
    for each in entries:
        if not _is_complete(each):
            raise ConfigurationError(f"the lock does not say what {each.method} {each.path} needs")


def compared(before: Iterable[Entry], after: Iterable[Entry]) -> list[Change]:
    """What became of each operation, by path and method."""
    old, new = _by_name(before), _by_name(after)
    changes = [_change(old.get(name), new.get(name)) for name in dict.fromkeys((*old, *new))]
    return sorted(changes, key=lambda each: (each.path, each.method))


def _by_name(entries: Iterable[Entry]) -> dict[tuple[str, str, int], Entry]:
    """Two routes may have one path and method, by host for example: then they are told apart by their order."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for each in entries:
        name = (each.method, each.path)
        found[*name, seen[name]] = each
        seen[name] += 1
    return found


def _change(old: Entry | None, new: Entry | None) -> Change:
    if old is None and new is not None:
        return Change(NEW, new.method, new.path, None, new.needs)
    if old is None or new is None:
        gone = old or Entry("", "", ())
        return Change(REMOVED, gone.method, gone.path, gone.needs, None)
    if old.cases == new.cases:
        return Change(EQUAL, new.method, new.path, old.needs, new.needs)
    pairs = list(_pairs(old.cases, new.cases))
    gains = _witness((after, before) for before, after in pairs)
    loses = _witness(pairs)
    return Change(
        _label(pairs, gains=gains is not None, loses=loses is not None),
        new.method,
        new.path,
        old.needs,
        new.needs,
        gains,
        loses,
    )


def _label(pairs: list[tuple[Formula, Formula]], *, gains: bool, loses: bool) -> str:
    if any(_code_changed(before, after) and before != after for before, after in pairs) and (gains and loses):
        return UNKNOWN
    if gains:
        return CHANGED if loses else LOOSENED
    return TIGHTENED if loses else EQUIVALENT


def _code_changed(before: Formula, after: Formula) -> bool:
    """Whether a function has the name that it had, and another source."""
    old, new = ({atom for atom in atoms_in(each) if atom.is_code} for each in (before, after))
    return bool({atom.name for atom in old - new} & {atom.name for atom in new - old})


def _witness(pairs: Iterable[tuple[Formula, Formula]]) -> tuple[str, ...] | None:
    """What somebody has who fulfils the first of a pair and not the second; of all pairs, who has the least."""
    found = [each for first, second in pairs if (each := counterexample(first, second)) is not None]
    return None if not found else tuple(sorted(map(str, min(found, key=_order))))


def _order(atoms: Iterable[Atom]) -> tuple[int, list[Atom]]:
    ordered = sorted(atoms)
    return len(ordered), ordered


def _described(atoms: tuple[str, ...]) -> str:
    return " & ".join(atoms) or "everybody"


def _pairs(old: Cases, new: Cases) -> Iterator[tuple[Formula, Formula]]:
    """What was needed and what is, for each pair of cases that share a path."""
    for (number, (where, before)), (other, (place, after)) in product(enumerate(old), enumerate(new)):
        earlier = [*(text for text, _ in old[:number]), *(text for text, _ in new[:other])]
        if _meet(where, place) and not any(_covers(text, each) for text in earlier for each in (where, place) if each):
            yield before, after


def _meet(first: str | None, second: str | None) -> bool:
    """Whether the two are about a path together, as far as that can be told."""
    try:
        return first is None or second is None or meet(Pattern(first), Pattern(second))
    except ConfigurationError:
        return True


def _covers(first: str | None, second: str) -> bool:
    """Whether the paths of the first include those of the second, so that none is left over for it."""
    if first is None or first == second:
        return True
    try:
        return covers(Pattern(first), Pattern(second))
    except ConfigurationError:
        return False  # of several guards at once
