"""The schema as a whole: made once, extended, replaced, and left alone where it is the application's own."""

import copy

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.testclient import TestClient

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
)
from tests.openapi.support import ADMIN, Schema, app_of, documented, endpoint, needs, operation
from tests.support import new_kit


@pytest.mark.parametrize("asked_before", [True, False])
def test_routes_added_late_are_documented(asked_before: bool) -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/**", role="admin")]))
    router = APIRouter(prefix="/r")
    app.include_router(router)
    if asked_before:
        documented(app)

    app.get("/b")(lambda: None)
    router.get("/c")(lambda: None)

    for path in ("/a", "/b", "/r/c"):
        assert operation(app, path)["security"] == [ADMIN]


def test_a_schema_is_made_once() -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/a")]))

    assert app.openapi() is app.openapi()


def customised(app: FastAPI) -> None:
    """As FastAPI's documentation shows it."""

    def custom_openapi() -> Schema:
        if app.openapi_schema:
            return app.openapi_schema
        app.openapi_schema = get_openapi(title="Mine", version="1", routes=app.routes)
        return app.openapi_schema

    app.openapi = custom_openapi  # type: ignore[method-assign]


@pytest.mark.parametrize("before", [True, False])
def test_the_application_s_own_openapi_is_documented_too(before: bool) -> None:
    app = FastAPI()
    app.get("/a")(lambda: None)
    kit = new_kit()
    if before:
        customised(app)
    kit.install(app, guard=RouterGuard(protect=[Rule("/a", role="admin")]))
    if not before:
        customised(app)

    with TestClient(app) as client:
        assert client.get("/openapi.json").json()["info"]["title"] == "Mine"
        assert client.get("/openapi.json").json()["paths"]["/a"]["get"]["security"] == [ADMIN]


def test_an_openapi_that_wraps_this_one_is_not_documented_twice() -> None:
    app = app_of("/a/{x}", guard=RouterGuard(protect=[Rule("/a/1", role="admin")]))
    inner = app.openapi

    def wrapped() -> Schema:
        return {**copy.deepcopy(inner()), "x-mine": True}

    app.openapi = wrapped  # type: ignore[method-assign]
    expected = wrapped()["paths"]

    with TestClient(app) as client:
        schema = client.get("/openapi.json").json()

    assert schema["x-mine"]
    assert schema["paths"] == expected


def test_the_application_s_own_schema_is_not_touched() -> None:
    app = FastAPI()
    app.get("/a")(lambda: None)
    mine: Schema = get_openapi(title="Mine", version="1", routes=app.routes)
    before = copy.deepcopy(mine)
    app.openapi = lambda: mine  # type: ignore[method-assign]
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/a", role="admin")]))

    assert documented(app)["paths"]["/a"]["get"]["security"] == [ADMIN]
    assert mine == before


def test_the_security_of_a_whole_schema_of_one_s_own_must_hold_too() -> None:
    app = FastAPI()
    app.get("/guarded")(endpoint)
    app.get("/open")(endpoint)
    schema: Schema = get_openapi(title="Mine", version="1", routes=app.routes)
    schema["components"] = {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}}
    schema["security"] = [{"key": []}]
    app.openapi = lambda: schema  # type: ignore[method-assign]
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/guarded", role="admin")]))

    assert operation(app, "/guarded")["security"] == [{"key": [], **ADMIN}]
    assert "security" not in operation(app, "/open")


def test_an_operation_of_one_s_own_schema_may_have_no_responses() -> None:
    app = FastAPI()
    app.get("/a")(endpoint)
    schema: Schema = get_openapi(title="Mine", version="1", routes=app.routes)
    del schema["paths"]["/a"]["get"]["responses"]
    app.openapi = lambda: schema  # type: ignore[method-assign]
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/a", role="admin")]))

    assert operation(app, "/a")["responses"].keys() == {"401", "403"}


def test_what_the_application_leaves_out_of_its_schema_stays_out() -> None:
    app = FastAPI()
    app.get("/hidden", include_in_schema=False)(lambda: None)
    app.get("/shown")(lambda: None)
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/**")]))

    assert list(documented(app)["paths"]) == ["/shown"]


def test_openapi_3_0_allows_no_names_of_roles() -> None:
    app = app_of("/a", "/b", guard=RouterGuard(protect=[Rule("/a", roles=["x", "y"]), Rule("/b", role="z")]))
    app.openapi_version = "3.0.3"
    paths = documented(app)["paths"]

    assert paths["/a"]["get"]["security"] == [needs()]
    assert paths["/b"]["get"]["security"] == [needs()]


def test_an_application_without_documentation_is_guarded_all_the_same() -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/a")]), openapi_url=None)

    with TestClient(app) as client:
        assert client.get("/a").status_code == 401
