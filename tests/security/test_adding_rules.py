"""What adding a protecting rule can and can't do, where the first rule that matches decides.

A rule *protects* when it lets nobody pass who is not signed in: it has roles, permissions, freshness, owners, or
nothing, and is neither public nor a check of one's own that accepts ``None``. Then this is true, and no more than this:

- Anywhere in the list it never lets in somebody who is not signed in.
- At the end of the list it never lets in anybody at all.
- Anywhere, it never lets in anybody at all when it asks for everything that the rules behind it ask for, and more. Not so
  for owners: in another pattern a name stands for another segment.
- In front of a stricter rule it can let in people who are signed in: order is meant.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_sessionkit import (
    Requirement,
    RouterGuard,
    Rule,
    Session,
    any_permission,
    custom,
    fresh,
    owner,
    permission,
    role,
    signed_in,
)
from fastapi_sessionkit._paths.patterns import Pattern
from tests.test_patterns import NAME, is_plain, text_of

NAMES = ["admin", "user", "x"]
SEGMENTS = ["a", "b", "c"]

protections = st.recursive(
    st.one_of(
        st.sampled_from(NAMES).map(role),
        st.sampled_from(NAMES).map(permission),
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(lambda names: any_permission(*names)),
        st.just(signed_in),
        st.sampled_from([fresh(10), fresh(1_000)]),
    ),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(lambda it: it[0] & it[1] if it[2] else it[0] | it[1]),
    max_leaves=4,
)
requirements = st.one_of(
    protections, st.sampled_from([custom(lambda _: True, "yes"), custom(lambda _: False, "no"), None])
)
segments = st.sampled_from([*SEGMENTS, NAME, "*", "**"])
patterns = st.lists(segments, max_size=4).filter(is_plain).map(text_of)
some_methods = st.one_of(st.none(), st.lists(st.sampled_from(["GET", "POST", "DELETE"]), min_size=1, max_size=2))


@st.composite
def rules(draw: st.DrawFn, asked: st.SearchStrategy[Requirement | None] = requirements, *, owners: bool = True) -> Rule:
    requirement = draw(asked)
    pattern, methods = draw(patterns), draw(some_methods)
    if requirement is None:
        return Rule(pattern, methods=methods, public=True)
    names = [name for name, _ in Pattern(pattern).names]
    if owners and names and draw(st.booleans()):
        theirs = owner(draw(st.sampled_from(names)))
        requirement = requirement & theirs if draw(st.booleans()) else requirement | theirs
    return Rule(pattern, methods=methods, requires=requirement)


@dataclass(frozen=True)
class Somebody:
    """Who asks; ``None`` is nobody."""

    session: Session | None
    age: float | None


@st.composite
def people(draw: st.DrawFn) -> Somebody:
    names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple)
    session = Session(user_id="a", roles=draw(names), permissions=draw(names))
    return draw(st.sampled_from([Somebody(None, None), Somebody(session, draw(st.sampled_from([0, 100, 5_000])))]))


@st.composite
def settings_of_guards(draw: st.DrawFn) -> dict[str, Any]:
    if not draw(st.booleans()):
        return {"login_path": draw(st.sampled_from([None, "/a"]))}
    return {
        "global_protect": True,
        "login_path": draw(st.sampled_from([None, "/a"])),
        "exclude": draw(st.lists(patterns, max_size=2)),
    }


paths = st.lists(st.sampled_from(SEGMENTS), max_size=5).map(lambda parts: "/" + "/".join(parts))
methods = st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS"])


async def allows(guard: RouterGuard, method: str, path: str, who: Somebody) -> bool:
    return (await guard.decide(method, path, who.session, age=who.age)).allowed


@pytest.mark.anyio
@given(
    before=st.lists(rules(), max_size=4),
    after=st.lists(rules(), max_size=4),
    added=rules(protections),
    options=settings_of_guards(),
    method=methods,
    path=paths,
)
async def test_a_protecting_rule_anywhere_never_lets_in_who_is_not_signed_in(
    before: list[Rule], after: list[Rule], added: Rule, options: dict[str, Any], method: str, path: str
) -> None:
    old, new = RouterGuard([*before, *after], **options), RouterGuard([*before, added, *after], **options)
    nobody = Somebody(None, None)

    assert await allows(old, method, path, nobody) or not await allows(new, method, path, nobody)


@pytest.mark.anyio
@given(
    there=st.lists(rules(), max_size=5),
    added=rules(protections),
    options=settings_of_guards(),
    who=people(),
    method=methods,
    path=paths,
)
async def test_a_protecting_rule_at_the_end_never_lets_in_anybody(
    there: list[Rule], added: Rule, options: dict[str, Any], who: Somebody, method: str, path: str
) -> None:
    old, new = RouterGuard(there, **options), RouterGuard([*there, added], **options)

    assert await allows(old, method, path, who) or not await allows(new, method, path, who)


@pytest.mark.anyio
@given(
    before=st.lists(rules(), max_size=3),
    after=st.lists(rules(owners=False), max_size=3),
    extra=protections,
    pattern=patterns,
    options=settings_of_guards(),
    who=people(),
    method=methods,
    path=paths,
)
async def test_a_rule_that_asks_for_more_than_those_behind_it_lets_nobody_in(
    before: list[Rule],
    after: list[Rule],
    extra: Requirement,
    pattern: str,
    options: dict[str, Any],
    who: Somebody,
    method: str,
    path: str,
) -> None:
    together = extra
    for rule in after:
        together = together if rule.requirement is None else together & rule.requirement
    added = Rule(pattern, requires=together)
    old, new = RouterGuard([*before, *after], **options), RouterGuard([*before, added, *after], **options)

    assert await allows(old, method, path, who) or not await allows(new, method, path, who)


@pytest.mark.anyio
@given(
    there=st.lists(rules(), min_size=1, max_size=4),
    which=st.integers(0, 3),
    protection=protections,
    options=settings_of_guards(),
    method=methods,
    path=paths,
)
async def test_protecting_what_a_rule_left_public_never_lets_strangers_in(
    there: list[Rule], which: int, protection: Requirement, options: dict[str, Any], method: str, path: str
) -> None:
    at = which % len(there)
    protecting = Rule(there[at].pattern, methods=there[at].methods, requires=protection)
    old, new = RouterGuard(there, **options), RouterGuard([*there[:at], protecting, *there[at + 1 :]], **options)
    nobody = Somebody(None, None)

    assert await allows(old, method, path, nobody) or not await allows(new, method, path, nobody)


@pytest.mark.anyio
@given(
    there=st.lists(rules(), max_size=4),
    exclude=st.lists(patterns, max_size=2),
    who=people(),
    method=methods,
    path=paths,
)
async def test_global_protection_never_lets_in_anybody(
    there: list[Rule], exclude: list[str], who: Somebody, method: str, path: str
) -> None:
    old, new = RouterGuard(there), RouterGuard(there, global_protect=True, exclude=exclude, login_path="/a")

    assert await allows(old, method, path, who) or not await allows(new, method, path, who)


@pytest.mark.anyio
@given(there=st.lists(rules(), max_size=4), who=people(), method=methods, path=paths, excluded=patterns)
async def test_an_exclusion_opens_nothing_that_a_rule_is_about(
    there: list[Rule], who: Somebody, method: str, path: str, excluded: str
) -> None:
    old = RouterGuard(there, global_protect=True)
    new = RouterGuard(there, global_protect=True, exclude=[excluded])
    about = any(rule.matches(path, method) for rule in there)

    assert not about or await allows(old, method, path, who) == await allows(new, method, path, who)


@pytest.mark.anyio
@given(added=rules(protections), after=st.lists(rules(), max_size=3), method=methods, path=paths)
async def test_a_protecting_rule_that_comes_first_shuts_out_who_is_not_signed_in(
    added: Rule, after: list[Rule], method: str, path: str
) -> None:
    guard = RouterGuard([added, *after])

    assert not added.matches(path, method) or not await allows(guard, method, path, Somebody(None, None))


@pytest.mark.anyio
async def test_a_weaker_rule_in_front_of_a_stricter_one_lets_people_in() -> None:
    """What is not promised: the first rule that matches decides, and this is what exceptions are made with."""
    stricter, weaker = Rule("/a/**", role="admin"), Rule("/a/b", role="user")
    user = Somebody(Session(user_id="ada", role="user"), 0)

    assert not await allows(RouterGuard([stricter]), "GET", "/a/b", user)
    assert not await allows(RouterGuard([stricter, weaker]), "GET", "/a/b", user)
    assert await allows(RouterGuard([weaker, stricter]), "GET", "/a/b", user)


@pytest.mark.anyio
async def test_a_check_that_accepts_nobody_protects_nothing() -> None:
    """Why a rule with a check of one's own is not called protecting."""
    welcoming = Rule("/a", allow=lambda _: True)

    assert await allows(RouterGuard([welcoming, Rule("/a/**", role="admin")]), "GET", "/a", Somebody(None, None))
