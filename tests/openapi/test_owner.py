"""What is said about routes whose paths name whom they belong to."""

import logging

import pytest
from fastapi import Depends, FastAPI

from fastapi_sessionkit import RouterGuard, Rule, custom, owner, permission, require, role
from tests.openapi.support import ADMIN, app_of, needs, operation, security
from tests.support import client_of, new_kit

THEIRS = Rule("/users/{user_id}/**", requires=owner("user_id") | role("admin"))


@pytest.mark.parametrize("path", ["/users/{x}", "/users/{x:int}", "/users/me/{x}/y", "/users/me"])
def test_a_rule_is_certain_for_a_route_whatever_its_parameters_are_called(path: str) -> None:
    found = operation(app_of(path, guard=RouterGuard([THEIRS])), path.replace(":int", ""))

    assert found["security"] == [needs("owner:user_id"), ADMIN]
    assert "description" not in found


def test_a_rule_for_one_segment_is_only_possible_for_a_path_of_many() -> None:
    guard = RouterGuard([Rule("/users/{team}", requires=owner("team", field="teams"))])
    found = operation(app_of("/users/{x:path}", guard=guard), "/users/{x}")

    assert found["security"] == [needs("owner:team(teams)"), {}]
    assert "- `/users/{team}`: owner:team(teams)\n- otherwise: open" in found["description"]


def test_a_dependency_says_what_it_reads_together_with_the_rule() -> None:
    app = FastAPI()
    asked = require(owner("user_id") & permission("orders"))
    app.get("/users/{user_id}", dependencies=[Depends(asked)])(lambda user_id: user_id)
    new_kit().install(app, guard=RouterGuard([Rule("/users/{id}", requires=custom(lambda s, segments: True, "mine"))]))

    assert operation(app, "/users/{user_id}")["security"] == [
        needs("custom:mine", "owner:user_id", "permission:orders")
    ]


def test_an_owner_is_signed_in() -> None:
    assert security([Rule("/users/{user_id}", requires=owner("user_id"))], "/users/{x}", global_protect=True) == [
        needs("owner:user_id")
    ]


def test_the_report_at_startup_knows_names(caplog: pytest.LogCaptureFixture) -> None:
    hidden, unreached = Rule("/users/me", role="admin"), Rule("/users/{id}/{other}", role="admin")
    app = app_of("/users/{id}", "/users/me", guard=RouterGuard([Rule("/users/{user_id}"), hidden, unreached]))

    with caplog.at_level(logging.WARNING), client_of(app):
        pass

    assert [record.getMessage() for record in caplog.records] == [
        "Rule /users/me never decides: rule /users/{user_id} comes before it and matches everything that it does",
        "Rule /users/{id}/{other} never decides: no route of the application has such a path and method",
    ]
