"""Requirements as formulas: atoms that combine with ``&`` and ``|``, to be compared, written down and read back.

A requirement asks a session. A formula only says what is asked for, so that one from yesterday's file and one from today's
application can be held against each other.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ConfigurationError
from ..requirements import Requirement, folded, kind_of
from .elsewhere import Elsewhere
from .sources import fingerprint

_NAMED = frozenset({"signed_in", "role", "permission", "fresh", "owner"})
_SOMEBODYS = frozenset({"role", "permission", "fresh", "owner"})
_BARE = r'[^\s()|&"]+(?:\([^\s()|&"]*\))?'
_TOKEN = re.compile(rf'\s*(?:(?P<mark>[()|&])|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<bare>{_BARE}))')
OPEN_TEXT = "open"


@dataclass(frozen=True, slots=True, order=True)
class Atom:
    """One thing that a session is or has, as it is written: ``role:admin``, ``fresh:600s``, ``custom:paid#1f2e3d4c``.

    What another kit asks for has that kit's name before it, ``staff/role:lead``, and says nothing about the audited one's people.
    """

    text: str

    @property
    def kind(self) -> str:
        """What stands before the colon."""
        return self.text.partition(":")[0]

    @property
    def kit(self) -> str:
        """The name of another kit, if that one asks for it."""
        return self.kind.rpartition("/")[0]

    @property
    def there(self) -> "Atom":
        """The same as that kit writes it."""
        return Atom(self.text.removeprefix(f"{self.kit}/"))

    @property
    def age(self) -> float | None:
        """Seconds, of ``fresh``."""
        return float(self.text.removeprefix("fresh:").removesuffix("s")) if self.kind == "fresh" else None

    @property
    def is_code(self) -> bool:
        """Whether it is a function or a class of the application's, which only running it can tell about."""
        return self.there.kind not in _NAMED

    @property
    def name(self) -> str:
        """The text, of a function without the hash of its source."""
        return self.text.rpartition("#")[0] if self.is_code and "#" in self.text else self.text

    def entails(self, other: "Atom") -> bool:
        """Whether whoever has this has the other one too."""
        if self.kit or other.kit:
            return self.kit == other.kit and self.there.entails(other.there)
        if other.text == "signed_in":
            return self == other or self.kind in _SOMEBODYS
        if self.age is not None and other.age is not None:
            return self.age <= other.age
        return self == other

    def __str__(self) -> str:
        return self.text if re.fullmatch(_BARE, self.text) and self.text != OPEN_TEXT else json.dumps(self.text)


@dataclass(frozen=True, slots=True)
class All:
    """All of its parts. Without a part: everybody."""

    parts: frozenset["Formula"]

    def __str__(self) -> str:
        texts = sorted(f"({part})" if isinstance(part, Some) else str(part) for part in self.parts)
        return " & ".join(texts) or OPEN_TEXT


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of its parts."""

    parts: frozenset["Formula"]

    def __str__(self) -> str:
        return " | ".join(sorted(map(str, self.parts)))


Formula: TypeAlias = Atom | All | Some
OPEN = All(frozenset())


def formula_of(requirement: Requirement | None) -> Formula:
    """What a requirement asks for; ``None`` asks for nothing."""
    return OPEN if requirement is None else folded(requirement, _atom, every, some)


def every(parts: list[Formula]) -> Formula:
    """All of these."""
    return _joined(All, parts)


def some(parts: list[Formula]) -> Formula:
    """At least one of these."""
    return _joined(Some, parts)


def _joined(kind: type[All] | type[Some], parts: list[Formula]) -> Formula:
    flat = frozenset(inner for part in parts for inner in (part.parts if isinstance(part, kind) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else kind(flat)


def _atom(leaf: Requirement) -> Atom:
    if isinstance(leaf, Elsewhere):
        return Atom(f"{leaf.kit}/{_atom(leaf.asked).text}")
    kind = kind_of(leaf)
    if kind == "fresh":
        return Atom(f"fresh:{leaf.max_age:.15g}s")  # type: ignore[attr-defined]
    if kind == "custom":
        return Atom(f"{leaf.name}#{fingerprint(leaf.check)}")  # type: ignore[attr-defined]
    if kind:
        return Atom(leaf.name)
    return Atom(f"custom:{leaf.name}#{fingerprint(leaf)}")


def atoms_in(formula: Formula) -> Iterator[Atom]:
    """The atoms of a formula."""
    if isinstance(formula, Atom):
        yield formula
        return
    for part in formula.parts:
        yield from atoms_in(part)


def read_formula(text: str) -> Formula:
    """The formula that was written as this text.

    Raises:
        ConfigurationError: it is none.
    """
    tokens = list(_tokens(text))
    formula = _read_some(tokens)
    if tokens:
        raise ConfigurationError(f"{text!r} is no requirement: nothing can follow before {tokens[0]!r}")
    return formula


def _tokens(text: str) -> Iterator[str]:
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        found = _TOKEN.match(stripped, at)
        if found is None:
            raise ConfigurationError(f"{text!r} is no requirement: it can't be read from {stripped[at:]!r} on")
        yield found.group().strip()
        at = found.end()


def _read_some(tokens: list[str]) -> Formula:
    parts = [_read_every(tokens)]
    while tokens[:1] == ["|"]:
        tokens.pop(0)
        parts.append(_read_every(tokens))
    return some(parts)


def _read_every(tokens: list[str]) -> Formula:
    parts = [_read_part(tokens)]
    while tokens[:1] == ["&"]:
        tokens.pop(0)
        parts.append(_read_part(tokens))
    return every(parts)


def _read_part(tokens: list[str]) -> Formula:
    word = tokens.pop(0) if tokens else ""
    if word == "(":
        inner = _read_some(tokens)
        if tokens[:1] != [")"]:
            raise ConfigurationError("A parenthesis in a requirement is not closed")
        tokens.pop(0)
        return inner
    if word in {"", ")", "|", "&"}:
        raise ConfigurationError(f"A requirement is missing {f'before {word!r}' if word else 'at the end of a line'}")
    if word == OPEN_TEXT:
        return OPEN
    return _checked_atom(json.loads(word) if word.startswith('"') else word)


def _checked_atom(text: str) -> Atom:
    atom = Atom(text)
    try:
        atom.there.age  # noqa: B018 - it must be a number
    except ValueError:
        raise ConfigurationError(f"{text!r} is no requirement: fresh takes seconds, as in fresh:600s") from None
    return atom
