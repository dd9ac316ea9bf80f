"""Requirements: what each asks, how they combine, what they are called, and why they refuse."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    Requirement,
    Session,
    any_permission,
    custom,
    fresh,
    permission,
    require,
    role,
    signed_in,
)
from fastapi_sessionkit.requirements import Subject
from tests.support import EDITOR

pytestmark = pytest.mark.anyio


async def fulfils(requirement: Requirement, session: Any = EDITOR, **subject: Any) -> bool:
    return await requirement.refusal(Subject(session, **subject)) is None


class Failing(Requirement):
    """To be asked only where the answer is not known already."""

    @property
    def name(self) -> str:
        return "failing"

    async def refusal(self, subject: Subject) -> str | None:
        pytest.fail("was asked although the answer was known")


# What each asks


async def test_signed_in_wants_somebody() -> None:
    assert await fulfils(signed_in)
    assert not await fulfils(signed_in, None)


@pytest.mark.parametrize(
    ("requirement", "answer"),
    [
        (role("editor"), True),
        (role("author"), True),
        (role("admin"), False),
        (role("admin", "author"), True),
        (role("edit"), False),
        (permission("read"), True),
        (permission("read", "write"), True),
        (permission("read", "delete"), False),
        (any_permission("delete", "write"), True),
        (any_permission("delete", "admin"), False),
    ],
    ids=str,
)
async def test_roles_are_one_of_and_permissions_all_of(requirement: Requirement, answer: bool) -> None:
    assert await fulfils(requirement) is answer


@pytest.mark.parametrize(
    "requirement",
    [role("a"), permission("a"), any_permission("a", "b"), fresh(1), role("a") | permission("b")],
    ids=str,
)
async def test_nobody_fulfils_nothing(requirement: Requirement) -> None:
    assert not await fulfils(requirement, None, age=0.0)


@pytest.mark.parametrize(("age", "answer"), [(0.0, True), (600.0, True), (600.1, False), (None, False)])
async def test_fresh_wants_a_sign_in_that_is_not_too_long_ago(age: float | None, answer: bool) -> None:
    assert await fulfils(fresh(600), age=age) is answer


@pytest.mark.parametrize("same", [fresh(600), fresh(timedelta(minutes=10)), fresh(minutes=10), fresh(seconds=600)])
async def test_fresh_takes_seconds_a_timedelta_or_units(same: Requirement) -> None:
    assert same == fresh(600)


def sync_check(session: Session | None) -> bool:
    return session is not None and session.user_id == "ada"


async def async_check(session: Session | None) -> bool:
    return sync_check(session)


class CheckObject:
    async def __call__(self, session: Session | None) -> bool:
        return sync_check(session)


@pytest.mark.parametrize("check", [sync_check, async_check, CheckObject(), partial(async_check)])
async def test_a_custom_check_may_be_sync_async_or_an_object(check: Callable[[Any], bool]) -> None:
    assert await fulfils(custom(check))
    assert not await fulfils(custom(check), Session(user_id="eve"))


@dataclass
class Tier:
    """Equal by value and mutable, hence unhashable."""

    lowest: str

    def __call__(self, session: Session | None) -> bool:
        return session is not None and session.role == self.lowest


async def test_a_custom_check_may_be_an_object_that_can_not_be_hashed() -> None:
    check = custom(Tier("editor"))

    assert await fulfils(signed_in & check)
    assert not await fulfils(signed_in & check, Session(user_id="eve"))
    assert require(check) == require(custom(Tier("editor")))
    assert len({check, custom(Tier("editor")), custom(Tier("author"))}) == 2


async def test_a_custom_check_is_asked_about_nobody_too() -> None:
    seen: list[object] = []

    await fulfils(custom(lambda session: bool(seen.append(session))), None)

    assert seen == [None]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_custom_check_that_raises_denies_and_is_logged(
    asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(session: object) -> bool:
        raise KeyError("tier")

    async def broken_later(session: object) -> bool:
        return broken(session)

    assert not await fulfils(custom(broken_later if asynchronous else broken, name="tier"))

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert re.fullmatch(
        r"custom:tier raised, so it denies: KeyError in broken, test_requirements\.py:\d+",
        caplog.records[0].getMessage(),
    )


# How they combine


async def test_and_needs_both_and_or_needs_one() -> None:
    yes, no = role("editor"), role("admin")

    assert await fulfils(yes & signed_in)
    assert not await fulfils(yes & no)
    assert await fulfils(no | yes)
    assert not await fulfils(no | permission("delete"))


async def test_and_binds_tighter_than_or_as_in_python() -> None:
    assert await fulfils(role("nobody") & permission("nothing") | role("editor"))
    assert not await fulfils(role("nobody") & (permission("nothing") | role("editor")))


async def test_the_rest_is_not_asked_once_the_answer_is_known() -> None:
    assert not await fulfils(role("admin") & Failing())
    assert await fulfils(role("editor") | Failing())


async def test_the_same_twice_is_once() -> None:
    assert role("a") & role("a") == role("a")
    assert role("a", "b", "a") == role("a", "b")


async def test_how_they_were_put_together_makes_no_difference() -> None:
    a, b, c = role("a"), role("b"), role("c")

    assert (a & b) & c == a & (b & c)
    assert (a | b) | c == a | (b | c)


async def test_requirements_are_equal_by_value_and_hash_alike() -> None:
    pairs = [(role("a") & permission("p"), role("a") & permission("p")), (custom(sync_check), custom(sync_check))]

    for left, right in pairs:
        assert left == right
        assert hash(left) == hash(right)
    assert role("a") != permission("a")
    assert role("a") & role("b") != role("a") | role("b")


async def test_a_requirement_of_ones_own_combines_with_the_rest() -> None:
    class Member(Requirement):
        name = "member"

        async def refusal(self, subject: Subject) -> str | None:
            return None if subject.session.user_id == "ada" else "no member"

    assert await fulfils(signed_in & Member())
    assert (role("a") | Member()).name == "role:a | member"


@pytest.mark.parametrize("other", ["admin", None, True, sync_check])
async def test_what_is_no_requirement_does_not_combine(other: Any) -> None:
    with pytest.raises(ConfigurationError):
        role("a") & other
    with pytest.raises(ConfigurationError):
        role("a") | other


# What they are called


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        (signed_in, "signed_in"),
        (role("admin"), "role:admin"),
        (role("admin", "auditor"), "role:admin | role:auditor"),
        (permission("a", "b"), "permission:a & permission:b"),
        (any_permission("a", "b"), "permission:a | permission:b"),
        (role("editor") & permission("reports:write") | role("admin"), "role:editor & permission:reports:write | role:admin"),
        ((role("a") | role("b")) & permission("p"), "(role:a | role:b) & permission:p"),
        (custom(sync_check), "custom:sync_check"),
        (custom(lambda _: True), "custom:check"),
        (custom(CheckObject()), "custom:CheckObject"),
        (custom(sync_check, name="is Ada"), "custom:is Ada"),
        (fresh(minutes=10), "fresh:600s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_requirements_name_themselves(requirement: Requirement, name: str) -> None:
    assert requirement.name == name
    assert str(requirement) == name


# Why they refuse


@pytest.mark.parametrize(
    ("requirement", "session", "reason"),
    [
        (role("admin"), None, "nobody is signed in"),
        (signed_in, None, "nobody is signed in"),
        (role("admin"), EDITOR, "role:admin is missing"),
        (permission("read", "delete"), EDITOR, "permission:delete is missing"),
        (role("admin") | permission("delete"), EDITOR, "role:admin is missing and permission:delete is missing"),
        (role("admin") | permission("delete"), None, "nobody is signed in"),
        (custom(lambda _: False, name="premium"), EDITOR, "custom:premium said no"),
        (custom(lambda _: 1, name="odd"), EDITOR, "custom:odd gave no answer"),  # type: ignore[arg-type]
    ],
)
async def test_a_refusal_gives_its_reason(requirement: Requirement, session: Session | None, reason: str) -> None:
    assert await requirement.refusal(Subject(session)) == reason


@pytest.mark.parametrize("requirement", [role("admin"), permission("x"), fresh(1), custom(lambda _: 1 / 0)], ids=str)  # type: ignore[arg-type]
async def test_a_reason_holds_no_value_of_the_session(requirement: Requirement) -> None:
    session = Session(user_id="SECRET", email="SECRET@x", role="SECRET", permissions=("SECRET",))

    assert "SECRET" not in str(await requirement.refusal(Subject(session)))


# Access hooks


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_access_hooks_say_which_roles_and_permissions_there_are(asynchronous: bool) -> None:
    async def later(names: list[str]) -> list[str]:
        return names

    wrap: Any = later if asynchronous else lambda names: names
    access = Access(get_roles=lambda s: wrap([s["job"]]), get_permissions=lambda s: wrap(s["can"]))
    session = {"job": "cook", "can": ["taste"]}

    assert await fulfils(role("cook") & permission("taste"), session, access=access)
    assert not await fulfils(role("waiter"), session, access=access)
    assert not await fulfils(permission("serve"), session, access=access)


async def test_a_hook_is_not_asked_about_nobody() -> None:
    access = Access(get_roles=lambda _: pytest.fail("was asked"), get_permissions=lambda _: pytest.fail("was asked"))

    assert not await fulfils(role("a") | permission("b"), None, access=access)


@pytest.mark.parametrize("answer", ["administrator", b"admin", None, 1])
async def test_a_hook_that_gives_no_collection_denies_and_is_logged(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One text is the dangerous one: ``"admin" in "administrator"`` is true."""
    access = Access(get_roles=lambda _: answer, get_permissions=lambda _: answer)

    assert not await fulfils(role("admin"), access=access)
    assert not await fulfils(permission("admin"), access=access)
    assert len(caplog.records) == 2


