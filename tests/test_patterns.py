"""The glob syntax of rules and the index over many of them."""

import dataclasses
import gc
import re
import sys
from collections.abc import Callable
from itertools import cycle, islice
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_sessionkit._paths.patterns import Automaton, Pattern, PatternIndex
from fastapi_sessionkit.errors import ConfigurationError

SEGMENTS = ["a", "b", "ab"]

NAME = "{}"  # stands for a name that no other segment has


def text_of(parts: list[str]) -> str:
    return "/" + "/".join(f"{{n{number}}}" if part == NAME else part for number, part in enumerate(parts))


def is_plain(parts: list[str]) -> bool:
    """Whether each name stands for one segment and no other: not between two wildcards."""
    wild = [number for number, part in enumerate(parts) if "*" in part]
    return not any(wild and wild[0] < number < wild[-1] for number, part in enumerate(parts) if part == NAME)


segments = st.sampled_from([*SEGMENTS, NAME, "*", "**"])
patterns = st.lists(segments, max_size=6).filter(is_plain).map(text_of)
paths = st.builds(
    lambda parts, slash: "/" + "/".join(parts) + (slash if parts else ""),
    st.lists(st.sampled_from([*SEGMENTS, "z", "*", "**"]), max_size=8),
    st.sampled_from(["", "/"]),
)


def reference(pattern: str, path: str) -> bool:
    """The contract's four sentences, as slow and as plain as they come."""

    def match(wanted: list[str], given: list[str]) -> bool:
        if not wanted:
            return not given
        if wanted[0] in ("*", "**"):
            least = 1 if wanted[0] == "*" else 0
            return any(match(wanted[1:], given[skip:]) for skip in range(least, len(given) + 1))
        return bool(given) and wanted[0] in (given[0], "{id}") and match(wanted[1:], given[1:])

    named = re.sub(r"\{\w+\}", "{id}", pattern)
    return match([part for part in named.split("/") if part], [part for part in path.split("/") if part])


def index_of(texts: list[str]) -> PatternIndex[int]:
    return PatternIndex((Pattern(text), number) for number, text in enumerate(texts))


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/", ["/", ""], ["/a", "/a/"]),
        ("/admin", ["/admin", "/admin/"], ["/", "", "/Admin", "/adminx", "/admin/x", "/x/admin"]),
        ("/admin/*", ["/admin/x", "/admin/x/", "/admin/x/y"], ["/admin", "/admin/", "/adminx", "/x"]),
        ("/admin/**", ["/admin", "/admin/", "/admin/x", "/admin/x/y/"], ["/", "/adminx", "/x/admin"]),
        ("/a/**/b", ["/a/b", "/a/x/b", "/a/x/y/b", "/a/b/b"], ["/ab", "/a", "/a/b/c", "/a/xb"]),
        ("/a/*/b", ["/a/x/b", "/a/x/y/b", "/a/b/b"], ["/a/b", "/a/x/b/y"]),
        ("/**", ["/", "", "/a", "/a/b/"], []),
        ("/*", ["/a", "/a/b"], ["/", ""]),
        ("/*/*", ["/a/b", "/a/b/c"], ["/a", "/"]),
        ("/**/*/b", ["/a/b", "/a/b/b"], ["/b", "/"]),
        ("/**/new", ["/new", "/a/new"], ["/a/new/x"]),
        ("/a.b+c", ["/a.b+c"], ["/axb+c", "/a.bbc"]),
        ("/users/{id}", ["/users/7", "/users/7/", "/users/{id}"], ["/users", "/users/", "/users/7/x", "/Users/7"]),
        ("/users/{id}/**", ["/users/7", "/users/7/", "/users/7/x/y"], ["/users", "/users/"]),
        ("/{a}", ["/a", "/b/"], ["/", "", "/a/b"]),
        ("/{a}/x/{b}", ["/a/x/b", "/x/x/x"], ["/a/x", "/a/y/b", "/a/x/b/c"]),
        ("/**/{a}", ["/x", "/x/y"], ["/", ""]),
        ("/a/b", ["/a/b"], ["/a/a", "/b/a", "/b/b"]),
        ("/100%/caf\u00e9 x", ["/100%/caf\u00e9 x"], ["/100/caf\u00e9 x"]),
    ],
)
def test_a_pattern_matches_whole_segments(pattern: str, matching: list[str], others: list[str]) -> None:
    matched = [path for path in matching + others if Pattern(pattern).matches(path)]

    assert matched == matching


@given(patterns, paths)
@example("/a/**/a/**/b", "/a/a/b/b")
@example("/**/a/b", "/a/a/b")
def test_matching_agrees_with_a_plain_matcher(pattern: str, path: str) -> None:
    assert Pattern(pattern).matches(path) is reference(pattern, path)


@pytest.mark.parametrize("path", ["admin", "*", "admin/x", "x/admin"])
def test_a_path_that_starts_with_no_slash_is_nobodys(path: str) -> None:
    assert not Pattern("/admin/**").matches(path)
    assert not Pattern("/**").matches(path)
    assert index_of(["/**"]).find(path) is None


