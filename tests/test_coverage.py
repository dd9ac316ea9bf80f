"""How much of a route, or of another pattern, a pattern covers; Starlette's own regexes say what a route matches."""

import re
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.routing import Mount, compile_path

from fastapi_sessionkit._paths.coverage import Coverage, coverage, covers, meet
from fastapi_sessionkit._paths.patterns import Pattern
from tests.test_patterns import NAME, is_plain, text_of

NEVER, POSSIBLE, CERTAIN = Coverage.NEVER, Coverage.POSSIBLE, Coverage.CERTAIN

# A piece of a template, and segments that it might match: all kinds that matter next to the patterns' literals.
PIECES = {
    "a": ["a"],
    "b": ["b"],
    "7": ["7"],
    "a.json": ["a.json"],
    "{%s}": ["z"],
    "{%s:str}": ["z"],
    "{%s:int}": ["7", "8"],
    "{%s:float}": ["7", "8.5"],
    "{%s:path}": ["z"],
    "{%s}.json": ["a.json", "z.json"],
    "a{%s}": ["ab", "az"],
    "{%s:path}.json": ["a.json", "z.json", ".json"],
    "a{%s:path}": ["a", "ab", "az"],
    "{%s}-{%sb}": ["a-b", "z-z"],
    "": [],
}
VAGUE = {  # pieces for which POSSIBLE may stand for more: only "certain" and "never" are promised
    "a{%s:path}b": ["ab", "azb"],
    "{%s:path}-{%sb:path}": ["a-b", "-", "z-"],
    "{%s:int}{%sb:path}": ["7", "7a"],
    "{%s:maybe}": ["a", "b"],
    "{%s:slashed}": ["a", "b"],
    "{%s:ahead}": ["a", "b"],
    "{%s:lang}": ["a", "b"],
}
CONVERTORS = {"maybe": "[a-z]*", "slashed": "[a/]+", "ahead": "(?!a/b)[^/]+", "lang": "a|b|ab"}
LITERALS = ["a", "b", "7", "ab", "a.json", "a-b"]


def patterns(longest: int, literals: Sequence[str] = LITERALS) -> st.SearchStrategy[str]:
    parts = st.sampled_from([*literals, NAME, "*", "**"])
    return st.lists(parts, max_size=longest).filter(is_plain).map(text_of)


@pytest.fixture(autouse=True, scope="module")
def convertors() -> Iterator[None]:
    """Convertors of an application's own, registered and taken away again."""
    with pytest.MonkeyPatch.context() as patch:
        for name, regex in CONVERTORS.items():
            patch.setitem(CONVERTOR_TYPES, name, type(name, (Convertor,), {"regex": regex})())
        yield


def template_of(pieces: list[str]) -> str:
    return "/" + "/".join(piece.replace("%s", f"p{number}") for number, piece in enumerate(pieces))


def all_paths(alphabet: set[str], longest: int) -> Iterator[str]:
    yield from ("", "/")
    for length in range(1, longest + 1):
        for parts in product(sorted(alphabet), repeat=length):
            path = "/" + "/".join(parts)
            yield from (path, path + "/")


def verdicts(pattern: str, pieces: list[str], longest: int) -> set[bool]:
    """Whether the pattern matches, for each enumerated path that Starlette routes to the template."""
    regex, glob = compile_path(template_of(pieces))[0], Pattern(pattern)
    alphabet = {"z", *(sample for piece in pieces for sample in (PIECES | VAGUE)[piece])}
    alphabet |= {part for part in pattern.split("/") if part.strip("*")}
    return {glob.matches(path) for path in all_paths(alphabet, longest) if regex.match(path)}


def said(answer: Coverage) -> set[bool]:
    return {NEVER: {False}, CERTAIN: {True}, POSSIBLE: {True, False}}[answer]