async def test_a_hook_that_raises_denies_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(session: object) -> list[str]:
        raise RuntimeError

    assert not await fulfils(role("editor"), access=Access(get_roles=broken))

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_model_with_its_permissions_in_one_text_grants_no_part_of_it() -> None:
    class Odd:
        all_roles = "administrator"
        permissions = "reports:write"

    assert not await fulfils(role("admin"), Odd())
    assert not await fulfils(permission("reports"), Odd())


# What can't be asked


@pytest.mark.parametrize("make", [role, permission, any_permission])
@pytest.mark.parametrize("names", [(), ("",), (" ",), (1,), (None,), (["admin"],), ("a", "")])
async def test_names_that_nobody_could_have_are_configuration_errors(
    make: Callable[..., Requirement], names: tuple[Any, ...]
) -> None:
    with pytest.raises(ConfigurationError):
        make(*names)


@pytest.mark.parametrize("max_age", [0, -1, float("nan"), float("inf"), "600", True, timedelta(0), None, timedelta.max])
async def test_a_freshness_that_is_no_length_of_time_is_a_configuration_error(max_age: Any) -> None:
    with pytest.raises(ConfigurationError):
        fresh(max_age)


async def test_a_freshness_given_twice_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        fresh(600, minutes=10)


@pytest.mark.parametrize("unit", ["seconds", "minutes", "hours"])
@pytest.mark.parametrize("length", [float("nan"), float("inf"), "60", None, 1e300, pytest.param(10**400, id="10**400")])
async def test_units_of_freshness_that_are_no_numbers_are_a_configuration_error(unit: str, length: Any) -> None:
    with pytest.raises(ConfigurationError, match=unit):
        fresh(**{unit: length})


async def test_custom_takes_something_to_call() -> None:
    with pytest.raises(ConfigurationError):
        custom("admin")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [5, ["vip"]])
async def test_the_name_of_a_custom_check_is_text(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        custom(sync_check, name=name)


@pytest.mark.parametrize("hook", ["get_roles", "get_permissions", "check"])
@pytest.mark.parametrize("wrong", ["roles", 5, ["x"], True, False])
async def test_an_access_hook_is_something_to_call(hook: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{hook}=lambda .*session: "):
        Access(**{hook: wrong})


@pytest.mark.parametrize(
    "combine",
    [
        lambda: role("editor") and permission("reports:write"),
        lambda: role("editor") or role("admin"),
        lambda: not role("banned"),
    ],
    ids=["and", "or", "not"],
)
def test_and_or_and_not_are_refused_because_they_would_drop_a_requirement(
    combine: Callable[[], object],
) -> None:
    with pytest.raises(ConfigurationError, match="Combine requirements with"):
        combine()
