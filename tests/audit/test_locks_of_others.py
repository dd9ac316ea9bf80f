"""Lock files that a merge, another release, an editor or another system has left; and locks of unusual routes."""

import re

import pytest
from fastapi import FastAPI
from starlette.routing import Host, Route, Router

from fastapi_sessionkit import ConfigurationError, RouterGuard, Rule
from fastapi_sessionkit.audit import Audit
from tests.audit.support import endpoint, plain
from tests.support import new_kit


def audit() -> Audit:
    app, kit = FastAPI(openapi_url=None), new_kit()
    for path in ("/admin", "/users/{user_id}"):
        app.add_api_route(path, endpoint)
    kit.install(
        app, guard=RouterGuard([Rule("/admin", role="admin"), Rule("/users/1", role="admin"), Rule("/users/*")])
    )
    return kit.audit(app)


LOCK = audit().lock()


def test_line_ends_of_another_system_change_nothing() -> None:
    found = audit().compare(LOCK.replace("\n", "\r\n"))

    assert {each.label for each in found} == {"equal"}


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "=======", ">>>>>>> main", "||||||| 4b825dc"])
def test_what_a_merge_has_left_is_named(line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Line 1 of the lock can't be read: .* was left by a merge"):
        audit().compare(f"{line}\n{LOCK}")


def test_a_lock_of_another_version_is_not_guessed_at() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Line 2 .* version 2, and this release reads version 1.*sessionkit lock"
    ):
        audit().compare(LOCK.replace("version: 1", "version: 2"))


@pytest.mark.parametrize(
    ("lost", "operation"),
    [
        ("role:admin", "GET /admin"),
        ("    otherwise: signed_in", "GET /users/{user_id}"),
        ('    at "/users/1": role:admin\n    otherwise: signed_in', "GET /users/{user_id}"),
    ],
)
def test_an_operation_whose_needs_were_lost_is_no_operation(lost: str, operation: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the lock does not say what {re.escape(operation)} needs"):
        audit().compare(LOCK.replace(lost, "", 1))


def test_a_path_s_needs_stand_before_those_of_all_others() -> None:
    with pytest.raises(ConfigurationError, match="neither an operation nor what one needs"):
        audit().compare(f'{LOCK}    at "/users/2": open\n')


def test_routes_of_one_path_are_compared_in_their_order() -> None:
    app, kit = FastAPI(openapi_url=None), new_kit()
    app.router.routes.append(Host("c.example", Router([Route("/page", plain)])))
    for name, rules in (("b", [Rule("/page", role="b")]), ("a", [Rule("/page", role="a")])):
        inner = FastAPI(openapi_url=None)
        inner.add_api_route("/page", endpoint)
        kit.install(inner, guard=RouterGuard(rules))
        app.router.routes.append(Host(f"{name}.example", inner))
    kit.install(app)
    found = kit.audit(app)

    assert [each.needs for each in found.operations] == ["open", "role:b", "role:a"]
    assert {each.label for each in found.compare(found.lock())} == {"equal"}
