"""Settings that take a function: one that can't be called as it will be is refused when it is given, not at a request."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import pytest

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    MemoryStore,
    Requirement,
    Rule,
    require,
    role,
)
from fastapi_sessionkit.requirements import Subject
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.support import app_kit


async def later() -> float:
    return 0.0


async def of_session(session: Any) -> Any:
    return session


async def of_nothing() -> Any: ...


async def of_two(session: Any, more: Any) -> Any: ...


def at(zone: str) -> float:
    return 0.0


class Called:
    async def __call__(self) -> float:
        return 0.0


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args, "a database")

    return wrapper


WITHOUT_ARGUMENTS: dict[str, Callable[[Any], object]] = {
    "SessionKit(clock=...)": lambda given: app_kit(clock=given),
    "SessionKit(new_id=...)": lambda given: app_kit(new_id=given),
    "MemoryStore(clock=...)": lambda given: MemoryStore(clock=given),
    "SQLStore(clock=...)": lambda given: SQLStore("sqlite://", clock=given),
    "RedisStore(clock=...)": lambda given: RedisStore("redis://localhost", clock=given),
}


@pytest.mark.parametrize("setting", WITHOUT_ARGUMENTS)
@pytest.mark.parametrize(
    "given", [later, Called(), partial(later), at, 7], ids=["async", "called", "partial", "one", "no"]
)
def test_a_clock_or_a_source_of_ids_answers_at_once_and_takes_nothing(setting: str, given: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WITHOUT_ARGUMENTS[setting](given)

    assert str(caught.value).startswith(setting)


@pytest.mark.parametrize("given", [of_nothing, of_two, lambda session: session], ids=["none", "two", "not async"])
def test_revalidate_is_async_and_takes_the_session(given: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^SessionKit\(revalidate=\.\.\.\) takes an async function of the session"
    ):
        app_kit(revalidate=given)


@pytest.mark.parametrize(
    ("hook", "given"),
    [
        ("get_roles", lambda: ()),
        ("get_roles", of_two),
        ("get_permissions", lambda session, more: ()),
        ("check", of_session),
        ("check", lambda rule, session, more: True),
        ("check", role("admin")),
    ],
)
def test_an_access_hook_takes_what_it_will_be_given(hook: str, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^Access\({hook}=\.\.\.\) takes a function, {hook}=lambda "):
        Access(**{hook: given})


def test_functions_that_can_be_called_are_taken() -> None:
    @decorated
    def roles_from(session: Any, database: Any) -> tuple[str, ...]:
        return ()

    Access(get_roles=roles_from, get_permissions=of_session, check=lambda *given, strict=True: True)
    Access(get_roles=dict.fromkeys, check=max)  # of which the second says nothing about what it takes
    app_kit(clock=partial(at, "UTC"), revalidate=partial(of_two, more=1))
    app_kit(clock=time.monotonic, new_id=lambda length=43: "x" * length)


# Requirements of one's own


def own_requirement(**options: Any) -> Any:
    @dataclass(**options)
    class OfTeam(Requirement):
        teams: Any

        @property
        def name(self) -> str:
            return "team"

        async def refusal(self, subject: Subject) -> str | None:
            return "no"

    return OfTeam


TAKERS: dict[str, Callable[[Any], object]] = {
    "require": require,
    "kit.require": lambda given: app_kit().require(given),
    "Rule": lambda given: Rule("/a", requires=given),
    "&": lambda given: role("admin") & given,
    "|": lambda given: given | role("admin"),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_a_requirement_that_may_change_is_refused_with_what_to_write(taker: str) -> None:
    for given in (own_requirement()(("a",)), own_requirement(frozen=True)(["a"])):
        with pytest.raises(
            ConfigurationError, match=r"^OfTeam can't be hashed .*@dataclass\(frozen=True\), with tuples"
        ):
            TAKERS[taker](given)

    TAKERS[taker](own_requirement(frozen=True)(("a",)))
