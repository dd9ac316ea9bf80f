"""How much of a route, or of another pattern, a pattern covers.

A template is as Starlette writes ``route.path``: ``/users/{id}``, ``/n/{x:int}``, ``/files/{p:path}``,
``/a/{name}.json``; for a mount its path and ``/{path:path}``. Only paths that reach a rule count: none with an empty,
``.`` or ``..`` segment, and ``/files/`` is ``/files``.

Both questions are answered in one pass over the template's parts, with all of the pattern's atoms that may come next:
"can it match" follows the segments that suit the pattern best, "must it match" those that suit it least.
"""

import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from starlette.convertors import CONVERTOR_TYPES
from starlette.routing import PARAM_REGEX

from .patterns import ONE, REST, UNREADABLE, Automaton, Pattern

# One segment of exactly this text; one segment of many that fit; any number of any segments, none included.
_Part: TypeAlias = str | re.Pattern[str] | None

_ANY_SEGMENT = re.compile("[^/]+")
_PARTS: dict[str, _Part] = {ONE: _ANY_SEGMENT, REST: None}

# A convertor's regex that plainly matches no slash and looks at nothing but what it matches.
_WITHIN_SEGMENT = re.compile(
    r"""(?: \[\^[^]\\[]*/[^]\\[]*\]                                     # [^/]
          | \[(?:[0-9A-Za-z]-[0-9A-Za-z] | [\w.] | \\[dws.-])+-?\]      # [0-9a-f_-]
          | [\w-] | \\[dws.-] | \((?:\?:|(?!\?)) | [)|?*+] | \{\d+(?:,\d*)?\}
        )*""",
    re.VERBOSE,
)


class Coverage(Enum):
    """How many of a route's paths a pattern matches: none, some, all. In doubt it is POSSIBLE."""

    NEVER = "never"
    POSSIBLE = "possible"
    CERTAIN = "certain"


def coverage(pattern: Pattern, template: str) -> Coverage:
    """How many of the paths that Starlette routes to `template` does `pattern` match?

    `template` is ``route.path``. ``route.path_format`` won't do: without the ``:path`` of ``{p:path}`` it reads as one
    segment. Convertors that are registered with Starlette by now are known; one whose regex might match a slash or
    looks around itself counts as ``path``. A template without paths is never matched.
    """
    if template and not template.startswith("/"):
        return Coverage.POSSIBLE
    if _begin_apart(pattern, template):
        return Coverage.NEVER
    parts = _parts(template, tuple([(name, known.regex) for name, known in CONVERTOR_TYPES.items()]))
    if parts is None or not _can_match(pattern.automaton, parts):
        return Coverage.NEVER
    return Coverage.CERTAIN if _must_match(pattern.automaton, parts) else Coverage.POSSIBLE


def _begin_apart(pattern: Pattern, template: str) -> bool:
    """Whether their first segments are two texts, which is plain for most of many rules and routes."""
    first = pattern.atoms[0] if pattern.atoms else REST
    segment = template[1:].partition("/")[0]
    return first not in {ONE, REST} and "{" not in segment and segment != first


def covers(earlier: Pattern, later: Pattern) -> bool:
    """Whether `earlier` matches every path that `later` does, so that none is left over for `later`."""
    return _must_match(earlier.automaton, (None if atom == REST else atom for atom in later.atoms))


def meet(first: Pattern, second: Pattern) -> bool:
    """Whether a path exists that both match."""
    return _can_match(first.automaton, (_PARTS.get(atom, atom) for atom in second.atoms))


def _can_match(automaton: Automaton, parts: Iterable[_Part]) -> bool:
    active = automaton.start
    for part in parts:
        if part is None:
            active = _at_best(active)
        elif isinstance(part, str):
            active = automaton.step(active, part)
        else:
            active = automaton.advance(active, _accepted(automaton, part))
        if not active:
            return False
    return bool(active & automaton.ends)


def _accepted(automaton: Automaton, part: re.Pattern[str]) -> int:
    accepted = 0
    for literal, atoms in automaton.literals.items():
        if part.fullmatch(literal):
            accepted |= atoms
    return accepted


def _at_best(active: int) -> int:
    """What any number of any segments can lead to: every bit from the first active atom's on."""
    return -(active & -active)


def _must_match(automaton: Automaton, parts: Iterable[_Part]) -> bool:
    active = automaton.start
    for part in parts:
        if part is None:
            active = _at_worst(automaton, active)
        else:
            active = automaton.step(active, part) if isinstance(part, str) else automaton.advance(active, 0)
        if not active:
            return False
    return bool(active & automaton.ends)


def _at_worst(automaton: Automaton, active: int) -> int:
    """What any number of any segments is sure to leave: the wildcards that take any number of them.

    Where single segments are still asked for, the worst number is none; after that, it is one that fits no literal.
    There is no third case: behind a wildcard whatever an earlier atom would accept is accepted, so only the last
    active wildcard counts. A run of single segments without a ``**`` at its end is left behind by one segment too many.
    """
    return automaton.past_rest(active & automaton.lasting)


@lru_cache(1_024)
def _parts(template: str, convertors: tuple[tuple[str, str], ...]) -> tuple[_Part, ...] | None:
    """The template's parts, or None if each of its paths is one that is refused before any rule."""
    known = {f":{name}": regex for name, regex in convertors if _WITHIN_SEGMENT.fullmatch(regex)}
    parts: list[_Part] = []
    texts = template.split("/")[1:]
    for at, text in enumerate(texts, 1):
        last = at == len(texts)
        if PARAM_REGEX.search(text):
            parts += _with_parameters(_fragments(text, known), last=last)
        elif text in (".", "..") or (not text and not last) or UNREADABLE.search(text):
            return None
        elif text:
            parts.append(text)
    return tuple(parts)


def _fragments(text: str, known: dict[str, str]) -> list[str | None]:
    """The regexes of texts and parameters in turn; None for a parameter that may match slashes."""
    fragments: list[str | None] = []
    for at, token in enumerate(PARAM_REGEX.split(text)):  # text, name, convertor, text, name, convertor, ..., text
        if at % 3 == 0:
            fragments.append(re.escape(token))
        elif at % 3 == 2:
            regex = known.get(token or ":str")
            fragments.append(regex and f"(?:{regex})")
    return fragments


def _with_parameters(fragments: list[str | None], *, last: bool) -> list[_Part]:
    """A piece's parts, or parts that have its paths and more: that can turn an answer into POSSIBLE and no other way.

    Only the last piece can match no text, for then the path ends with a slash; elsewhere that is an empty segment.
    """
    regexes = [fragment or "" for fragment in fragments]
    if None not in fragments:
        segment = "".join(regexes)
        return [None] if last and _may_be_empty(segment) else [re.compile(segment)]
    head = "".join(regexes[: fragments.index(None)])
    tail = "".join(regexes[len(fragments) - fragments[::-1].index(None) :])
    if not _may_be_empty(head):
        return [re.compile(head + "[^/]*"), None]
    if not _may_be_empty(tail):
        return [None, re.compile("[^/]*" + tail)]
    return [None] if last else [_ANY_SEGMENT, None]


def _may_be_empty(regex: str) -> bool:
    return re.fullmatch(regex, "") is not None