@pytest.mark.parametrize(
    ("pattern", "template", "expected"),
    [
        ("/users/42", "/users/{id}", POSSIBLE),
        ("/users/*", "/users/{id}", CERTAIN),
        ("/users/**", "/users/{id}", CERTAIN),
        ("/users/**", "/users", CERTAIN),
        ("/users/*", "/users", NEVER),
        ("/users/**", "/users/", CERTAIN),
        ("/users", "/users/", CERTAIN),
        ("/users", "/Users", NEVER),
        ("/users/{user_id}", "/users/{id}", CERTAIN),
        ("/users/{user_id}/**", "/users/{id}", CERTAIN),
        ("/users/{user_id}/**", "/users/{id}/posts/{post}", CERTAIN),
        ("/users/{user_id}", "/users/{id:int}", CERTAIN),
        ("/users/{user_id}", "/users/me", CERTAIN),
        ("/users/{user_id}", "/users/{p:path}", POSSIBLE),
        ("/users/{user_id}/**", "/users/{p:path}", POSSIBLE),  # not /users/
        ("/users/{user_id}", "/users", NEVER),
        ("/users/{user_id}", "/users/{id}/posts", NEVER),
        ("/{a}/b", "/{p:path}/b", POSSIBLE),
        ("/{a}", "/{p:path}.json", POSSIBLE),
        ("/{a}/**/b", "/{p:path}/b", CERTAIN),
        ("/admin/**", "/users/{id}", NEVER),
        ("/admin/**", "/{tenant}/users", POSSIBLE),
        ("/*/users", "/{tenant}/users", CERTAIN),
        ("/*/users", "/{tenant}/{thing}/users", CERTAIN),
        ("/*/*/users", "/{tenant}/users", NEVER),
        ("/n/abc", "/n/{x:int}", NEVER),
        ("/n/42", "/n/{x:int}", POSSIBLE),
        ("/n/4.2", "/n/{x:float}", POSSIBLE),
        ("/n/4.", "/n/{x:float}", NEVER),
        ("/n/*", "/n/{x:uuid}", CERTAIN),
        ("/n/42", "/n/{x:uuid}", NEVER),
        ("/n/12345678-1234-1234-1234-123456789abc", "/n/{x:uuid}", POSSIBLE),
        ("/files/**", "/files/{p:path}", CERTAIN),
        ("/files/*", "/files/{p:path}", POSSIBLE),  # not /files/
        ("/files", "/files/{p:path}", POSSIBLE),
        ("/files/a/b", "/files/{p:path}", POSSIBLE),
        ("/files/**/b", "/files/{p:path}", POSSIBLE),
        ("/other/**", "/files/{p:path}", NEVER),
        ("/files/*/edit", "/files/{p:path}/edit", CERTAIN),
        ("/files/edit", "/files/{p:path}/edit", NEVER),  # /files//edit is refused
        ("/**", "/{p:path}", CERTAIN),
        ("/*", "/{p:path}", POSSIBLE),
        ("/", "/{p:path}", POSSIBLE),
        ("/a/x.json", "/a/{name}.json", POSSIBLE),
        ("/a/x.xml", "/a/{name}.json", NEVER),
        ("/a/.json", "/a/{name}.json", NEVER),
        ("/a/*", "/a/{name}.json", CERTAIN),
        ("/a/xyjson", "/a/{name}.json", NEVER),
        ("/1-b", "/{a:int}-{b}", POSSIBLE),
        ("/a-b", "/{a:int}-{b}", NEVER),
        ("/v1-a", "/v{n:int}-{p:path}", POSSIBLE),
        ("/v1-a/b/**", "/v{n:int}-{p:path}", POSSIBLE),
        ("/*", "/v{n:int}-{p:path}", CERTAIN),
        ("/v1/**", "/v{n:int}-{p:path}", NEVER),
        ("/vx-a", "/v{n:int}-{p:path}", NEVER),
        ("/a/1.json", "/{p:path}-{n:int}.json", NEVER),
        ("/a/x-1.json", "/{p:path}-{n:int}.json", POSSIBLE),
        ("/abc/**", "/a{p:path}", POSSIBLE),
        ("/b/**", "/a{p:path}", NEVER),
        ("/*", "/a{p:path}", CERTAIN),
        ("/**/b", "/{p:path}.json", NEVER),
        ("/**/b.json", "/{p:path}.json", POSSIBLE),
        ("/a/b.json", "/{p:path}.json", POSSIBLE),
        ("/.json", "/{p:path}{x}.json", NEVER),
        ("/*", "/{p:path}.json", CERTAIN),
        ("/", "/", CERTAIN),
        ("/", "", CERTAIN),
        ("/*", "/", NEVER),
        ("/**/**", "/", CERTAIN),
        ("/a/*", "/a/**", CERTAIN),  # in a route two stars are a text
        ("/a/b", "/a/*", NEVER),
        ("/**", "/a//b", NEVER),  # no path of these is let through
        ("/**", "/a/./b", NEVER),
        ("/**", "/a/../b", NEVER),
        ("/**", "/a\\b", NEVER),
        ("/a", "/{x:nosuch}", POSSIBLE),
        ("/**", "{p:path}", POSSIBLE),
    ],
)
def test_a_pattern_covers_a_template(pattern: str, template: str, expected: Coverage) -> None:
    assert coverage(Pattern(pattern), template) is expected


