"""People to ask about: somebody with a few roles and permissions, or nobody."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from ..access import NO_SEGMENTS, Segments, Subject
from ..errors import ConfigurationError
from ..requirements import Requirement, folded, kind_of
from .elsewhere import Elsewhere
from .formulas import Atom

ANONYMOUS = "anonymous"
_KINDS = (
    "role:admin, permission:reports:write, user:42, signed_in, fresh:600s, owner:user_id and custom:<name of a function>; of another "
    "kit each with that kit's name before it, staff/role:lead"
)
_ATOM = re.compile(
    r"(?:[A-Za-z0-9_.\-]+/)?(?:(?:role|permission|user|owner|custom):.+|fresh:\d+(?:\.\d+)?s|signed_in)", re.DOTALL
)
_NAMED = re.compile(r"(?P<name>[^=:,]+)=(?P<atoms>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has these atoms, as requirements print them; without any, nobody who is signed in.

    Attributes:
        name: what tables call them.
        atoms: ``role:admin``, ``permission:reports:write``, ``user:42`` (the ``user_id``), ``signed_in``; and what else is
            to hold of them: ``fresh:600s``, ``owner:user_id``, ``custom:paid``. What they have with another kit has its
            name before it: ``staff/role:lead``.
    """

    name: str
    atoms: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for atom in self.atoms:
            if not _ATOM.fullmatch(atom):
                raise ConfigurationError(f"{atom!r} is nothing that a person has; there are {_KINDS}")

    @classmethod
    def read(cls, text: str) -> "Person":
        """The person in ``admin=role:admin,permission:users``, ``role:editor`` or ``anonymous``.

        Raises:
            ConfigurationError: there is none.
        """
        if text == ANONYMOUS:
            return cls(ANONYMOUS)
        named = _NAMED.fullmatch(text)
        name, atoms = (named["name"], named["atoms"]) if named else (text, text)
        found = frozenset(atom.strip() for atom in atoms.split(",") if atom.strip())
        if not found:
            raise ConfigurationError(f"{text!r} names nobody: write NAME=ATOM,ATOM with {_KINDS}; or {ANONYMOUS}")
        return cls(name.strip(), found)

    @property
    def is_nobody(self) -> bool:
        """Whether nobody is signed in with the audited kit."""
        return all(Atom(atom).kit for atom in self.atoms)

    def known_to(self, kit: str) -> "Person":
        """The same person as another kit knows them."""
        return Person(self.name, frozenset(Atom(atom).there.text for atom in self.atoms if Atom(atom).kit == kit))

    def subject(self, segments: Segments = NO_SEGMENTS) -> Subject:
        """The person as requirements ask for somebody; ``access`` hooks are left out, for atoms are what they would give."""
        if self.is_nobody:
            return Subject(None, segments=segments)
        session = SimpleNamespace(
            all_roles=self._with("role"),
            permissions=self._with("permission"),
            user_id=next(iter(self._with("user")), None),
        )
        return Subject(session, segments=segments)

    def _with(self, kind: str) -> frozenset[str]:
        return frozenset(atom.partition(":")[2] for atom in self.atoms if atom.startswith(f"{kind}:"))


def people(given: "Iterable[Person | str] | Mapping[str, str | Iterable[str]]") -> list[Person]:
    """People, however they are given: as such, as texts that ``Person.read`` takes, or as atoms by name."""
    if isinstance(given, Mapping):
        named = cast("Mapping[str, str | Iterable[str]]", given)
        return [_person(name, atoms) for name, atoms in named.items()]
    return [each if isinstance(each, Person) else Person.read(each) for each in given]


def _person(name: str, atoms: str | Iterable[str]) -> Person:
    listed = atoms.split(",") if isinstance(atoms, str) else atoms
    return Person(name, frozenset(atom.strip() for atom in listed if atom.strip()))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether somebody fulfils something.

    Attributes:
        holds: ``None`` where only a function, a path or a clock can tell.
        reasons: why not, or on what it depends.
    """

    holds: bool | None
    reasons: tuple[str, ...] = ()


MET = Verdict(True)  # noqa: FBT003


def verdict(requirement: Requirement | None, person: Person, segments: Segments = NO_SEGMENTS) -> Verdict:
    """Whether a person fulfils a requirement on a path with these named segments."""
    if requirement is None:
        return MET
    subject = person.subject(segments)
    return folded(requirement, lambda leaf: _verdict_of_leaf(leaf, person, subject), all_hold, _one_holds)


def all_hold(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict for all of several that must hold: what is refused is said before what can't be told."""
    listed = list(verdicts)
    for holds in (False, None):
        found = [each for each in listed if each.holds is holds]
        if found:
            return Verdict(holds, _reasons(found))
    return MET


def _one_holds(verdicts: list[Verdict]) -> Verdict:
    for holds in (True, None):
        found = [each for each in verdicts if each.holds is holds]
        if found:
            return Verdict(holds, _reasons(found))
    return Verdict(False, _reasons(verdicts))  # noqa: FBT003


def _reasons(verdicts: list[Verdict]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for each in verdicts for reason in each.reasons))


def _verdict_of_leaf(leaf: Requirement, person: Person, subject: Subject) -> Verdict:
    if isinstance(leaf, Elsewhere):
        found = verdict(leaf.asked, person.known_to(leaf.kit), subject.segments)
        return Verdict(found.holds, tuple(map(leaf.reason, found.reasons)))
    kind = kind_of(leaf)
    if leaf.name in person.atoms:
        return MET
    if kind == "fresh" and not person.is_nobody:
        wanted = Atom(leaf.name)
        known = any(Atom(atom).entails(wanted) for atom in person.atoms)
        return MET if known else Verdict(None, (f"{leaf} depends on when they signed in",))
    if kind == "owner" and not person.is_nobody and not _knows_owner(leaf, person, subject):
        return Verdict(None, (f"{leaf} depends on whose it is",))
    if kind not in {"signed_in", "role", "permission", "fresh", "owner"}:
        return Verdict(None, (f"{leaf} is a function of the application",))
    reason = leaf.refusal_now(subject)
    return MET if reason is None else Verdict(False, (str(reason),))  # noqa: FBT003


def _knows_owner(leaf: Requirement, person: Person, subject: Subject) -> bool:
    has_user = any(atom.startswith("user:") for atom in person.atoms)
    return has_user and leaf.reads == "user_id" and leaf.variable in subject.segments
