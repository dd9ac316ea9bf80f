"""A condition of a rule that is given is asked; one that says nothing, as a missing setting does, is refused."""

from typing import Any

import pytest

from fastapi_sessionkit import ConfigurationError, Rule, role

CONDITIONS = ["role", "roles", "permission", "permissions", "allow", "fresh", "requires"]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_attack_a_condition_from_a_setting_that_is_missing_opens_no_rule(condition: str) -> None:
    missing: dict[str, Any] = {condition: None}

    with pytest.raises(ConfigurationError, match=rf"Rule\({condition}=None\) would ask for nothing"):
        Rule("/adm/**", **missing)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_from_a_setting_that_is_missing_stands_beside_no_other(condition: str) -> None:
    other = {"permission": "p"} if condition == "role" else {"role": "admin"}
    conditions: dict[str, Any] = {**other, condition: None}

    with pytest.raises(ConfigurationError, match=f"{condition}=None"):
        Rule("/adm/**", **conditions)


@pytest.mark.parametrize("empty", ["", " ", [], (), {}, 0, False], ids=repr)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_that_is_empty_is_refused(condition: str, empty: Any) -> None:
    conditions: dict[str, Any] = {condition: empty}

    with pytest.raises(ConfigurationError):
        Rule("/adm/**", **conditions)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_public_rule_takes_no_condition_not_even_a_missing_one(condition: str) -> None:
    conditions: dict[str, Any] = {condition: None}

    with pytest.raises(ConfigurationError):
        Rule("/adm/**", public=True, **conditions)


@pytest.mark.parametrize("public", ["false", "true", "", 0, 1, None], ids=repr)
def test_attack_public_from_a_file_is_no_text(public: Any) -> None:
    """The text "false" is true."""
    with pytest.raises(ConfigurationError, match="True or False"):
        Rule("/adm/**", public=public)


def test_what_is_left_out_is_not_asked() -> None:
    assert Rule("/adm/**", role="admin").requirement == role("admin")
    assert Rule("/adm/**").methods is None
