"""A guard that can't be enforced as written is refused when it is made, and does not change afterwards."""

import re
from typing import Any

import pytest

from fastapi_sessionkit import (
    ConfigurationError,
    Decision,
    RouterGuard,
    Rule,
    permission,
    role,
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": ""},
        {"role": "  "},
        {"role": 7},
        {"roles": "admin"},
        {"roles": []},
        {"roles": ["admin", ""]},
        {"permission": ""},
        {"permissions": "reports:read"},
        {"permissions": []},
        {"allow": True},
        {"fresh": 0},
        {"fresh": -1},
        {"fresh": float("nan")},
        {"requires": "admin"},
        {"requires": role},
        {"methods": "GET"},
        {"methods": []},
        {"methods": ["GE T"]},
        {"methods": [""]},
        {"methods": [None]},
        {"public": True, "role": "admin"},
        {"public": True, "allow": lambda _: True},
        {"public": True, "fresh": 60},
        {"redirect_to": "https://evil.example"},
        {"redirect_to": "//evil.example"},
        {"redirect_to": "/\\evil.example"},
        {"redirect_to": "unauthorized"},
        {"redirect_to": ""},
        {"redirect_to": 7},
    ],
)
def test_a_rule_that_can_not_be_enforced_as_written_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Rule("/a", **wrong)


@pytest.mark.parametrize(
    "pattern", ["admin", "", "/a**", "/a/***", "/a//b", "/a/../b", "/a\x00", "/a\\b", "/" + "a" * 1_000]
)
def test_a_pattern_that_can_never_match_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        Rule(pattern)


@pytest.mark.parametrize(
    "wrong",
    [
        {"protect": ["/admin/**"]},
        {"protect": [{"pattern": "/admin"}]},
        {"exclude": "/public/**", "global_protect": True},
        {"exclude": ["public"], "global_protect": True},
        {"login_path": "https://evil.example/login"},
        {"login_path": "//evil.example"},
        {"login_path": "/\\evil.example"},
        {"login_path": "login"},
        {"login_path": ""},
        {"login_path": "/login/**"},
        {"login_path": "/login/{name}"},
        {"home_path": "/{name}"},
        {"login_path": "/lo\ngin"},
        {"home_path": "https://evil.example"},
        {"home_path": "//evil.example"},
        {"home_path": "javascript:alert(1)"},
        {"home_path": ""},
        {"home_path": "/*"},
        {"global_protect": "no"},
        {"debug": "no"},
        {"debug": None},
    ],
)
def test_a_guard_that_can_not_be_enforced_as_written_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RouterGuard(**wrong)


PAGES = ("login_path", "home_path", "reauthenticate_path")


@pytest.mark.parametrize(
    ("setting", "wrong", "advice"),
    [
        ("protect", "/admin/**", 'takes a list such as [Rule("/admin/**", role="admin")]'),
        ("exclude", "/public/**", 'takes a list such as ["/public/**"]'),
        ("global_protect", "no", "is True or False"),
        ("debug", "no", "is True or False"),
        *((page, "login", "must be a path on this site") for page in PAGES),
        *((page, "/{name}", "is one page") for page in PAGES),
    ],
)
def test_a_mistake_is_told_with_its_setting(setting: str, wrong: str, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(f'RouterGuard({setting}=...) {advice}')}"):
        RouterGuard(**{setting: wrong})  # type: ignore[arg-type]


def test_a_rule_does_not_change_once_it_is_made() -> None:
    rule = Rule("/a", role="admin")

    with pytest.raises(AttributeError, match="does not change"):
        rule.requirement = None
    with pytest.raises(AttributeError):
        rule.public = True


def test_changing_the_list_of_rules_afterwards_changes_no_guard() -> None:
    rules = [Rule("/a")]
    guard = RouterGuard(protect=rules)

    rules.clear()

    assert len(guard.rules) == 1


def test_a_rule_and_a_decision_name_themselves() -> None:
    rule = Rule("/reports/**", methods=["POST"], requires=role("editor") & permission("w") | role("admin"))

    assert rule.pattern == "/reports/**"
    assert str(rule) == "POST /reports/**"
    assert "role:editor & permission:w | role:admin" in repr(rule)
    assert Decision(True, None, "no rule matches").reason == "no rule matches"
