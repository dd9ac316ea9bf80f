"""The glob syntax of rules, and an index that decides as fast for a thousand of them as for one.

A pattern is whole segments: a literal, ``*`` (one or more segments) or ``**`` (none or more). Case counts. One
trailing slash on a request path does not: ``/admin/`` is read as ``/admin``.

Inside, a pattern is its *atoms*, a normal form in which ``*`` is exactly one segment and ``**`` ends every run of
wildcards: ``/a/**/*/b`` becomes ``a * ** b``. Nothing backtracks or recurses: a path takes one step a segment, and
one look-up for each wildcard that it has come to, whatever it and the patterns look like.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from fastapi_sessionkit.errors import ConfigurationError

T = TypeVar("T")

ONE, REST = "*", "**"
MAX_LENGTH = 1_000
UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd\ud800-\udfff\\]")
"""Characters that parts of the stack read differently, or that no decoded path has: such a path reaches no rule."""

# Paths an index remembers, and the longest it does: a client that makes up paths can fill a megabyte, not the memory.
_REMEMBERED, _REMEMBERED_LENGTH = 1_024, 256

_MISTAKES = (
    (re.compile(r"\A(?!/)"), "it starts with a slash, as in '/admin/**'"),
    (UNREADABLE, "a request path with a backslash, a control or an unreadable character is refused before any rule"),
    (re.compile(r"[{}]"), "this is how a route is written; a rule has * for {name} and ** for {name:path}"),
    (re.compile(r"[?#]"), "a rule sees only the path; leave out the query and the fragment"),
    (re.compile(r"%[0-9A-Fa-f]{2}"), "paths are matched percent-decoded; write the character itself"),
    (re.compile(r"//"), "a request path with an empty segment is refused before any rule; write one slash"),
    (re.compile(r"[^/]/\Z"), "leave out the slash at the end; a request path matches with and without it"),
    (re.compile(r"/\.\.?(?:/|\Z)"), "a request path with a . or .. segment is refused before any rule"),
    (re.compile(r"[^/*]\*|\*[^/*]|\*{3}"), "* and ** stand alone between slashes, as in '/files/*' or '/files/**'"),
)


class Automaton:
    """Which atom of which pattern comes next, as the bits of one integer, so that all of them move in one step.

    This is Shift-And (Baeza-Yates and Gonnet 1992) over segments: an exponential number of ways to match costs
    nothing, because two ways to the same atom are the same bit. The bit behind a pattern's last atom is its end.
    """

    __slots__ = ("ends", "literals", "one", "rest", "start", "width")

    def __init__(self) -> None:
        self.literals: dict[str, int] = {}
        self.one: int = 0
        self.rest: int = 0
        self.start: int = 0
        self.ends: int = 0
        self.width: int = 0

    def add(self, atoms: Iterable[str]) -> int:
        """Add a pattern and return its end bit's index."""
        first = bit = 1 << self.width
        for atom in atoms:
            if atom == REST:
                self.rest |= bit
            elif atom == ONE:
                self.one |= bit
            else:
                self.literals[atom] = self.literals.get(atom, 0) | bit
            bit <<= 1
        self.start |= self.past_rest(first)
        self.ends |= bit
        self.width = bit.bit_length()
        return self.width - 1

    def step(self, active: int, segment: str) -> int:
        """Where `active` leads over one segment; a wildcard's text is a segment that no literal names."""
        return self.advance(active, self.literals.get(segment, 0))

    def advance(self, active: int, literals: int) -> int:
        """Where `active` leads over a segment that the atoms in `literals` accept, besides the wildcards."""
        return self.past_rest((active & (literals | self.one)) << 1 | active & self.rest)

    def past_rest(self, active: int) -> int:
        """With each ``**`` that is reached, what stands behind it, as it may match nothing."""
        return active | (active & self.rest) << 1


@dataclass(frozen=True, slots=True, init=False)
class Pattern:
    """A rule's pattern, checked when it is made; immutable, and equal to a pattern of the same text.

    Raises:
        ConfigurationError: the text is no pattern, or one that could never match; it says what to write instead.
    """

    text: str
    segments: tuple[str, ...] = field(compare=False, repr=False)
    atoms: tuple[str, ...] = field(compare=False, repr=False)
    automaton: Automaton = field(compare=False, repr=False)

    def __init__(self, text: str) -> None:
        _check(text)
        segments = tuple(_split(text))
        atoms, automaton = _normal_form(segments), Automaton()
        automaton.add(atoms)
        for name, value in (("text", text), ("segments", segments), ("atoms", atoms), ("automaton", automaton)):
            object.__setattr__(self, name, value)

    def matches(self, path: str) -> bool:
        """Whether this is one of the pattern's paths: percent-decoded, ``""`` being the root.

        A path without a slash in front is nobody's. Empty, ``.`` and ``..`` segments count as segments like any
        other, which is why a request with one has to be refused before it is matched.
        """
        if not _is_path(path):
            return False
        automaton = self.automaton
        active = automaton.start
        for segment in _split(path):
            active = automaton.step(active, segment)
            if not active:
                return False
        return bool(active & automaton.ends)


