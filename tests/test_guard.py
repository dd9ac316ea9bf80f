"""``RouterGuard.decide``: which rule decides, and what it says."""

import itertools
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fastapi_sessionkit import (
    Access,
    Decision,
    RouterGuard,
    Rule,
    Session,
    custom,
    fresh,
    permission,
    role,
    signed_in,
)

pytestmark = pytest.mark.anyio

NOBODY = None
ANYBODY = Session(user_id="u-17")
ADMIN = Session(user_id="u-1", role="admin")
EDITOR = Session(user_id="u-2", roles=("editor", "writer"), permissions=("reports:read", "reports:write"))


async def allowed(guard: RouterGuard, path: str, session: object, method: str = "GET", **how: Any) -> bool:
    return (await guard.decide(method, path, session, **how)).allowed


async def permitted(rule: Rule, session: object, **how: Any) -> bool:
    """Whether the rule lets the session in, on the path that it is about."""
    return await allowed(RouterGuard(protect=[rule]), rule.pattern, session, **how)


# The order


async def test_the_first_rule_that_matches_decides() -> None:
    guard = RouterGuard(protect=[Rule("/a/b", role="editor"), Rule("/a/**", role="admin")])

    assert await allowed(guard, "/a/b", EDITOR)
    assert not await allowed(guard, "/a/b", ADMIN)
    assert await allowed(guard, "/a/c", ADMIN)


async def test_a_general_rule_in_front_hides_the_special_one() -> None:
    guard = RouterGuard(protect=[Rule("/a/**", role="admin"), Rule("/a/b", role="editor")])

    assert not await allowed(guard, "/a/b", EDITOR)
    assert await allowed(guard, "/a/b", ADMIN)


async def test_a_rule_of_another_method_is_passed_over() -> None:
    guard = RouterGuard(protect=[Rule("/a", methods=["POST"], role="admin"), Rule("/a", role="editor")])

    assert await allowed(guard, "/a", ADMIN, "POST")
    assert not await allowed(guard, "/a", EDITOR, "POST")
    assert await allowed(guard, "/a", EDITOR, "GET")
    assert not await allowed(guard, "/a", ADMIN, "GET")


async def test_the_decision_names_the_rule_that_decided() -> None:
    first, second = Rule("/a/b", public=True), Rule("/a/**", role="admin")
    guard = RouterGuard(protect=[first, second])

    assert (await guard.decide("GET", "/a/b", NOBODY)).rule is first
    assert (await guard.decide("GET", "/a/c", NOBODY)).rule is second
    assert (await guard.decide("GET", "/b", NOBODY)).rule is None


async def test_the_decision_says_why_without_a_value_of_the_session() -> None:
    guard = RouterGuard(protect=[Rule("/a", role="admin")])
    intruder = Session(user_id="u-17", email="eve@example.com", role="customer")

    decision = await guard.decide("GET", "/a", intruder)

    assert not decision.allowed
    assert decision.signed_in
    assert str(decision.requirement) == "role:admin"
    assert decision.reason == "role:admin is missing"
    assert "eve" not in repr(decision)
    assert "customer" not in repr(decision)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/open", Decision(True, Rule("/open", public=True), "public")),
        ("/admin", Decision(False, Rule("/admin", role="admin"), "role:admin is missing", role("admin"), True)),
        ("/a", Decision(True, Rule("/a"), "fulfils signed_in", signed_in, True)),
        ("/out", Decision(True, None, "excluded from global protection")),
        ("/login", Decision(True, None, "the login page")),
        ("/else", Decision(True, None, "fulfils signed_in", signed_in, True)),
        ("//", Decision(False, None, "ambiguous path")),
    ],
)
async def test_a_decision_says_all_that_led_to_it(path: str, expected: Decision) -> None:
    rules = [] if expected.rule is None else [expected.rule]
    guard = RouterGuard(protect=rules, login_path="/login", global_protect=True, exclude=["/out"])

    assert await guard.decide("GET", path, ANYBODY) == expected


# Methods


@pytest.mark.parametrize(
    ("methods", "covered", "others"),
    [
        (["GET"], ["GET", "HEAD", "get"], ["POST", "DELETE", "OPTIONS"]),
        (["post", "Delete"], ["POST", "DELETE"], ["GET", "HEAD", "PUT"]),
        (["HEAD"], ["HEAD"], ["GET"]),
        (("PROPFIND",), ["PROPFIND"], ["GET"]),
        (None, ["GET", "HEAD", "POST", "OPTIONS", "WHATEVER"], []),
    ],
)
def test_a_rule_is_about_its_methods_and_get_covers_head(
    methods: list[str] | None, covered: list[str], others: list[str]
) -> None:
    rule = Rule("/a", methods=methods)

    assert all(rule.matches("/a", method) for method in covered)
    assert not any(rule.matches("/a", method) for method in others)


