"""A guard stays what it was when it was made: what is documented could otherwise differ from what is enforced."""

from typing import Any

import pytest

from fastapi_sessionkit import RouterGuard, Rule

ATTRIBUTES = ["rules", "exclude", "login_path", "home_path", "global_protect", "debug", "_decisions", "decide", "new"]


def guard() -> RouterGuard:
    return RouterGuard([Rule("/a")], login_path="/login", global_protect=True, exclude=["/b"])


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("value", [(), None, False], ids=repr)
def test_attack_no_attribute_of_a_guard_can_be_set(name: str, value: Any) -> None:
    made = guard()

    with pytest.raises(AttributeError):
        setattr(made, name, value)
    assert made.rules != ()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_no_attribute_of_a_guard_can_be_deleted(name: str) -> None:
    with pytest.raises(AttributeError):
        delattr(guard(), name)


def test_the_error_says_what_does_not_change() -> None:
    with pytest.raises(AttributeError, match="A RouterGuard does not change once it is made: rules"):
        guard().rules = ()


def test_a_guard_has_no_dictionary_to_write_into_and_no_list_to_add_to() -> None:
    with pytest.raises(TypeError):
        vars(guard())
    assert isinstance(guard().rules, tuple)
    assert isinstance(guard().exclude, tuple)
    assert all(isinstance(guard().decisions(method).choices, tuple) for method in ("GET", "POST"))


@pytest.mark.parametrize("exclude", [["/b/**"], ["/", "/about"]])
def test_exclude_may_stand_beside_a_protection_that_is_switched_off(exclude: list[str]) -> None:
    """The switch is often a setting."""
    made = RouterGuard(global_protect=False, exclude=exclude)

    assert [pattern.text for pattern in made.exclude] == exclude
    assert made.decisions("GET").choices == ()


@pytest.mark.anyio
async def test_exclude_beside_a_protection_that_is_switched_off_says_nothing() -> None:
    made = RouterGuard([Rule("/b/c", role="admin")], exclude=["/b/**"])

    assert not (await made.decide("GET", "/b/c", None)).allowed
    assert (await made.decide("GET", "/b/d", None)).allowed
    assert (await made.decide("GET", "/elsewhere", None)).allowed
