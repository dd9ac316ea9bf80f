"""Requirements multiply out: what would be too much to read, or to compare, is said in words instead."""

import time
from functools import reduce
from operator import and_
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import (
    Requirement,
    RouterGuard,
    Rule,
    any_permission,
    custom,
    fresh,
    require,
    role,
    signed_in,
)
from tests.support import new_kit

SCHEME = "session_cookie"


async def endpoint() -> None: ...


def operation(rules: list[Rule], path: str = "/a", *dependencies: Any, **settings: Any) -> dict[str, Any]:
    """What is documented, and that making it takes no time."""
    app = FastAPI()
    router = APIRouter(dependencies=[Depends(each) for each in dependencies])
    router.add_api_route(path, endpoint)
    app.include_router(router)
    new_kit().install(app, guard=RouterGuard(rules, **settings))
    started = time.thread_time()
    found: dict[str, Any] = app.openapi()["paths"][path]["get"]
    assert time.thread_time() - started < 10
    return found


def choices(number: int) -> Requirement:
    """What has two to the power of this many alternatives."""
    return reduce(and_, (any_permission(f"a{each}", f"b{each}") for each in range(number)))


def test_up_to_32_alternatives_are_spelled_out() -> None:
    documented = operation([Rule("/a", requires=choices(5))])

    assert len(documented["security"]) == 32
    assert "description" not in documented


@pytest.mark.parametrize("number", [6, 10, 40])
def test_attack_more_alternatives_than_32_are_said_in_words(number: int) -> None:
    requirement = choices(number)

    documented = operation([Rule("/a", requires=requirement)])

    assert documented["security"] == [{SCHEME: []}]
    assert documented["description"] == f"Requires {requirement}"
    assert documented["responses"]["403"]["description"] == f"Forbidden: requires {requirement}"


def test_a_choice_among_more_than_32_roles_is_said_in_words() -> None:
    some, many = (role(*(f"r{number}" for number in range(size))) for size in (32, 33))

    assert len(operation([Rule("/a", requires=some)])["security"]) == 32
    assert operation([Rule("/a", requires=many)])["security"] == [{SCHEME: []}]


def test_dependencies_that_multiply_out_with_a_rule_are_said_in_words() -> None:
    documented = operation([Rule("/a", requires=choices(3))], "/a", require(choices(4) & role("x") | role("y")))

    assert documented["security"] == [{SCHEME: []}]
    assert "(permission:a0 | permission:b0)" in documented["description"]
    assert "role:y" in documented["description"]


def test_paths_that_together_have_too_many_alternatives_are_said_in_words() -> None:
    rules = [Rule(f"/a/{number}", role=f"r{number}") for number in range(40)]

    documented = operation(rules, "/a/{x}")

    assert documented["security"] == [{SCHEME: []}, {}]
    assert "- `/a/39`: role:r39" in documented["description"]
    assert "- otherwise: open" in documented["description"]


def test_paths_with_too_many_alternatives_and_none_open_ask_for_somebody() -> None:
    rules = [Rule(f"/a/{number}", role=f"r{number}") for number in range(40)]

    assert operation(rules, "/a/{x}", global_protect=True)["security"] == [{SCHEME: []}]


def test_attack_guards_whose_cases_multiply_out_are_summed_up() -> None:
    guards = [RouterGuard([Rule(f"/a/{number}", role=f"g{g}-{number}") for number in range(12)]) for g in range(3)]
    rules = [Rule(f"/a/{number}", role=f"r{number}") for number in range(12)]

    documented = operation(rules, "/a/{x}", *guards, global_protect=True)

    assert documented["security"] == [{SCHEME: []}]
    assert "role:r11 | signed_in" in documented["description"]


def test_attack_guards_that_are_summed_up_are_not_documented_as_open() -> None:
    guards = [RouterGuard([Rule(f"/a/{number}", role=f"g{g}-{number}") for number in range(12)]) for g in range(3)]

    documented = operation([], "/a/{x}", *guards)

    assert documented["security"] == [{SCHEME: []}, {}]
    assert documented["description"].endswith(
        "- `some paths`: " + " | ".join(f"role:g2-{each}" for each in range(12)) + "\n- otherwise: open"
    )


def test_what_has_too_many_alternatives_has_none() -> None:
    assert role(*(f"r{number}" for number in range(33))).alternatives() is None
    assert choices(6).alternatives() is None
    assert (choices(6) | role("x")).alternatives() is None
    assert len(choices(5).alternatives() or ()) == 32


def test_a_description_of_ones_own_stays_before_the_words() -> None:
    async def described() -> None:
        """What it does."""

    app = FastAPI()
    app.add_api_route("/a", described)
    new_kit().install(app, guard=RouterGuard([Rule("/a", requires=choices(6))]))

    for _ in range(2):
        assert app.openapi()["paths"]["/a"]["get"]["description"] == f"What it does.\n\nRequires {choices(6)}"


def test_a_requirement_with_endless_alternatives_is_said_in_words() -> None:
    class Endless(Requirement):
        name = "endless"

        async def refusal(self, subject: Any) -> str | None:
            return None

        def alternatives(self) -> Any:
            return tuple((custom(bool, f"c{number}"),) for number in range(5_000))

    assert operation([Rule("/a", requires=Endless())])["security"] == [{SCHEME: []}]
    assert operation([Rule("/a", requires=Endless() & signed_in)])["security"] == [{SCHEME: []}]
    assert operation([Rule("/a", requires=Endless() | fresh(5))])["security"] == [{SCHEME: []}]
