"""The bearer token as a second scheme: an alternative to the cookie wherever a session is asked for."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI, Security
from fastapi.openapi.utils import get_openapi

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule, permission, role
from tests.openapi.support import documented, endpoint, operation, with_parameter
from tests.support import new_kit

BEARER = {"type": "http", "scheme": "bearer", "description": "A session's token, for clients without cookies."}


def either(*names: str) -> list[dict[str, list[str]]]:
    return [{"session_cookie": list(names)}, {"session_bearer": list(names)}]


def app_of(path: str, *rules: Rule, dependencies: Any = (), **settings: Any) -> FastAPI:
    app = FastAPI()
    app.add_api_route(path, with_parameter if "{" in path else endpoint, dependencies=list(dependencies))
    new_kit(bearer=True).install(app, guard=RouterGuard(protect=rules, **settings))
    return app


def test_both_schemes_are_described() -> None:
    schemes = documented(app_of("/a", Rule("/a")))["components"]["securitySchemes"]

    assert schemes.keys() == {"session_cookie", "session_bearer"}
    assert schemes["session_bearer"] == BEARER


def test_a_kit_without_bearer_describes_the_cookie_alone() -> None:
    app = FastAPI()
    app.add_api_route("/a", endpoint)
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/a")]))

    assert documented(app)["components"]["securitySchemes"].keys() == {"session_cookie"}
    assert operation(app, "/a")["security"] == [{"session_cookie": []}]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("/a"), either()),
        (Rule("/a", role="admin"), either("role:admin")),
        (Rule("/a", roles=["a", "b"]), [*either("role:a"), *either("role:b")]),
        (Rule("/a", requires=role("e") & permission("w")), either("role:e", "permission:w")),
        (Rule("/a", public=True), None),
    ],
)
def test_each_alternative_may_come_either_way(rule: Rule, expected: Any) -> None:
    assert operation(app_of("/a", rule), "/a").get("security") == expected


def test_what_is_only_possible_stays_optional() -> None:
    app = app_of("/users/{x}", Rule("/users/1", role="admin"))

    assert operation(app, "/users/{x}")["security"] == [*either("role:admin"), {}]


def test_dependencies_may_be_met_either_way_and_keep_their_scopes() -> None:
    kit, app = new_kit(bearer=True), FastAPI()
    app.add_api_route("/a", endpoint, dependencies=[Depends(kit.require_role("admin"))])
    app.add_api_route("/b", endpoint, dependencies=[Security(kit.require_session, scopes=["reports"])])
    kit.install(app)

    assert operation(app, "/a")["security"] == either("role:admin")
    assert operation(app, "/b")["security"] == either("reports")


def test_what_is_documented_already_stays_the_same() -> None:
    kit, app = new_kit(bearer=True), FastAPI()
    app.add_api_route("/a", endpoint, dependencies=[Security(kit.require_role("admin"), scopes=["reports"])])
    kit.install(app)
    by_hand = kit.document(get_openapi(title="By hand", version="1", routes=app.routes))
    security = by_hand["paths"]["/a"]["get"]["security"]

    assert security == either("role:admin", "reports") == operation(app, "/a")["security"]
    assert kit.document(by_hand)["paths"]["/a"]["get"]["security"] == security


def test_two_kits_have_schemes_of_their_own() -> None:
    app = FastAPI()
    customers, staff = new_kit(bearer=True), new_kit(bearer=True, name="staff", cookie=CookieSettings(name="staff"))
    for kit in (customers, staff):
        kit.install(app)
    app.add_api_route("/a", endpoint, dependencies=[Depends(staff.require_session)])

    assert operation(app, "/a")["security"] == [{"staff_cookie": []}, {"staff_bearer": []}]
    assert len(documented(app)["components"]["securitySchemes"]) == 4
