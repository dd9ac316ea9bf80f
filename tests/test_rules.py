"""``Rule``: what it matches, what it requires, and that a rule that can't be enforced is never made."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fastapi_sessionkit import (
    ConfigurationError,
    RouterGuard,
    Rule,
    Session,
    custom,
    fresh,
    permission,
    role,
    signed_in,
)

# What it matches


@pytest.mark.parametrize(
    ("pattern", "path", "answer"),
    [
        ("/admin", "/admin", True),
        ("/admin", "/admin/", True),
        ("/admin", "/Admin", False),
        ("/admin", "/admin/x", False),
        ("/admin/*", "/admin", False),
        ("/admin/*", "/admin/x", True),
        ("/admin/*", "/admin/x/y", True),
        ("/admin/**", "/admin", True),
        ("/admin/**", "/admin/x/y", True),
        ("/admin/**", "/administrator", False),
        ("/a/**/b", "/a/b", True),
        ("/a/**/b", "/a/x/b", True),
        ("/a/**/b", "/ab", False),
        ("/", "/", True),
        ("/**", "/anything/at/all", True),
    ],
)
def test_a_rule_matches_whole_segments(pattern: str, path: str, answer: bool) -> None:
    assert Rule(pattern).matches(path) is answer


@pytest.mark.parametrize(
    ("methods", "method", "answer"),
    [
        (None, "GET", True),
        (None, "PURGE", True),
        (["POST"], "POST", True),
        (["POST"], "GET", False),
        (["GET"], "HEAD", True),
        (["HEAD"], "GET", False),
        (["post"], "POST", True),
        (["POST", "DELETE"], "DELETE", True),
    ],
)
def test_a_rule_matches_its_methods_of_which_get_covers_head(
    methods: list[str] | None, method: str, answer: bool
) -> None:
    assert Rule("/a", methods=methods).matches("/a", method) is answer


def test_a_rule_is_asked_about_a_get_by_default() -> None:
    assert Rule("/a", methods=["GET"]).matches("/a")
    assert not Rule("/a", methods=["POST"]).matches("/a")


# What it requires


def check(session: Session | None) -> bool:
    return session is not None


@pytest.mark.parametrize(
    ("rule", "requirement"),
    [
        (Rule("/a"), signed_in),
        (Rule("/a", role="admin"), role("admin")),
        (Rule("/a", roles=["a", "b"]), role("a", "b")),
        (Rule("/a", permission="p"), permission("p")),
        (Rule("/a", permissions=["p", "q"]), permission("p", "q")),
        (Rule("/a", fresh=60), fresh(60)),
        (Rule("/a", fresh=timedelta(minutes=2)), fresh(120)),
        (Rule("/a", requires=role("a") | permission("p")), role("a") | permission("p")),
        (Rule("/a", allow=check), custom(check)),
    ],
    ids=str,
)
def test_each_condition_is_a_requirement(rule: Rule, requirement: object) -> None:
    assert rule.requirement == requirement


CONDITIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "role": ("admin", {"role": "user"}),
    "roles": (["editor"], {"roles": ()}),
    "permission": ("p", {"permissions": ("q", "r", "s")}),
    "permissions": (["q", "r"], {"permissions": ("p", "q", "s")}),
    "allow": (lambda s: s is not None and s.email is not None, {"email": None}),
    "requires": (permission("s"), {"permissions": ("p", "q", "r")}),
}
EVERYTHING: dict[str, Any] = {
    "role": "admin",
    "roles": ("editor",),
    "permissions": ("p", "q", "r", "s"),
    "email": "a@b",
}
RULE = Rule("/a", fresh=60, **{name: value for name, (value, _) in CONDITIONS.items()})


async def allowed(session: Session, age: float = 0.0) -> bool:
    return (await RouterGuard([RULE]).decide("GET", "/a", session, age=age)).allowed


@pytest.mark.anyio
async def test_somebody_who_has_everything_passes_a_rule_with_every_condition() -> None:
    assert await allowed(Session(user_id="u", **EVERYTHING))


@pytest.mark.anyio
@pytest.mark.parametrize("missing", CONDITIONS)
async def test_conditions_of_one_rule_must_all_hold(missing: str) -> None:
    lacking = CONDITIONS[missing][1]

    assert not await allowed(Session(user_id="u", **{**EVERYTHING, **lacking}))


@pytest.mark.anyio
async def test_freshness_must_hold_beside_the_other_conditions() -> None:
    assert not await allowed(Session(user_id="u", **EVERYTHING), age=61.0)


@pytest.mark.anyio
async def test_of_roles_one_is_enough_and_of_permissions_all_are_needed() -> None:
    guard = RouterGuard([Rule("/r", roles=["a", "b"]), Rule("/p", permissions=["a", "b"])])
    session = Session(user_id="u", role="b", permissions=("b",))

    assert (await guard.decide("GET", "/r", session)).allowed
    assert not (await guard.decide("GET", "/p", session)).allowed


def test_a_public_rule_requires_nothing() -> None:
    assert Rule("/a", public=True).requirement is None


# What can't be enforced as written


@pytest.mark.parametrize(
    "pattern",
    ["", "admin", "admin/**", "*", "/admin*", "/a/x**", "/***", "/" + "a" * 1_000, None, 1, "/a//b", "/a/../b"],
)
def test_a_pattern_that_is_none_is_a_configuration_error(pattern: Any) -> None:
    with pytest.raises(ConfigurationError):
        Rule(pattern)


def test_a_pattern_may_have_1000_characters() -> None:
    pattern = "/" + "a" * 999

    assert Rule(pattern).matches(pattern)


@pytest.mark.parametrize(
    "conditions",
    [
        {"role": ""},
        {"role": ["admin"]},
        {"roles": []},
        {"roles": "admin"},
        {"roles": ["admin", ""]},
        {"permission": ["a", "b"]},
        {"permissions": []},
        {"permissions": "write"},
        {"requires": "role:admin"},
        pytest.param({"requires": role}, id="requires is a function"),
        {"allow": True},
        {"allow": "premium"},
        {"fresh": 0},
        {"fresh": True},
        {"methods": []},
        {"methods": "POST"},
        {"methods": ["POST "]},
        {"methods": [None]},
        {"methods": ["*"]},
        {"methods": ["GET", "*"]},
        {"public": True, "role": "admin"},
        pytest.param({"public": True, "allow": check}, id="public, with a check"),
        {"redirect_to": "https://evil.example"},
        {"redirect_to": "//evil.example"},
        pytest.param({"redirect_to": "/\\evil.example"}, id="redirect_to with a backslash"),
        {"redirect_to": "login"},
        {"redirect_to": ""},
    ],
    ids=str,
)
def test_a_condition_that_can_not_be_enforced_is_a_configuration_error(conditions: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Rule("/a", **conditions)


@pytest.mark.parametrize(
    ("setting", "wrong", "advice"),
    [
        ("public", "yes", "is True or False"),
        ("redirect_to", "login", "must be a path on this site"),
        ("roles", "admin", 'takes a list such as ["user", "admin"]'),
        ("permissions", "write", 'takes a list such as ["reports:read", "reports:write"]'),
        ("methods", "POST", 'takes a list such as ["POST", "DELETE"]'),
        ("methods", ["*"], 'takes one or more HTTP methods such as ["POST", "DELETE"]'),
    ],
)
def test_a_mistake_is_told_with_its_setting(setting: str, wrong: Any, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(f'Rule({setting}=...) {advice}')}"):
        Rule("/a", **{setting: wrong})


@pytest.mark.parametrize("name", ["requirement", "public", "methods", "pattern", "redirect_to"])
@pytest.mark.parametrize("change", [lambda rule, name: setattr(rule, name, None), delattr], ids=["assign", "delete"])
def test_a_rule_does_not_change(name: str, change: Callable[[Rule, str], None]) -> None:
    with pytest.raises(AttributeError):
        change(Rule("/a", role="admin"), name)


def test_a_rule_shows_its_methods_pattern_and_requirement() -> None:
    assert str(Rule("/a/**", methods=["POST", "DELETE"])) == "DELETE,POST /a/**"
    assert repr(Rule("/a", role="admin")) == "<Rule /a: role:admin>"
    assert repr(Rule("/a", public=True)) == "<Rule /a: public>"