def test_a_mount_is_covered_like_its_path_and_anything_below() -> None:
    mount = Mount("/static", app=lambda scope, receive, send: None)  # type: ignore[arg-type,return-value]

    assert mount.path_regex == compile_path(mount.path + "/{path:path}")[0]
    assert coverage(Pattern("/static/**"), mount.path + "/{path:path}") is CERTAIN
    assert coverage(Pattern("/**"), Mount("/", app=mount).path + "/{path:path}") is CERTAIN


def up_to(count: int, pieces: list[str]) -> st.SearchStrategy[list[str]]:
    """Templates that have paths: a slash ends only the last piece."""
    lists = st.lists(st.sampled_from(pieces), min_size=1, max_size=count)
    return lists.filter(lambda pieces: "" not in pieces[:-1])


@given(patterns(2), up_to(2, [*PIECES]))
@example("/*", ["{%s:path}"])
@example("/**/b", ["a", "{%s:path}"])
@example("/*/a", ["{%s:path}", "a"])
@example("/**/a.json", ["a", "{%s:path}.json"])
def test_the_answer_is_what_enumerated_paths_say(pattern: str, pieces: list[str]) -> None:
    assert said(coverage(Pattern(pattern), template_of(pieces))) == verdicts(pattern, pieces, longest=4)


@given(patterns(3), up_to(3, [*PIECES, *VAGUE, *VAGUE]))
@example("/a/b/**", ["a", "{%s:slashed}"])
@example("/a", ["a", "{%s:maybe}"])
@example("/**/b", ["a{%s:path}b"])
def test_certain_and_never_hold_for_every_template(pattern: str, pieces: list[str]) -> None:
    assert verdicts(pattern, pieces, longest=3) <= said(coverage(Pattern(pattern), template_of(pieces)))


@pytest.mark.parametrize(
    "regex",
    ["[a/]+", ".+", "[^a]+", r"\S+", r"\D", "[!-~]+", "[--9]", "[+-9]", r"\x2f", "(?=a/)a", "a(?<=/a)", r"\ba", "^a$",
     "[^a]/[^b]", r"[^\]/]", "[]/]", "(?s:.)", r"[^\x2f]", "a/b", "[_-/]", "[a-z/]"],
)  # fmt: skip
def test_a_convertor_that_may_match_slashes_or_looks_around_counts_as_path(
    monkeypatch: pytest.MonkeyPatch, regex: str
) -> None:
    monkeypatch.setitem(CONVERTOR_TYPES, "odd", type("Odd", (Convertor,), {"regex": regex})())

    assert coverage(Pattern("/x/q/q"), "/x/{p:odd}") is POSSIBLE