async def test_a_method_spelled_small_is_decided_like_the_method() -> None:
    guard = RouterGuard(protect=[Rule("/a", methods=["POST"], role="admin")])

    assert not await allowed(guard, "/a", NOBODY, "post")


# Conditions


async def test_a_rule_without_a_condition_wants_somebody_signed_in() -> None:
    assert not await permitted(Rule("/a"), NOBODY)
    assert await permitted(Rule("/a"), ANYBODY)


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"role": "admin"}, Session(user_id="u", role="admin"), Session(user_id="u", role="admins")),
        ({"role": "admin"}, Session(user_id="u", role="x", roles=("admin",)), Session(user_id="u", roles=("x",))),
        ({"roles": ["a", "b"]}, Session(user_id="u", role="b"), Session(user_id="u", role="c")),
        ({"roles": ("a", "b")}, Session(user_id="u", roles=("z", "a")), Session(user_id="u", permissions=("a",))),
        ({"permission": "p"}, Session(user_id="u", permissions=("p",)), Session(user_id="u", role="p")),
        ({"permissions": ["p", "q"]}, Session(user_id="u", permissions=("q", "p")), Session(user_id="u", permissions=("p",))),
        ({"requires": role("a") | permission("p")}, Session(user_id="u", permissions=("p",)), Session(user_id="u")),
        ({"allow": lambda s: s is not None and s.user_id == "u"}, Session(user_id="u"), Session(user_id="v")),
    ],
)  # fmt: skip
async def test_each_condition_lets_in_who_fulfils_it_and_nobody_else(
    condition: dict[str, Any], good: Session, bad: Session
) -> None:
    rule = Rule("/a", **condition)

    assert await permitted(rule, good)
    assert not await permitted(rule, bad)
    assert not await permitted(rule, NOBODY)


async def test_conditions_given_together_must_all_hold() -> None:
    rule = Rule(
        "/a",
        role="r",
        roles=["x", "y"],
        permission="p",
        permissions=["q", "s"],
        requires=permission("t") | permission("u"),
        allow=lambda session: session.email == "r@example.com",
        fresh=60,
    )
    fields: dict[str, Any] = {
        "user_id": "1", "email": "r@example.com", "role": "r", "roles": ["y"], "permissions": ["p", "q", "s", "u"],
    }  # fmt: skip

    assert await permitted(rule, Session(**fields), age=59)
    assert not await permitted(rule, Session(**fields), age=61)
    assert not await permitted(rule, Session(**{**fields, "email": None}), age=59)
    assert not await permitted(rule, Session(**{**fields, "role": None}), age=59)
    assert not await permitted(rule, Session(**{**fields, "roles": []}), age=59)
    for missing in fields["permissions"]:
        rest = [name for name in fields["permissions"] if name != missing]
        assert not await permitted(rule, Session(**{**fields, "permissions": rest}), age=59)


async def test_a_role_is_no_prefix_and_no_part_of_another() -> None:
    assert not await permitted(Rule("/a", role="admin"), Session(user_id="u", role="administrator"))
    assert not await permitted(Rule("/a", permission="a:b"), Session(user_id="u", permissions=("a:b:c", "a", "a:*")))


async def test_fresh_asks_how_long_ago_the_user_signed_in() -> None:
    rule = Rule("/a", fresh=timedelta(minutes=10))

    assert await permitted(rule, ANYBODY, age=600)
    assert not await permitted(rule, ANYBODY, age=600.1)
    assert not await permitted(rule, NOBODY, age=0)


async def test_fresh_denies_when_nobody_can_say_how_long_ago() -> None:
    assert not await permitted(Rule("/a", fresh=600), ANYBODY)


async def test_public_is_open_to_everybody() -> None:
    assert await permitted(Rule("/a", public=True), NOBODY)
    assert await permitted(Rule("/a", public=True), ANYBODY)


# allow, and custom


async def test_allow_may_be_async() -> None:
    async def only_admin(session: Session | None) -> bool:
        return session is not None and session.role == "admin"

    assert await permitted(Rule("/a", allow=only_admin), ADMIN)
    assert not await permitted(Rule("/a", allow=only_admin), ANYBODY)


async def test_allow_gets_none_when_nobody_is_signed_in() -> None:
    seen: list[Session | None] = []

    await permitted(Rule("/a", allow=lambda session: seen.append(session) or True), NOBODY)

    assert seen == [None]


async def test_allow_may_let_in_somebody_who_is_not_signed_in() -> None:
    assert await permitted(Rule("/a", allow=lambda _: True), NOBODY)


