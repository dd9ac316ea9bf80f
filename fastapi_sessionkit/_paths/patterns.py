"""The glob syntax of rules, and an index that decides as fast for a thousand of them as for one.

A pattern is whole segments: a literal, ``{name}`` (one segment), ``*`` (one or more segments) or ``**`` (none or more).
Case counts. One trailing slash on a request path does not: ``/admin/`` is read as ``/admin``.

Inside, a pattern is its *atoms*, a normal form in which ``*`` is exactly one segment and a ``**`` ends its run of
wildcards: ``/a/**/{name}/b`` becomes ``a * ** b``. Nothing backtracks or recurses: a path takes one step a segment in
each of at most two automata, whatever it and the patterns look like. Which segment a name stands for is no matter of
matching: it is counted from the path's start or its end.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from ..errors import ConfigurationError

T = TypeVar("T")

ONE, REST = "*", "**"
MAX_LENGTH = 1_000
UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd\ud800-\udfff\\]")
"""Characters that parts of the stack read differently, or that no decoded path has: such a path reaches no rule."""

_MISTAKES = (
    (re.compile(r"\A(?!/)"), "it starts with a slash, as in '/admin/**'"),
    (UNREADABLE, "a request path with a backslash, a control or an unreadable character is refused before any rule"),
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

    __slots__ = ("ends", "lasting", "literals", "one", "rest", "start", "width")

    def __init__(self) -> None:
        self.literals: dict[str, int] = {}
        self.one: int = 0
        self.rest: int = 0
        self.lasting: int = 0  # the atoms of each run of wildcards that a ``**`` ends
        self.start: int = 0
        self.ends: int = 0
        self.width: int = 0

    def add(self, atoms: Iterable[str]) -> int:
        """Add a pattern and return its end bit's index."""
        first = bit = run = 1 << self.width  # a run of wildcards begins at ``run``
        for atom in atoms:
            if atom == REST:
                self.rest |= bit
                self.lasting |= (bit << 1) - run
            elif atom == ONE:
                self.one |= bit
            else:
                self.literals[atom] = self.literals.get(atom, 0) | bit
                run = bit << 1
            bit <<= 1
        self.start |= self.past_rest(first)
        self.ends |= bit
        self.width = bit.bit_length()
        return self.width - 1

    def run(self, segments: Iterable[str]) -> int:
        """The end bits of the patterns that match these segments."""
        active = self.start
        for segment in segments:
            if not active:
                break
            active = self.step(active, segment)
        return active & self.ends

    def step(self, active: int, segment: str) -> int:
        """Where ``active`` leads over one segment; a wildcard's text is a segment that no literal names."""
        return self.advance(active, self.literals.get(segment, 0))

    def advance(self, active: int, literals: int) -> int:
        """Where ``active`` leads over a segment that the atoms in ``literals`` accept, besides the wildcards."""
        return self.past_rest((active & (literals | self.one)) << 1 | active & self.rest)

    def past_rest(self, active: int) -> int:
        """With each ``**`` that is reached, what stands behind it, as it may match nothing."""
        return active | (active & self.rest) << 1


@dataclass(frozen=True, slots=True, init=False)
class Pattern:
    """A rule's pattern, checked when it is made; immutable, and equal to a pattern of the same text.

    Attributes:
        names: each ``{name}`` and where it stands among a path's segments, counted from the start, or from the end if
            negative.

    Raises:
        ConfigurationError: the text is no pattern, or one that could never match; it says what to write instead.
    """

    text: str
    segments: tuple[str, ...] = field(compare=False, repr=False)
    names: tuple[tuple[str, int], ...] = field(compare=False, repr=False)
    atoms: tuple[str, ...] = field(compare=False, repr=False)
    automaton: Automaton = field(compare=False, repr=False)

    def __init__(self, text: str) -> None:
        _check(text)
        segments = tuple(_split(text))
        names, atoms, automaton = _names(text, segments), _normal_form(segments), Automaton()
        automaton.add(atoms)
        values = {"text": text, "segments": segments, "names": names, "atoms": atoms, "automaton": automaton}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def matches(self, path: str) -> bool:
        """Whether this is one of the pattern's paths: percent-decoded, ``""`` being the root.

        A path without a slash in front is nobody's. Empty, ``.`` and ``..`` segments count as segments like any
        other, which is why a request with one has to be refused before it is matched.
        """
        return _is_path(path) and bool(self.automaton.run(_split(path)))

    def named_segments(self, path: str) -> Mapping[str, str]:
        """What each ``{name}`` stands for in a path that the pattern matches."""
        segments = _split(path)
        return MappingProxyType({name: segments[at] for name, at in self.names})