@pytest.mark.parametrize(
    "regex", ["[a-z]+", "[a-z0-9_-]{2,40}", r"\d{4}-\d{2}", "(?:en|de)", "en|de", r"[\w.-]+", "[^/]+", "[^/.]+x?"]
)
def test_a_convertor_within_a_segment_is_one_segment(monkeypatch: pytest.MonkeyPatch, regex: str) -> None:
    monkeypatch.setitem(CONVERTOR_TYPES, "odd", type("Odd", (Convertor,), {"regex": regex})())

    assert coverage(Pattern("/x/q/q"), "/x/{p:odd}") is NEVER
    assert coverage(Pattern("/x/*"), "/x/{p:odd}") is CERTAIN
    assert (coverage(Pattern("/x/de"), "/x/{p:odd}") is POSSIBLE) == bool(re.fullmatch(regex, "de"))
    assert (coverage(Pattern("/x-de"), "/x-{p:odd}") is POSSIBLE) == bool(re.fullmatch(regex, "de"))


def test_a_convertor_registered_anew_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    for regex in ("[0-9]+", "[a-z]+"):
        monkeypatch.setitem(CONVERTOR_TYPES, "odd", type("Odd", (Convertor,), {"regex": regex})())
        answers.append(coverage(Pattern("/x/abc"), "/x/{p:odd}"))

    assert answers == [NEVER, POSSIBLE]


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/b", False),
        ("/a/**", "/a", True),
        ("/a/**", "/a/*", True),
        ("/a/*", "/a/**", False),
        ("/a/**", "/a/b/c", True),
        ("/**", "/", True),
        ("/*", "/", False),
        ("/a/b", "/a/**", False),
        ("/**/a/**", "/a/**/a", True),
        ("/a/*/c", "/a/**/b/**/c", True),
        ("/a/*/c", "/a/**/c", False),
        ("/**/*", "/*/**", True),
        ("/*/**/*", "/**/*/*", True),
        ("/**/a/b/**", "/a/**/b", False),
        ("/users/{id}", "/users/{user_id}", True),
        ("/users/{id}", "/users/me", True),
        ("/users/me", "/users/{id}", False),
        ("/users/*", "/users/{id}", True),
        ("/users/{id}", "/users/*", False),
        ("/{a}", "/**/b", False),
        ("/{a}/b", "/**/b", False),
        ("/users/{id}/**", "/users/*", True),
        ("/**/{id}", "/*", True),
    ],
)
def test_an_earlier_pattern_hides_a_later_one(earlier: str, later: str, expected: bool) -> None:
    assert covers(Pattern(earlier), Pattern(later)) is expected


ENUMERATED = [*all_paths({"a", "b", "z"}, 6)]


@given(patterns(5, "ab"), patterns(5, "ab"))
def test_covers_is_what_enumerated_paths_say(earlier: str, later: str) -> None:
    hidden, hider = Pattern(later), Pattern(earlier)

    assert covers(hider, hidden) is all(hider.matches(path) for path in ENUMERATED if hidden.matches(path))


@given(patterns(2, "ab"), patterns(2, "ab"))
@example("/a/**", "/**/b")
@example("/a/**", "/*/b")
@example("/a/{x}", "/a")
def test_patterns_meet_where_a_path_is_one_of_both(first: str, second: str) -> None:
    one, other = Pattern(first), Pattern(second)

    paths = all_paths({"a", "b", "z"}, 4)
    assert meet(one, other) is any(one.matches(path) and other.matches(path) for path in paths)


@pytest.mark.parametrize("text", ["/" + "**/a/" * 199 + "b", "/*" * 500, "/a/*" * 250])
def test_attack_by_the_longest_patterns_and_templates_starts_no_search(text: str) -> None:
    pattern = Pattern(text)

    assert covers(pattern, pattern)
    assert coverage(pattern, "/{p:path}") is POSSIBLE
    assert coverage(pattern, "".join(f"/{{p{number}}}" for number in range(2_000))) is not NEVER