class _Gap:
    """The patterns that have the same literals up to a wildcard, and the same wildcard there."""

    __slots__ = ("enter", "owners")

    def __init__(self) -> None:
        self.owners: tuple[int, ...] = ()  # entries of the pattern that ends with the wildcard
        self.enter: dict[str, int] = {}  # the literal behind the wildcard, to the atoms that it leads to


class _Node:
    __slots__ = ("children", "gaps", "owners")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.gaps: dict[int, _Gap] = {}  # by how many segments the wildcard asks for at least
        self.owners: tuple[int, ...] = ()  # entries of the pattern that ends here


class PatternIndex(Generic[T]):
    """Entries under patterns, in an order that decides between them; immutable, and safe to share between threads.

    A path walks a tree of the patterns' literal beginnings, one dictionary a segment. What stands behind a wildcard
    waits there under its next literal, and only once that one is seen takes part in an automaton.
    """

    def __init__(self, entries: Iterable[tuple[Pattern, T]]) -> None:
        self._values: list[T] = []
        self._root = _Node()
        self._automaton = Automaton()
        self._owners: dict[int, tuple[int, ...]] = {}  # by the index of a pattern's end bit
        same: dict[tuple[str, ...], list[int]] = {}
        for index, (pattern, value) in enumerate(entries):
            self._values.append(value)
            same.setdefault(pattern.atoms, []).append(index)
        for atoms, owners in same.items():
            self._insert(atoms, tuple(owners))
        self._remembered = lru_cache(_REMEMBERED)(self._matching)

    def find(self, path: str, accepts: Callable[[T], bool]) -> T | None:
        """The first entry whose pattern matches `path` and that `accepts` says yes to, or None."""
        matching = self._remembered if len(path) <= _REMEMBERED_LENGTH else self._matching
        for value in matching(path):
            if accepts(value):
                return value
        return None

    def _insert(self, atoms: tuple[str, ...], owners: tuple[int, ...]) -> None:
        node, prefix = self._root, _literal_prefix(atoms)
        for literal in atoms[:prefix]:
            node = node.children.setdefault(literal, _Node())
        if prefix == len(atoms):
            node.owners = owners
            return
        rest = atoms.index(REST, prefix)
        gap = node.gaps.setdefault(rest - prefix, _Gap())
        behind = atoms[rest + 1 :]
        if behind:
            self._insert_behind(gap, behind, owners)
        else:
            gap.owners = owners

    def _insert_behind(self, gap: _Gap, atoms: tuple[str, ...], owners: tuple[int, ...]) -> None:
        first = 1 << self._automaton.width
        end = self._automaton.add(atoms)
        self._owners[end] = owners
        gap.enter[atoms[0]] = gap.enter.get(atoms[0], 0) | self._automaton.step(first, atoms[0])

    def _matching(self, path: str) -> tuple[T, ...]:
        """Every entry whose pattern matches, in order."""
        if not _is_path(path):
            return ()
        segments = _split(path)
        nodes = self._walk(segments)
        found = list(nodes[-1].owners) if len(nodes) > len(segments) else []
        waiting = []
        for depth, node in enumerate(nodes):
            for least, gap in node.gaps.items():
                if depth + least <= len(segments):
                    found += gap.owners
                    if gap.enter:
                        waiting.append((depth + least, gap.enter))
        if waiting:
            found += self._cross(segments, waiting)
        return tuple([self._values[index] for index in sorted(found)])

    def _walk(self, segments: list[str]) -> list[_Node]:
        """The nodes from the root on, as far as literals go."""
        nodes = [self._root]
        for segment in segments:
            node = nodes[-1].children.get(segment)
            if node is None:
                break
            nodes.append(node)
        return nodes

    def _cross(self, segments: list[str], waiting: list[tuple[int, dict[str, int]]]) -> list[int]:
        """The entries whose literals behind wildcards are met too."""
        active, step = 0, self._automaton.step
        for depth, segment in enumerate(segments):
            if active:
                active = step(active, segment)
            for begin, enter in waiting:
                if depth >= begin and segment in enter:
                    active |= enter[segment]
        return [index for end in _bits(active & self._automaton.ends) for index in self._owners[end]]


def _is_path(path: str) -> bool:
    return path[:1] in ("", "/")


def _split(path: str) -> list[str]:
    """The path's segments; one slash at the end is no segment, so the root has none."""
    if len(path) < 2:
        return []
    return (path[1:-1] if path[-1] == "/" else path[1:]).split("/")


def _normal_form(segments: tuple[str, ...]) -> tuple[str, ...]:
    atoms: list[str] = []
    for segment in segments:
        if segment in (ONE, REST) and atoms and atoms[-1] == REST:
            atoms.pop()
        atoms += (ONE, REST) if segment == ONE else (segment,)
    return tuple(atoms)


def _literal_prefix(atoms: tuple[str, ...]) -> int:
    return next((index for index, atom in enumerate(atoms) if atom in (ONE, REST)), len(atoms))


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _check(text: str) -> None:
    if not isinstance(text, str):
        raise ConfigurationError(f"A pattern is a string such as '/admin/**', not {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise ConfigurationError(
            f"A pattern has at most {MAX_LENGTH:,} characters; {text[:40]!r}... has {len(text):,}."
        )
    for mistake, advice in _MISTAKES:
        if mistake.search(text):
            raise ConfigurationError(f"{text!r} is not a pattern: {advice}.")
