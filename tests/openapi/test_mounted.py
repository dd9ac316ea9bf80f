"""The documentation of mounted applications."""

from fastapi import Depends, FastAPI

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule, require_role
from tests.openapi.support import ADMIN, endpoint, needs, operation, started
from tests.support import client_of, new_kit


def test_a_mounted_application_without_a_kit_documents_the_rules_around_it() -> None:
    app, sub, below = FastAPI(), FastAPI(), FastAPI()
    sub.get("/x", dependencies=[Depends(require_role("admin"))])(endpoint)
    sub.get("/y")(endpoint)
    sub.get("/z")(endpoint)
    below.get("/y")(endpoint)
    sub.mount("/below", below)
    app.mount("/sub", sub)
    rules = [Rule("/sub/y", role="y"), Rule("/z", role="z"), Rule("/sub/below/*", role="below")]
    new_kit().install(app, guard=RouterGuard(protect=rules))

    with client_of(app) as client:
        paths = client.get("/sub/openapi.json").json()["paths"]

    assert paths["/x"]["get"]["security"] == [ADMIN]
    assert paths["/y"]["get"]["security"] == [needs("role:y")]
    assert "security" not in paths["/z"]["get"]
    assert operation(below, "/y")["security"] == [needs("role:below")]


def test_a_router_s_guard_below_a_mount_is_documented_by_paths_below_it() -> None:
    app, sub = FastAPI(), FastAPI()
    guard = RouterGuard(protect=[Rule("/y", role="below"), Rule("/sub/y", role="whole")])
    sub.get("/y", dependencies=[Depends(guard)])(endpoint)
    app.mount("/sub", sub)
    new_kit().install(app, guard=guard)

    started(app)

    assert operation(sub, "/y")["security"] == [needs("role:whole", "role:below")]


def test_a_mounted_application_with_a_kit_of_its_own_documents_that_one() -> None:
    app, sub = FastAPI(), FastAPI()
    sub.get("/x", dependencies=[Depends(require_role("admin"))])(endpoint)
    app.mount("/sub", sub)
    new_kit().install(app)
    new_kit(name="staff", cookie=CookieSettings(name="staff")).install(sub)

    started(app)

    assert operation(sub, "/x")["security"] == [{"staff_cookie": ["role:admin"]}]
