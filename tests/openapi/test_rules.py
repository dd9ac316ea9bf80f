"""Which rules the documentation shows for which operation."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_sessionkit import Access, RouterGuard, Rule, require_role
from tests.openapi.support import (
    ADMIN,
    CHECKED,
    OPEN,
    app_of,
    by_clearance,
    documented,
    endpoint,
    needs,
    operation,
    security,
    with_parameter,
)
from tests.support import new_kit

# Certain, possible, never


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/a", "/a", [ADMIN]),
        ("/a", "/a/", [ADMIN]),
        ("/a/**", "/a", [ADMIN]),
        ("/a/*", "/a", None),
        ("/a/**", "/a/{x}", [ADMIN]),
        ("/a/*", "/a/{x}", [ADMIN]),
        ("/a/*", "/a/{x:path}", [OPEN, ADMIN]),
        ("/a/**", "/a/{x:path}", [ADMIN]),
        ("/**", "/{x:path}", [ADMIN]),
        ("/a/42", "/a/{x}", [OPEN, ADMIN]),
        ("/a/42", "/a/{x:int}", [OPEN, ADMIN]),
        ("/a/b", "/a/{x:int}", None),
        ("/b/**", "/a/{x}", None),
        ("/a/*/b", "/a/{x}/b", [ADMIN]),
        ("/a/*/b", "/a/{x}/c", None),
        ("/A", "/a", None),
    ],
)
def test_a_rule_is_certain_possible_or_never_for_a_route(pattern: str, path: str, expected: Any) -> None:
    found = security([Rule(pattern, role="admin")], path)

    assert (found if found is None else sorted(found, key=len)) == expected


def test_the_description_says_for_which_paths_optional_security_is_needed() -> None:
    app = FastAPI()

    @app.get("/users/{x}")
    async def user(x: str) -> None:
        """One user."""

    new_kit().install(app, guard=RouterGuard(protect=[Rule("/users/42", role="admin"), Rule("/users/root")]))
    found = operation(app, "/users/{x}")

    assert found["security"] == [ADMIN, needs(), OPEN]
    assert found["description"].startswith("One user.\n\n")
    assert "- `/users/42`: role:admin" in found["description"]
    assert "- `/users/root`: signed_in" in found["description"]
    assert "- otherwise: open" in found["description"]


def test_a_description_is_written_once_however_often_it_is_asked_for() -> None:
    app = app_of("/users/{x}", guard=RouterGuard(protect=[Rule("/users/42", role="admin")]))

    first = documented(app)["paths"]["/users/{x}"]["get"]["description"]
    app.get("/late")(lambda: None)
    second = documented(app)["paths"]["/users/{x}"]["get"]["description"]

    assert first == second
    assert first.count("/users/42") == 1


def test_the_first_certain_rule_ends_the_list() -> None:
    rules = [Rule("/a/1", role="one"), Rule("/a/*", role="two"), Rule("/a/2", role="three"), Rule("/**", role="four")]

    assert security(rules, "/a/{x}") == [needs("role:one"), needs("role:two")]


def test_a_rule_of_another_method_is_passed_over() -> None:
    rules = [Rule("/a", methods=["POST"], role="admin"), Rule("/a", methods=["GET"])]

    assert security(rules, "/a", "POST") == [ADMIN]
    assert security(rules, "/a", "GET") == [needs()]
    assert security(rules, "/a", "PUT") is None


def test_a_rule_of_another_method_says_nothing_about_a_template() -> None:
    rules = [Rule("/a/1", methods=["POST"], role="one"), Rule("/a/*", methods=["POST"], role="two")]

    assert security(rules, "/a/{x}", "POST") == [needs("role:one"), needs("role:two")]
    assert security(rules, "/a/{x}", "GET") is None


# Routes that share an operation


@pytest.mark.parametrize("guarded", ["/i/{x:int}", "/i/{x}"])
def test_an_operation_says_which_of_the_routes_that_share_it_needs_what(
    guarded: str,
) -> None:
    app = FastAPI()
    for path in ("/i/{x:int}", "/i/{x}"):
        required = [Depends(require_role("admin"))] if path == guarded else []
        app.get(path, operation_id=path, dependencies=required)(with_parameter)
    new_kit().install(app)

    found = operation(app, "/i/{x}")
    assert sorted(found["security"], key=len) == [OPEN, ADMIN]
    for path in ("/i/{x:int}", "/i/{x}"):
        assert f"- `{path}`: {'role:admin' if path == guarded else 'open'}" in found["description"].splitlines()


def test_routes_that_share_an_operation_and_agree_need_no_description() -> None:
    app = FastAPI()
    for path in ("/i/{x:int}", "/i/{x}"):
        app.get(path, operation_id=path)(with_parameter)
    new_kit(access=Access(check=by_clearance)).install(app, guard=RouterGuard(protect=[Rule("/**", role="admin")]))

    found = operation(app, "/i/{x}")
    assert found["security"] == [needs(CHECKED)]
    assert "description" not in found


def test_a_rule_for_some_paths_of_one_of_several_routes_names_the_route_too() -> None:
    app = FastAPI()
    for path in ("/i/{x:int}", "/i/{x}"):
        app.get(path, operation_id=path)(with_parameter)
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/i/me", role="admin")]))

    assert operation(app, "/i/{x}")["description"].splitlines()[2:] == [
        "- `/i/{x:int}`: open",
        "- `/i/{x} at /i/me`: role:admin",
        "- `/i/{x}`: open",
    ]


def test_of_two_routes_with_one_template_the_one_that_answers_is_documented() -> None:
    app = FastAPI()
    app.get("/a")(endpoint)
    app.get("/a", operation_id="never_answers", dependencies=[Depends(require_role("admin"))])(endpoint)
    new_kit().install(app)

    assert "security" not in operation(app, "/a")


def test_a_route_that_is_left_out_says_nothing_about_its_path_s_operation() -> None:
    app = FastAPI()
    app.get("/i/{x:int}", include_in_schema=False, dependencies=[Depends(require_role("admin"))])(with_parameter)
    app.get("/i/{x}")(with_parameter)
    new_kit().install(app)

    assert "security" not in operation(app, "/i/{x}")
