"""The pattern compiler: a pattern matches what a plain matcher says, and what is said of patterns holds for each path."""

import re
from functools import cache

from starlette.routing import compile_path

from fastapi_sessionkit._paths.coverage import Coverage, coverage, covers, meet
from fastapi_sessionkit._paths.patterns import Pattern, PatternIndex
from fastapi_sessionkit._paths.routed import is_ambiguous
from fastapi_sessionkit.errors import ConfigurationError

# A path, a route's template, then one pattern a line.
SEEDS = [
    text.encode()
    for text in (
        "/admin/users/7\n/admin/{p:path}\n/admin/**\n/admin/*\n/admin",
        "/a/x/b\n/a/{n}/b\n/a/**/b\n/a/*/b\n/a/{n}/b",
        "/\n/\n/\n/**\n/*\n/**/*",
        "/a/a/a/b\n/a/{p:path}/b\n/a/**/a/**/b\n/**/a/*/b\n/*/*/*/*",
        "/v1-x/7\n/v{n:int}-{p:path}\n/{version}/{n}\n/**/{n}",
        "/files/a.json\n/files/{name}.json\n/files/{name}\n/files/a.json",
        "/users/{id}\n/users/{id:int}\n/users/{id}/**\n/{a}/{b}",
    )
]
_MOST = 12
"""Patterns in one input: each is held against each."""
_DEEPEST = 200
"""Segments of a path that the plain matcher takes: it calls itself for each."""


def check(data: bytes) -> None:
    """Every text is a pattern or a mistake; every path is matched as the four sentences of the contract say."""
    path, template, *texts = [*data.decode("utf-8", "surrogateescape").split("\n"), ""]
    patterns = [pattern for text in texts[:_MOST] if (pattern := _pattern(text)) is not None]
    matching = [pattern for pattern in patterns if pattern.matches(path)]

    assert list(PatternIndex((each, each) for each in patterns).matching(path)) == matching
    if is_ambiguous(path) or len(_segments(path)) > _DEEPEST:
        return
    for pattern in matching:
        assert set(pattern.named_segments(path).values()) <= set(_segments(path))
    assert matching == [pattern for pattern in patterns if matches(pattern.segments, _segments(path))]
    for earlier in patterns:
        for later in patterns:
            assert not covers(earlier, later) or later not in matching or earlier in matching
            assert meet(earlier, later) or not {earlier, later} <= set(matching)
    _check_coverage(patterns, matching, template, path)


def _check_coverage(patterns: list[Pattern], matching: list[Pattern], template: str, path: str) -> None:
    route = _route(template)
    for pattern in patterns:
        how_much = coverage(pattern, template)
        if route is not None and route.match(path):
            assert how_much is not (Coverage.NEVER if pattern in matching else Coverage.CERTAIN)


def _pattern(text: str) -> Pattern | None:
    try:
        return Pattern(text)
    except ConfigurationError:
        return None


def _route(template: str) -> re.Pattern[str] | None:
    """What Starlette makes of a template; ``None`` for what is none."""
    try:
        return compile_path(template)[0] if template.startswith("/") else None
    except (AssertionError, KeyError, ValueError, re.error):
        return None


def _segments(path: str) -> tuple[str, ...]:
    inner = path.removeprefix("/").removesuffix("/")
    return tuple(inner.split("/")) if inner else ()


def matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """The contract's sentences about segments, as plain as they come."""

    @cache
    def suits(at: int, place: int) -> bool:
        if at == len(pattern):
            return place == len(path)
        wanted, is_left = pattern[at], place < len(path)
        if wanted == "**":
            return suits(at + 1, place) or (is_left and suits(at, place + 1))
        if wanted == "*":
            return is_left and (suits(at + 1, place + 1) or suits(at, place + 1))
        return is_left and (wanted == path[place] or wanted[0] == "{") and suits(at + 1, place + 1)

    return suits(0, 0)