def test_only_one_trailing_slash_does_not_count() -> None:
    assert not Pattern("/admin").matches("/admin//")
    assert not Pattern("/").matches("//")


def test_a_star_in_the_request_path_is_no_wildcard() -> None:
    assert not Pattern("/admin/x").matches("/admin/*")
    assert index_of(["/admin/x", "/**/x"]).find("/*/y") is None


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "starts with a slash"),
        ("admin", "starts with a slash"),
        (" /admin", "starts with a slash"),
        ("**", "starts with a slash"),
        ("/a*", "stand alone"),
        ("/*a/b", "stand alone"),
        ("/a**b", "stand alone"),
        ("/***", "stand alone"),
        ("/a/**.json", "stand alone"),
        ("/a//b", "empty segment"),
        ("//", "empty segment"),
        ("/a//", "empty segment"),
        ("/a/", "slash at the end"),
        ("/a/**/", "slash at the end"),
        ("/a/.", ". or .. segment"),
        ("/../a", ". or .. segment"),
        ("/a/../b", ". or .. segment"),
        ("/a\\b", "backslash"),
        ("/a\n", "control"),
        ("/a\x00", "control"),
        ("/a\x7f", "control"),
        ("/a\x80", "control"),
        ("/a\x85", "control"),
        ("/a\x9f", "control"),
        ("/a\u2028", "control"),
        ("/a\u2029", "control"),
        ("/a\ufffd", "unreadable"),
        ("/a" + chr(0xDC80), "unreadable"),
        ("/users/{id}.json", "stands alone between slashes"),
        ("/users/x{id}", "stands alone between slashes"),
        ("/users/{id", "stands alone between slashes"),
        ("/users/id}", "stands alone between slashes"),
        ("/users/{a}{b}", "stands alone between slashes"),
        ("/users/{{id}}", "stands alone between slashes"),
        ("/users/}{", "stands alone between slashes"),
        ("/users/{", "stands alone between slashes"),
        ("/users/{}", "a Python identifier"),
        ("/users/{1}", "a Python identifier"),
        ("/users/{user-id}", "a Python identifier"),
        ("/users/{ id}", "a Python identifier"),
        ("/users/{id:int}", "{name} for a route's {name:int}"),
        ("/{id}/{id}", "{id} stands in it twice"),
        ("/{id}/**/{id}", "{id} stands in it twice"),
        ("/**/users/{id}/**", "one segment or another"),
        ("/*/{id}/*", "one segment or another"),
        ("/{*}", "* and ** stand alone"),
        ("/files/{p:path}", "** for {name:path}"),
        ("/a?x=1", "only the path"),
        ("/a#top", "only the path"),
        ("/caf%C3%A9", "percent-decoded"),
        ("/a%2fb", "percent-decoded"),
        ("/" + "a" * 1_000, "at most 1,000 characters"),
    ],
)
def test_what_is_no_pattern_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Pattern(text)

    assert advice in str(refused.value)
    assert repr(text[:40])[1:-1] in str(refused.value)


@pytest.mark.parametrize("thing", [None, 1, b"/admin", ["/admin"]])
def test_what_is_no_string_is_refused_by_its_type(thing: object) -> None:
    with pytest.raises(ConfigurationError, match=type(thing).__name__):
        Pattern(thing)  # type: ignore[arg-type]


def test_a_thousand_characters_are_still_a_pattern() -> None:
    text = "/" + "a" * 999

    assert Pattern(text).matches(text)


@pytest.mark.parametrize("text", ["/.well-known/**", "/...", "/a..b", "/a.", "/-/_/~", "/50%", "/%zz"])
def test_what_only_looks_odd_is_a_pattern(text: str) -> None:
    assert Pattern(text).matches(text)


@given(st.text(max_size=20).map(lambda text: "/" + text))
def test_any_text_is_either_a_pattern_or_a_configuration_error(text: str) -> None:
    try:
        pattern = Pattern(text)
    except ConfigurationError:
        return

    assert pattern.matches(text)


def test_patterns_are_values() -> None:
    pattern = Pattern("/a/*")

    assert pattern == Pattern("/a/*") != Pattern("/a/**")
    assert len({pattern, Pattern("/a/*")}) == 1
    assert (pattern.text, pattern.segments) == ("/a/*", ("a", "*"))
    assert repr(pattern) == "Pattern(text='/a/*')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        pattern.text = "/b"  # type: ignore[misc]


@given(st.lists(patterns, max_size=12), paths)
def test_the_index_gives_what_a_scan_in_order_gives(texts: list[str], path: str) -> None:
    scanned = [number for number, text in enumerate(texts) if reference(text, path)]

    assert list(index_of(texts).matching(path)) == scanned
    assert index_of(texts).find(path) == next(iter(scanned), None)