@pytest.mark.parametrize("kind", [ValueError, AttributeError, TimeoutError, SystemError])
async def test_an_allow_that_raises_denies_and_is_logged(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Session | None) -> bool:
        raise kind

    assert not await permitted(Rule("/a", allow=broken), ADMIN)
    assert "custom:broken raised, so it denies" in caplog.text


async def test_an_async_allow_that_raises_denies(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Session | None) -> bool:
        raise LookupError

    assert not await permitted(Rule("/a", allow=broken), ADMIN)
    assert "raised" in caplog.text


async def test_a_custom_check_that_raises_does_not_open_its_alternative_to_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = custom(lambda _: bool(1 / 0), "broken")

    assert await permitted(Rule("/a", requires=broken | role("admin")), ADMIN)
    assert not await permitted(Rule("/a", requires=broken | role("admin")), ANYBODY)
    assert not await permitted(Rule("/a", requires=broken & role("admin")), ADMIN)
    assert "custom:broken raised" in caplog.text


# Access hooks


async def test_get_roles_and_get_permissions_replace_what_the_session_says() -> None:
    async def get_permissions(session: Any) -> list[str]:
        return [f"{session.user_id}:edit"]

    access = Access(get_roles=lambda session: {f"owner-of-{session.user_id}"}, get_permissions=get_permissions)

    assert await permitted(Rule("/a", role="owner-of-u-17"), ANYBODY, access=access)
    assert await permitted(Rule("/a", permission="u-17:edit"), ANYBODY, access=access)
    assert not await permitted(Rule("/a", role="admin"), ADMIN, access=access)


async def test_a_hook_that_raises_denies_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Any) -> list[str]:
        raise OSError

    access = Access(get_roles=broken, get_permissions=broken)

    assert not await permitted(Rule("/a", role="admin"), ADMIN, access=access)
    assert not await permitted(Rule("/a", permission="reports:read"), EDITOR, access=access)
    assert await permitted(Rule("/a"), ADMIN, access=access)
    assert caplog.text.count("counts as none: OSError in broken, test_guard.py:") == 2


