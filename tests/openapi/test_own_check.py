"""``Access(check=...)`` decides in place of a rule's own conditions, and is documented in their place."""

from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import Access, RouterGuard, Rule, Session, require_role
from fastapi_sessionkit.testing import signed_in
from tests.openapi.support import CHECKED, OPEN, SCHEME, by_clearance, endpoint, needs, operation, with_parameter
from tests.support import client_of, new_kit


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/admin/x", [needs(CHECKED)]),
        ("/admin/health", None),  # a public rule: the check is not asked
        ("/elsewhere", [needs()]),  # global protection alone: neither
        ("/open", None),
        ("/users/{x}", [needs(CHECKED), needs()]),
        ("/admin/{x}", [OPEN, needs(CHECKED)]),
    ],
)
def test_the_kit_s_check_is_documented_instead_of_the_rule_s_conditions(path: str, expected: Any) -> None:
    app = FastAPI()
    app.add_api_route(path, with_parameter if "{" in path else endpoint)
    guard = RouterGuard(
        protect=[
            Rule("/admin/health", public=True, methods=["GET"]),
            Rule("/admin/**", role="admin", permission="a"),
            Rule("/users/7", role="admin"),
        ],
        global_protect=True,
        exclude=["/open"],
    )
    new_kit(access=Access(check=by_clearance)).install(app, guard=guard)

    assert operation(app, path).get("security") == expected
    assert "role:admin" not in str(operation(app, path))


def test_a_router_s_guard_is_documented_by_the_kit_s_check_too() -> None:
    app, guard = FastAPI(), RouterGuard(protect=[Rule("/r/**", role="admin")])
    router = APIRouter(prefix="/r", dependencies=[Depends(guard)])
    router.add_api_route("/x", endpoint)
    app.include_router(router)
    new_kit(access=Access(check=lambda rule, session: True)).install(app)

    assert operation(app, "/r/x")["security"] == [needs("custom:check")]


def test_the_kit_s_check_says_nothing_about_what_a_dependency_requires() -> None:
    app = FastAPI()
    app.add_api_route("/a", endpoint, dependencies=[Depends(require_role("editor"))])
    new_kit(access=Access(check=by_clearance)).install(app, guard=RouterGuard(protect=[Rule("/a", role="admin")]))

    assert operation(app, "/a")["security"] == [needs(CHECKED, "role:editor")]


@pytest.mark.parametrize("path", ["/admin/health", "/admin/x", "/elsewhere"])
@pytest.mark.parametrize("who", [None, Session(user_id="u", role="admin"), Session(user_id="u", email="u@example.org")])
def test_what_is_documented_under_a_check_is_what_calling_it_does(path: str, who: Session | None) -> None:
    rules = [Rule("/admin/health", public=True), Rule("/admin/**", role="admin")]
    kit, app = new_kit(access=Access(check=by_clearance)), FastAPI()
    app.add_api_route(path, endpoint)
    kit.install(app, guard=RouterGuard(protect=rules, global_protect=True))
    client = client_of(app)
    names = set()
    if who is not None:
        signed_in(client, kit, who)
        names = {CHECKED} if who.email else {"role:admin"}

    answer = client.get(path).status_code

    choices = operation(app, path).get("security", [OPEN])
    may = any(SCHEME not in one or (who is not None and names.issuperset(one[SCHEME])) for one in choices)
    assert answer == (200 if may else 401 if who is None else 403)