def test_the_order_given_decides_and_not_which_pattern_is_narrower() -> None:
    assert index_of(["/a/**", "/a/b", "/**/b"]).find("/a/b") == 0
    assert index_of(["/**/b", "/a/b", "/a/**"]).find("/a/b") == 0
    assert index_of(["/c", "/a/**/b", "/a/**"]).find("/a/b") == 1


def test_patterns_with_the_same_literal_behind_a_wildcard_stay_apart() -> None:
    index = index_of(["/a/**/b/c", "/a/**/b/d", "/a/*/b/**", "/a/**/b"])
    paths = ["/a/b/c", "/a/b/d", "/a/x/b/e", "/a/x/b", "/a/b"]

    assert [index.find(path) for path in paths] == [0, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("text", "path", "named"),
    [
        ("/users/{user_id}/**", "/users/7", {"user_id": "7"}),
        ("/users/{user_id}/**", "/users/7/", {"user_id": "7"}),
        ("/users/{user_id}/**", "/users/7/users/8", {"user_id": "7"}),
        ("/**/users/{user_id}", "/users/7/users/8", {"user_id": "8"}),
        ("/{tenant}/*/{user_id}", "/acme/a/b/c/7", {"tenant": "acme", "user_id": "7"}),
        ("/{a}/{b}/**/*/{c}/x", "/1/2/3/4/x", {"a": "1", "b": "2", "c": "4"}),
        ("/users/{user_id}", "/users/{user_id}", {"user_id": "{user_id}"}),
        ("/users/**", "/users/7", {}),
    ],
)
def test_a_name_stands_for_one_segment_and_always_for_the_same(text: str, path: str, named: dict[str, str]) -> None:
    assert Pattern(text).matches(path)
    assert Pattern(text).named_segments(path) == named


@given(patterns, paths)
def test_what_a_name_stands_for_is_the_one_segment_that_may_stand_there(text: str, path: str) -> None:
    """With its own segment in place of a name, a pattern still matches the path, and with another one it does not."""
    pattern = Pattern(text)
    if not pattern.matches(path):
        return

    for name, segment in pattern.named_segments(path).items():
        if "*" not in segment:
            assert reference(text.replace(f"{{{name}}}", segment), path)
        assert not reference(text.replace(f"{{{name}}}", "another"), path)


def test_an_empty_index_finds_nothing() -> None:
    assert index_of([]).find("/") is None


def steps_of(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> int:
    steps, step = 0, Automaton.step

    def counted(self: Automaton, active: int, segment: str) -> int:
        nonlocal steps
        steps += 1
        return step(self, active, segment)

    with monkeypatch.context() as patch:
        patch.setattr(Automaton, "step", counted)
        action()
    return steps


@pytest.mark.parametrize("text", ["/**/a/**/a/**/a/**/b", "/" + "**/a/" * 199 + "b", "/*" * 500, "/a/*" * 250])
def test_attack_many_double_stars_and_a_deep_path_take_one_step_a_segment(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    pattern, index = Pattern(text), index_of([text])
    deep = "/a" * 2_000

    assert steps_of(monkeypatch, lambda: pattern.matches(deep)) <= 2_000
    assert steps_of(monkeypatch, lambda: index.find(deep)) <= 2_000


def test_attack_a_path_that_wakes_every_rule_takes_one_step_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of([f"/**/a{number}/**/a{number}/**/end" for number in range(1_000)])
    path = "/" + "/".join(islice(cycle(f"a{number}" for number in range(1_000)), 2_000))

    assert list(index.matching(path + "/end")) == list(range(1_000))
    assert steps_of(monkeypatch, lambda: index.find(path)) <= 2_000


def calls_of(action: Callable[[], object]) -> int:
    calls, before = 0, sys.getprofile()

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()  # what it calls is no call of the action's
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
        gc.enable()
    return calls


@pytest.mark.parametrize(
    ("family", "path"),
    [
        ("/area{}/**", "/area{}/users/list"),
        ("/a/long/prefix/that/all/share/x{}/**", "/a/long/prefix/that/all/share/x{}/y"),
        ("/a/long/prefix/that/all/share/x{}", "/a/long/prefix/that/all/share/x{}"),
        ("/api/*/thing{}/**", "/api/v1/thing{}/y"),
        ("/api/*/thing{}/*/end", "/api/v1/thing{}/y/end"),
        ("/**/thing{}", "/api/v1/thing{}"),
        ("/*/*/thing{}", "/api/v1/thing{}"),
        ("/api/*/thing{}/**", "/api/v1/other/y"),
        ("/**/thing{}/**", "/thing{}"),
        ("/users/{{id}}/thing{}/**", "/users/7/thing{}/x"),
        ("/{{tenant}}/thing{}/{{id}}", "/acme/thing{}/7"),
    ],
)
def test_a_thousand_rules_take_as_many_calls_as_one(family: str, path: str) -> None:
    one, many = index_of([family.format(0)]), index_of([family.format(number) for number in range(1_000)])
    of_one, of_many = path.format(0), path.format(999)

    assert calls_of(lambda: many.find(of_many)) == calls_of(lambda: one.find(of_one))