class PatternIndex(Generic[T]):
    """Values under patterns, in an order that decides between them; immutable, and safe to share between threads.

    The patterns that begin with the same literal share an automaton, and those that begin with a wildcard share one.
    A path moves through two of them at most, its first segment's and the wildcards'.
    """

    def __init__(self, entries: Iterable[tuple[Pattern, T]]) -> None:
        self._values: list[T] = []
        self._by_first: dict[str, _Group] = {}
        self._others = _Group()
        for pattern, value in entries:
            first = pattern.atoms[0] if pattern.atoms else REST
            group = self._others if first in (ONE, REST) else self._by_first.setdefault(first, _Group())
            group.add(pattern.atoms, len(self._values))
            self._values.append(value)

    def find(self, path: str) -> T | None:
        """The first value whose pattern matches, or ``None``."""
        return next(self.matching(path), None)

    def matching(self, path: str) -> Iterator[T]:
        """Every value whose pattern matches, in order."""
        if not _is_path(path):
            return iter(())
        segments = _split(path)
        found = self._others.matching(segments)
        group = self._by_first.get(segments[0]) if segments else None
        if group is not None:
            found = sorted(found + group.matching(segments))
        return map(self._values.__getitem__, found)


class _Group:
    """Patterns in one automaton, each with its place in the index."""

    __slots__ = ("automaton", "places")

    def __init__(self) -> None:
        self.automaton = Automaton()
        self.places: dict[int, int] = {}  # by the pattern's end bit

    def add(self, atoms: tuple[str, ...], place: int) -> None:
        self.places[self.automaton.add(atoms)] = place

    def matching(self, segments: list[str]) -> list[int]:
        """The places of the patterns that match, in order: a later pattern has a higher bit."""
        return [self.places[end] for end in _bits(self.automaton.run(segments))]


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
        if segment[0] != "{" and segment not in (ONE, REST):
            atoms.append(segment)
            continue
        any_number = segment in (ONE, REST)
        if atoms[-1:] == [REST]:
            atoms.pop()
            any_number = True
        if segment != REST:
            atoms.append(ONE)
        if any_number:
            atoms.append(REST)
    return tuple(atoms)


def _names(text: str, segments: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Each ``{name}`` and its place. Between two of ``*`` and ``**`` it could be one segment or another."""
    wild = [at for at, segment in enumerate(segments) if segment in (ONE, REST)]
    names: dict[str, int] = {}
    for at, segment in enumerate(segments):
        if "{" not in segment and "}" not in segment:
            continue
        name = segment[1:-1]
        if segment[0] != "{" or segment[-1] != "}" or not name.isidentifier():
            raise ConfigurationError(
                f"{text!r} is not a pattern: {{name}} is a Python identifier in braces and stands alone between slashes, as "
                "in '/users/{user_id}'; write {name} for a route's {name:int}, and ** for {name:path}."
            )
        if name in names:
            raise ConfigurationError(
                f"{text!r} is not a pattern: {segment} stands in it twice; give each its own name."
            )
        if wild and wild[0] < at < wild[-1]:
            raise ConfigurationError(
                f"{text!r} is not a pattern: between two of * and ** {segment} could be one segment or another; write "
                "a {name} for each single segment, as in '/api/{version}/users/{user_id}/**'."
            )
        names[name] = at if not wild or at < wild[0] else at - len(segments)
    return tuple(names.items())


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