@pytest.mark.parametrize("answer", ["administrator", "admin", None, 7, b"admins"])
async def test_a_hook_that_gives_no_collection_of_names_denies(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """`"admin" in "administrator"` is true: a hook that gives the role instead of a list must not open anything."""
    access = Access(get_roles=lambda _: answer, get_permissions=lambda _: answer)

    assert not await permitted(Rule("/a", role="admin"), ANYBODY, access=access)
    assert not await permitted(Rule("/a", permission="admin"), ANYBODY, access=access)
    assert caplog.records


async def test_a_session_whose_permissions_are_one_string_has_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Person(BaseModel):
        permissions: str = "reports:write"

    assert not await permitted(Rule("/a", permission="write"), Person())
    assert not await permitted(Rule("/a", permission="reports:write"), Person())
    assert "could not give permissions" in caplog.text


async def test_a_hook_may_give_any_collection() -> None:
    def given(names: Any, _: Session) -> Any:
        return names

    for answer in (
        ["a", "admin"],
        ("admin",),
        {"admin"},
        frozenset({"admin"}),
        dict.fromkeys(["admin"]).keys(),
    ):
        access = Access(get_roles=partial(given, answer))
        assert await permitted(Rule("/a", role="admin"), ANYBODY, access=access)
        assert not await permitted(Rule("/a", role="min"), ANYBODY, access=access)


async def test_the_access_check_overrides_every_built_in_condition() -> None:
    asked: list[tuple[Rule, Any]] = []

    def check(rule: Rule, session: Any) -> bool:
        asked.append((rule, session))
        return session is None

    rule = Rule("/a", role="admin", fresh=1, allow=lambda _: False)

    assert await permitted(rule, NOBODY, access=Access(check=check))
    assert not await permitted(rule, ADMIN, access=Access(check=check))
    assert asked == [(rule, None), (rule, ADMIN)]


async def test_an_async_access_check_is_awaited() -> None:
    async def check(rule: Rule, session: Any) -> bool:
        return False

    assert not await permitted(Rule("/a", role="admin"), ADMIN, access=Access(check=check))


async def test_an_access_check_that_raises_denies_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def check(rule: Rule, session: Any) -> bool:
        raise RuntimeError

    assert not await permitted(Rule("/a", role="admin"), ADMIN, access=Access(check=check))
    assert "custom:check raised, so it denies" in caplog.text


async def test_a_decision_of_the_access_check_names_the_check_alone() -> None:
    def by_clearance(rule: Rule, session: Any) -> bool:
        return rule.pattern == "/a"

    guard, access = RouterGuard(protect=[Rule("/*", role="x"), Rule("/**")]), Access(check=by_clearance)
    decision = await guard.decide("GET", "/b", ADMIN, access=access)

    assert str(decision.requirement) == "custom:by_clearance"
    assert decision.reason == "custom:by_clearance said no"


async def test_the_access_check_is_not_asked_for_a_public_rule() -> None:
    assert await permitted(Rule("/a", public=True), NOBODY, access=Access(check=lambda *_: False))


async def test_nobody_refused_by_the_access_check_is_told_apart_from_somebody() -> None:
    guard, access = RouterGuard(protect=[Rule("/a")]), Access(check=lambda *_: False)

    assert (await guard.decide("GET", "/a", NOBODY, access=access)).signed_in is False
    assert (await guard.decide("GET", "/a", ADMIN, access=access)).signed_in is True


# Where no rule matches


async def test_without_global_protection_what_no_rule_is_about_is_open() -> None:
    assert await allowed(RouterGuard(protect=[Rule("/a")]), "/b", NOBODY)


async def test_a_guard_without_rules_lets_everybody_in() -> None:
    assert await allowed(RouterGuard(), "/a", NOBODY)


async def test_global_protection_wants_somebody_signed_in_where_no_rule_matches() -> None:
    guard = RouterGuard(global_protect=True)

    assert not await allowed(guard, "/anything", NOBODY)
    assert await allowed(guard, "/anything", ANYBODY)


async def test_global_protection_covers_the_methods_that_the_rules_leave_out() -> None:
    guard = RouterGuard(protect=[Rule("/a", methods=["GET"], public=True)], global_protect=True)

    assert await allowed(guard, "/a", NOBODY, "HEAD")
    assert not await allowed(guard, "/a", NOBODY, "POST")


async def test_excluded_patterns_and_the_login_page_stay_open() -> None:
    guard = RouterGuard(global_protect=True, login_path="/login", exclude=["/", "/public/**", "/*/logo"])

    for path in ("/", "/public", "/public/a/b", "/x/logo", "/login", "/login/", "/public/"):
        assert await allowed(guard, path, NOBODY), path
    for path in ("/publicity", "/login/admin", "/Login", "/logo", "/private"):
        assert not await allowed(guard, path, NOBODY), path


async def test_a_rule_comes_before_exclude_and_before_the_login_page() -> None:
    guard = RouterGuard(
        protect=[Rule("/public/secret", role="admin"), Rule("/login")],
        global_protect=True,
        login_path="/login",
        exclude=["/public/**"],
    )

    assert not await allowed(guard, "/public/secret", ANYBODY)
    assert not await allowed(guard, "/login", NOBODY)


async def test_the_access_check_is_not_asked_where_no_rule_matches() -> None:
    guard, access = RouterGuard(global_protect=True), Access(check=lambda *_: True)

    assert not await allowed(guard, "/anything", NOBODY, access=access)


# Adding a protecting rule never opens anything

_PATTERNS = ["/**", "/a", "/a/**", "/a/*", "/a/b", "/*/b", "/**/b", "/b"]
_PATHS = ["/", "/a", "/a/", "/b", "/a/b", "/a/b/c", "/c/b", "/c"]
_REQUIREMENTS = [signed_in, role("admin"), permission("p"), role("admin") & permission("p"), fresh(60)]
_SESSIONS = [NOBODY, ANYBODY, ADMIN, Session(user_id="u", role="admin", permissions=("p",))]

_rules = st.builds(
    lambda pattern, requirement, methods: Rule(pattern, requires=requirement, methods=methods),
    st.sampled_from(_PATTERNS),
    st.sampled_from(_REQUIREMENTS),
    st.sampled_from([None, ["GET"], ["POST"], ["GET", "POST"]]),
)


_lists = st.lists(
    _rules | st.builds(lambda pattern: Rule(pattern, public=True), st.sampled_from(_PATTERNS)), max_size=4
)


@given(_lists, _rules, st.booleans())
async def test_a_protecting_rule_at_the_end_never_opens_anything(
    rules: list[Rule], added: Rule, global_protect: bool
) -> None:
    before = RouterGuard(protect=rules, global_protect=global_protect)
    after = RouterGuard(protect=[*rules, added], global_protect=global_protect)

    for path, method, session in itertools.product(_PATHS, ("GET", "HEAD", "POST", "PUT"), _SESSIONS):
        opened = await allowed(after, path, session, method, age=30)
        assert not opened or await allowed(before, path, session, method, age=30)


@given(_lists, _rules, st.integers(0, 4))
async def test_a_protecting_rule_anywhere_never_lets_nobody_in(rules: list[Rule], added: Rule, where: int) -> None:
    before, after = RouterGuard(protect=rules), RouterGuard(protect=[*rules[:where], added, *rules[where:]])

    for path, method in itertools.product(_PATHS, ("GET", "HEAD", "POST", "PUT")):
        opened = await allowed(after, path, NOBODY, method)
        assert not opened or await allowed(before, path, NOBODY, method)
