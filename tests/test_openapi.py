"""What the documentation says about each operation, and what is reported at startup about rules that can't apply."""

import copy
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute

from fastapi_sessionkit import (
    Access,
    CookieSettings,
    Requirement,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    custom,
    fresh,
    get_session,
    has_role,
    permission,
    require,
    require_any_permission,
    require_fresh,
    require_permission,
    require_role,
    require_session,
    role,
)
from fastapi_sessionkit import (
    signed_in as somebody,
)
from fastapi_sessionkit.testing import signed_in

SECRET = "a-secret-for-tests-that-is-long-enough"
SCHEME = "session_cookie"

Schema = dict[str, Any]


def new_kit(**options: Any) -> SessionKit[Session]:
    return SessionKit(secret_key=SECRET, **options)


def documented(app: FastAPI) -> Schema:
    """The schema as a client gets it, which is valid OpenAPI."""
    schema: Schema = app.openapi()
    validator = OpenAPIV30SpecValidator if schema["openapi"].startswith("3.0") else OpenAPIV31SpecValidator
    validator(copy.deepcopy(schema)).validate()
    return schema


async def endpoint() -> None: ...


async def with_parameter(x: str) -> None: ...


def app_of(*paths: str, guard: RouterGuard | None = None, methods: list[str] | None = None, **options: Any) -> FastAPI:
    app = FastAPI(**options)
    for path in paths:
        app.add_api_route(path, with_parameter if "{" in path else endpoint, methods=methods or ["GET"])
    new_kit().install(app, guard=guard)
    return app


def operation(app: FastAPI, path: str, method: str = "get") -> Schema:
    found: Schema = documented(app)["paths"][path][method]
    return found


def security(rules: list[Rule], path: str, method: str = "GET", **settings: Any) -> Any:
    """What the documentation says that an operation needs; ``None`` when it says nothing."""
    app = app_of(path, guard=RouterGuard(protect=rules, **settings), methods=[method])
    return operation(app, re.sub(r":\w+}", "}", path), method.lower()).get("security")


def needs(*names: str) -> dict[str, list[str]]:
    return {SCHEME: list(names)}


ADMIN = needs("role:admin")
OPEN: dict[str, list[str]] = {}


# The scheme


def test_the_cookie_is_a_security_scheme() -> None:
    scheme = documented(app_of("/a"))["components"]["securitySchemes"][SCHEME]

    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "cookie", "__Host-session")


def test_the_scheme_names_the_cookie_as_it_is_sent() -> None:
    app = FastAPI()
    new_kit(name="staff", cookie=CookieSettings(name="sid", https_only=False)).install(app)

    assert documented(app)["components"]["securitySchemes"]["sid_cookie"]["name"] == "sid"


# From requirements to security


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("/a"), [needs()]),
        (Rule("/a", role="admin"), [ADMIN]),
        (Rule("/a", roles=["admin", "editor"]), [ADMIN, needs("role:editor")]),
        (Rule("/a", permission="p"), [needs("permission:p")]),
        (Rule("/a", permissions=["p", "q"]), [needs("permission:p", "permission:q")]),
        (Rule("/a", role="admin", permission="p"), [needs("role:admin", "permission:p")]),
        (Rule("/a", roles=["a", "b"], permission="p"), [needs("role:a", "permission:p"), needs("role:b", "permission:p")]),
        (Rule("/a", requires=role("e") & permission("w") | role("admin")), [needs("role:e", "permission:w"), ADMIN]),
        (Rule("/a", requires=somebody | role("admin")), [needs()]),
        (Rule("/a", requires=somebody & role("admin")), [ADMIN]),
        (Rule("/a", requires=role("admin") | role("admin") & permission("p")), [ADMIN]),
        (Rule("/a", fresh=600), [needs("fresh:600s")]),
        (Rule("/a", public=True), None),
    ],
)  # fmt: skip
def test_a_requirement_becomes_a_list_of_alternatives(rule: Rule, expected: Any) -> None:
    assert security([rule], "/a") == expected


def test_a_check_of_one_s_own_is_named() -> None:
    def premium(session: Session | None) -> bool:
        return session is not None

    assert security([Rule("/a", allow=premium)], "/a") == [needs("custom:premium")]


CUSTOM = needs("custom:trial")


def on_trial(_: Session | None) -> bool:
    return True


trial, another = custom(on_trial, "trial"), custom(lambda _: False, "trial")


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (somebody | trial, [needs(), CUSTOM]),
        (trial | somebody, [CUSTOM, needs()]),
        (trial | trial & role("admin"), [CUSTOM]),
        (role("admin") | role("admin") & trial, [ADMIN]),
        (somebody & trial | somebody, [needs()]),
        (somebody | trial & role("admin"), [needs()]),
        (trial | another & role("admin"), [CUSTOM, needs("custom:trial", "role:admin")]),
        (trial & another, [CUSTOM]),
    ],
)
def test_a_check_may_let_in_whom_nothing_else_does_so_only_what_needs_more_than_another_choice_is_left_out(
    requirement: Requirement, expected: Any
) -> None:
    assert security([Rule("/a", requires=requirement)], "/a") == expected


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


def test_what_is_only_possible_is_optional_and_the_description_says_for_which_paths() -> None:
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
def test_where_routes_that_share_an_operation_differ_its_security_is_optional_and_it_says_which_is_which(
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


def test_where_routes_that_share_an_operation_agree_there_is_nothing_to_tell() -> None:
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


def test_a_route_that_is_left_out_says_nothing_about_the_operation_that_shares_its_path() -> None:
    app = FastAPI()
    app.get("/i/{x:int}", include_in_schema=False, dependencies=[Depends(require_role("admin"))])(with_parameter)
    app.get("/i/{x}")(with_parameter)
    new_kit().install(app)

    assert "security" not in operation(app, "/i/{x}")


# Global protection


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a", [needs()]),
        ("/login", None),
        ("/open", None),
        ("/open/{x}", None),
        ("/open/{x:path}", None),
        ("/{x}", [OPEN, needs()]),
        ("/admin", [ADMIN]),
        ("/admin/open", None),
    ],
)
def test_global_protection_and_what_stays_open(path: str, expected: Any) -> None:
    rules = [Rule("/admin/open", public=True), Rule("/admin", role="admin")]
    found = security(rules, path, global_protect=True, login_path="/login", exclude=["/open/**"])

    if path == "/{x}":
        assert found[-1] == needs()
        assert OPEN in found
        assert ADMIN in found
    else:
        assert found == expected


# 401 and 403


def test_a_guarded_operation_says_401_and_403() -> None:
    responses = operation(app_of("/a", guard=RouterGuard(protect=[Rule("/a")])), "/a")["responses"]

    assert {"200", "401", "403"} <= responses.keys()
    assert responses["401"]["content"]["application/json"]


def test_an_open_operation_carries_nothing() -> None:
    found = operation(app_of("/a", "/b", guard=RouterGuard(protect=[Rule("/b")])), "/a")

    assert "security" not in found
    assert not {"401", "403"} & found["responses"].keys()


def test_the_application_s_own_401_is_kept() -> None:
    app = FastAPI()

    @app.get("/a", responses={401: {"description": "mine"}})
    async def endpoint() -> None: ...

    new_kit().install(app, guard=RouterGuard(protect=[Rule("/a")]))

    assert operation(app, "/a")["responses"]["401"]["description"] == "mine"
    assert operation(app, "/a")["responses"]["403"]["description"].startswith("Forbidden")


# Dependencies


@pytest.mark.parametrize(
    ("dependency", "expected"),
    [
        (require_session, [needs()]),
        (require_role("admin"), [ADMIN]),
        (require_role("admin", "editor"), [ADMIN, needs("role:editor")]),
        (require_permission("p", "q"), [needs("permission:p", "permission:q")]),
        (require_any_permission("p", "q"), [needs("permission:p"), needs("permission:q")]),
        (require_fresh(60), [needs("fresh:60s")]),
        (require(role("e") & permission("w") | role("admin")), [needs("role:e", "permission:w"), ADMIN]),
        (get_session, None),
        (has_role("admin"), None),
    ],
)
@pytest.mark.parametrize("where", ["operation", "router", "include", "app", "nested", "parameter"])
def test_dependencies_document_themselves_wherever_they_stand(dependency: Any, expected: Any, where: str) -> None:
    def through(_: Annotated[Any, Depends(dependency)]) -> None: ...

    def on(place: str) -> list[Any]:
        return [Depends(through if where == "nested" else dependency)] if where == place else []

    app = FastAPI(dependencies=on("app"))
    router = APIRouter(prefix="/r", dependencies=on("router"))

    async def endpoint() -> None: ...

    async def taking(session: Annotated[Any, Depends(dependency)]) -> None: ...

    router.add_api_route(
        "/a",
        taking if where == "parameter" else endpoint,
        methods=["GET"],
        dependencies=on("operation") or on("nested"),
    )
    app.include_router(router, dependencies=on("include"))
    new_kit().install(app)

    found = operation(app, "/r/a")
    assert found.get("security") == expected
    assert ("401" in found["responses"]) is (expected is not None)


def test_a_kit_s_own_dependencies_document_themselves() -> None:
    kit, app = new_kit(), FastAPI()

    @app.get("/a", dependencies=[Depends(kit.require_role("admin"))])
    @app.get("/b", dependencies=[Depends(kit.require_session)])
    @app.get("/c", dependencies=[Depends(kit.get_session)])
    async def endpoint() -> None: ...

    kit.install(app)

    assert operation(app, "/a")["security"] == [ADMIN]
    assert operation(app, "/b")["security"] == [needs()]
    assert "security" not in operation(app, "/c")


def test_rule_and_dependency_must_both_hold() -> None:
    app = FastAPI()

    @app.get("/a", dependencies=[Depends(require_role("admin")), Depends(require_permission("p"))])
    async def endpoint() -> None: ...

    new_kit().install(app, guard=RouterGuard(protect=[Rule("/a", roles=["x", "y"])]))

    assert operation(app, "/a")["security"] == [
        needs("role:x", "role:admin", "permission:p"),
        needs("role:y", "role:admin", "permission:p"),
    ]


def test_a_dependency_makes_an_operation_certain_that_a_rule_leaves_possible() -> None:
    app = FastAPI()

    app.get("/a/{x}", dependencies=[Depends(require_session)])(with_parameter)

    new_kit().install(app, guard=RouterGuard(protect=[Rule("/a/1", role="admin")]))

    assert OPEN not in operation(app, "/a/{x}")["security"]


# Routers


def test_nested_and_prefixed_routers_are_documented_under_their_full_path() -> None:
    inner, outer, app = APIRouter(prefix="/inner"), APIRouter(prefix="/outer"), FastAPI()

    inner.get("/{x}")(with_parameter)
    inner.get("")(endpoint)

    outer.include_router(inner, prefix="/mid")
    app.include_router(outer, prefix="/v1")
    app.include_router(outer, prefix="/v2")
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/v1/outer/**", role="admin")]))

    assert operation(app, "/v1/outer/mid/inner/{x}")["security"] == [ADMIN]
    assert operation(app, "/v1/outer/mid/inner")["security"] == [ADMIN]
    assert "security" not in operation(app, "/v2/outer/mid/inner/{x}")


def test_a_router_s_guard_is_documented_for_that_router_s_operations() -> None:
    guard = RouterGuard(protect=[Rule("/**", role="partner")])
    router, app = APIRouter(prefix="/partners", dependencies=[Depends(guard)]), FastAPI()

    @router.get("/x")
    @app.get("/x")
    async def endpoint() -> None: ...

    app.include_router(router, prefix="/v1")
    new_kit().install(app)

    assert operation(app, "/v1/partners/x")["security"] == [needs("role:partner")]
    assert "security" not in operation(app, "/x")


def test_two_guards_on_the_way_must_both_agree() -> None:
    partner = RouterGuard(protect=[Rule("/p/**", role="partner")])
    router, app = APIRouter(prefix="/p", dependencies=[Depends(partner)]), FastAPI()

    router.get("/{x}")(with_parameter)

    app.include_router(router)
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/p/1", permission="one")]))

    assert operation(app, "/p/{x}")["security"] == [needs("permission:one", "role:partner"), needs("role:partner")]


def test_a_guard_on_app_and_router_at_once_is_named_once() -> None:
    guard = RouterGuard(protect=[Rule("/p/1", role="admin")])
    router, app = APIRouter(prefix="/p", dependencies=[Depends(guard)]), FastAPI()

    router.get("/{x}")(with_parameter)

    app.include_router(router)
    new_kit().install(app, guard=guard)

    found = operation(app, "/p/{x}")
    assert found["security"] == [ADMIN, OPEN]
    assert found["description"].count("/p/1") == 1


# Late, replaced, shared


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


# Mounted applications


def test_a_mounted_application_without_a_kit_documents_its_dependencies_and_the_rules_around_it() -> None:
    app, sub, below = FastAPI(), FastAPI(), FastAPI()
    sub.get("/x", dependencies=[Depends(require_role("admin"))])(endpoint)
    sub.get("/y")(endpoint)
    sub.get("/z")(endpoint)
    below.get("/y")(endpoint)
    sub.mount("/below", below)
    app.mount("/sub", sub)
    rules = [Rule("/sub/y", role="y"), Rule("/z", role="z"), Rule("/sub/below/*", role="below")]
    new_kit().install(app, guard=RouterGuard(protect=rules))

    with TestClient(app, base_url="https://testserver") as client:
        paths = client.get("/sub/openapi.json").json()["paths"]

    assert paths["/x"]["get"]["security"] == [ADMIN]
    assert paths["/y"]["get"]["security"] == [needs("role:y")]
    assert "security" not in paths["/z"]["get"]
    assert operation(below, "/y")["security"] == [needs("role:below")]


def test_a_guard_of_a_router_in_a_mounted_application_is_documented_by_the_paths_below_the_mount() -> None:
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


# Other schemes


def test_other_security_schemes_are_kept_and_both_must_hold() -> None:
    app = FastAPI()
    key, bearer = APIKeyHeader(name="X-Key"), OAuth2PasswordBearer(tokenUrl="token", scopes={"read": "x"})

    @app.get("/key", dependencies=[Security(key)])
    async def with_key() -> None: ...

    @app.get("/bearer", dependencies=[Security(bearer, scopes=["read"]), Depends(require_role("admin"))])
    async def with_bearer() -> None: ...

    @app.get("/open", dependencies=[Security(key)])
    async def only_key() -> None: ...

    new_kit().install(app, guard=RouterGuard(protect=[Rule("/key", roles=["a", "b"])]))
    schema = documented(app)

    assert schema["components"]["securitySchemes"].keys() == {"APIKeyHeader", "OAuth2PasswordBearer", SCHEME}
    assert schema["paths"]["/key"]["get"]["security"] == [
        {"APIKeyHeader": [], **needs("role:a")},
        {"APIKeyHeader": [], **needs("role:b")},
    ]
    assert schema["paths"]["/bearer"]["get"]["security"] == [{"OAuth2PasswordBearer": ["read"], **ADMIN}]
    assert schema["paths"]["/open"]["get"]["security"] == [{"APIKeyHeader": []}]


def test_two_kits_each_document_their_own_cookie() -> None:
    customers, app = new_kit(), FastAPI()
    staff = new_kit(name="staff", cookie=CookieSettings(name="staff"))

    @app.get("/c", dependencies=[Depends(customers.require_role("gold"))])
    @app.get("/s", dependencies=[Depends(staff.require_session)])
    @app.get("/both", dependencies=[Depends(staff.require_role("x")), Depends(customers.require_session)])
    @app.get("/none")
    async def endpoint() -> None: ...

    customers.install(app)
    staff.install(app, guard=RouterGuard(protect=[Rule("/s", role="boss")]))
    paths = documented(app)["paths"]

    assert paths["/c"]["get"]["security"] == [needs("role:gold")]
    assert paths["/s"]["get"]["security"] == [{"staff_cookie": ["role:boss"]}]
    assert paths["/both"]["get"]["security"] == [{SCHEME: [], "staff_cookie": ["role:x"]}]
    assert "security" not in paths["/none"]["get"]


def test_two_kits_with_guards_must_both_agree() -> None:
    customers, app = new_kit(), FastAPI()
    staff = new_kit(name="staff", cookie=CookieSettings(name="staff"))
    app.get("/a/{x}")(with_parameter)
    customers.install(app, guard=RouterGuard(protect=[Rule("/a/**", role="gold")]))
    staff.install(app, guard=RouterGuard(protect=[Rule("/a/1", role="boss")]))

    assert operation(app, "/a/{x}")["security"] == [
        {SCHEME: ["role:gold"], "staff_cookie": ["role:boss"]},
        {SCHEME: ["role:gold"]},
    ]


# Access(check=...) decides in place of a rule's own conditions


def by_clearance(rule: Rule, session: Session | None) -> bool:
    """Lets in whom the rule's own condition would not, and the other way round."""
    return session is not None and session.email is not None


CHECKED = "custom:by_clearance"


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
def test_where_the_kit_has_a_check_it_is_documented_instead_of_the_rule_s_conditions(path: str, expected: Any) -> None:
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
    client = TestClient(app, base_url="https://testserver")
    names = set()
    if who is not None:
        signed_in(client, kit, who)
        names = {CHECKED} if who.email else {"role:admin"}

    answer = client.get(path).status_code

    choices = operation(app, path).get("security", [OPEN])
    may = any(SCHEME not in one or (who is not None and names.issuperset(one[SCHEME])) for one in choices)
    assert answer == (200 if may else 401 if who is None else 403)


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


# What it says is what it does


def test_what_the_documentation_says_about_an_operation_is_what_calling_it_does() -> None:
    guard = RouterGuard(
        protect=[
            Rule("/admin/health", public=True),
            Rule("/admin/**", role="admin"),
            Rule("/reports/**", methods=["POST"], requires=role("editor") & permission("w") | role("admin")),
            Rule("/users/7", role="admin"),
        ],
        login_path="/login",
        global_protect=True,
        exclude=["/public/**"],
    )
    kit, app = new_kit(), FastAPI()
    router = APIRouter(prefix="/reports", dependencies=[Depends(require_any_permission("r", "w"))])

    for method in ("GET", "POST"):
        for path in ("/admin/health", "/admin/x", "/public/x", "/login", "/other"):
            app.add_api_route(path, endpoint, methods=[method])
        router.add_api_route("/x", endpoint, methods=[method])
    app.include_router(router)
    kit.install(app, guard=guard)
    for each in people():
        client = TestClient(app, base_url="https://testserver")
        names = set()
        if each is not None:
            signed_in(client, kit, each)
            names = {*map("role:{}".format, each.all_roles), *map("permission:{}".format, each.permissions)}
        for path, operations in documented(app)["paths"].items():
            for verb, described in operations.items():
                choices = described.get("security", [OPEN])
                may = any(SCHEME not in one or (each is not None and names.issuperset(one[SCHEME])) for one in choices)
                answer = client.request(verb, path).status_code
                assert answer == (200 if may else 401 if each is None else 403), (verb, path, each)


def people() -> Iterator[Session | None]:
    yield None
    for who in ({}, {"role": "admin"}, {"role": "editor"}, {"role": "editor", "permissions": ["w"]}, {"permissions": ["r"]},
                {"role": "admin", "permissions": ["r", "w"]}):  # fmt: skip
        yield Session(user_id="u", **who)


# The report at startup


def reported(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "never decides" in record.getMessage()]


def paths_of(problems: list[str]) -> list[str]:
    return [message.removeprefix("Rule ").partition(" never decides")[0] for message in problems]


def started(app: FastAPI) -> None:
    with TestClient(app, base_url="https://testserver") as client:
        client.get("/")


@pytest.mark.parametrize(
    ("rules", "problems"),
    [
        ([Rule("/a"), Rule("/b/**"), Rule("/b/*")], ["/b/*"]),
        ([Rule("/nowhere")], ["/nowhere"]),
        ([Rule("/nowhere/**"), Rule("/a")], ["/nowhere/**"]),
        ([Rule("/a", methods=["DELETE"])], ["DELETE /a"]),
        ([Rule("/a", methods=["GET"])], []),
        ([Rule("/**"), Rule("/a", role="admin")], ["/a"]),
        ([Rule("/a", methods=["GET"]), Rule("/a")], []),
        ([Rule("/a"), Rule("/a", methods=["GET"])], ["GET,HEAD /a"]),
        ([Rule("/*/x"), Rule("/b/x", role="admin")], ["/b/x"]),
        ([Rule("/b/x"), Rule("/b/*")], []),
        ([Rule("/b/12"), Rule("/static/x/y"), Rule("/plain"), Rule("/docs"), Rule("/openapi.json"), Rule("/ws")], []),
        ([Rule("/static")], []),
        ([Rule("/A")], ["/A"]),
        ([], []),
    ],
)
def test_a_rule_that_can_not_apply_is_reported_at_startup(
    rules: list[Rule], problems: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of("/a", "/b/{x}", guard=RouterGuard(protect=rules))
    app.mount("/static", StaticFiles(directory="."))
    app.add_route("/plain", lambda request: PlainTextResponse("x"))
    app.websocket("/ws")(lambda websocket: None)

    started(app)

    assert paths_of(reported(caplog)) == problems


def test_the_report_names_the_rule_that_hides_another(caplog: pytest.LogCaptureFixture) -> None:
    started(app_of("/a", guard=RouterGuard(protect=[Rule("/**", methods=["GET"]), Rule("/a", methods=["HEAD"])])))

    assert reported(caplog) == [
        "Rule HEAD /a never decides: rule GET,HEAD /** comes before it and matches everything that it does"
    ]


def test_it_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/nowhere")]))

    started(app)
    started(app)

    assert len(reported(caplog)) == 1


def test_without_a_lifespan_it_is_reported_at_the_first_request(caplog: pytest.LogCaptureFixture) -> None:
    client = TestClient(app_of("/a", guard=RouterGuard(protect=[Rule("/nowhere")])), base_url="https://testserver")
    assert reported(caplog) == []

    client.get("/a")
    client.get("/a")

    assert len(reported(caplog)) == 1


def test_routes_added_before_the_start_count(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/late")]))
    app.get("/late")(lambda: None)

    started(app)

    assert reported(caplog) == []


def test_a_router_s_guard_is_held_against_that_router_s_routes(caplog: pytest.LogCaptureFixture) -> None:
    guard = RouterGuard(protect=[Rule("/r/x"), Rule("/a")])
    router, app = APIRouter(prefix="/r", dependencies=[Depends(guard)]), app_of("/a")
    router.get("/x")(lambda: None)
    app.include_router(router)

    started(app)

    assert [message.split()[1] for message in reported(caplog)] == ["/a"]


def test_a_router_s_guard_is_held_against_that_router_s_websockets(caplog: pytest.LogCaptureFixture) -> None:
    guard = RouterGuard(protect=[Rule("/r/ws"), Rule("/a")])
    router, app = APIRouter(prefix="/r", dependencies=[Depends(guard)]), app_of("/a")
    router.websocket("/ws")(lambda websocket: None)
    app.include_router(router)

    started(app)

    assert paths_of(reported(caplog)) == ["/a"]


def test_a_pattern_with_a_percent_sign_is_reported_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    started(app_of("/a", guard=RouterGuard(protect=[Rule("/100%/**")])))

    assert "/100%/**" in reported(caplog)[0]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("at", "unreachable"),
    [
        ("/", []),
        ("/ui", ["/whatever/**", "/front/ui", "/u"]),
        ("/ui/", ["/whatever/**", "/front/ui", "/u"]),
        ("/front/ui", ["/whatever/**", "/ui", "/ui/x", "/u"]),
    ],
)
def test_a_frontend_serves_any_path_below_its_own(
    at: str, unreachable: list[str], caplog: pytest.LogCaptureFixture, files: Path
) -> None:
    rules = [Rule(each) for each in ("/whatever/**", "/ui", "/ui/x", "/front/ui", "/u", "/**/x")]
    app = app_of("/a", guard=RouterGuard(protect=rules))
    app.frontend(at, directory=files)

    started(app)

    assert paths_of(reported(caplog)) == unreachable


def test_a_frontend_serves_get_and_head(caplog: pytest.LogCaptureFixture, files: Path) -> None:
    rules = [Rule("/x", methods=["GET"]), Rule("/y", methods=["HEAD"]), Rule("/z", methods=["POST"])]
    app = app_of("/a", guard=RouterGuard(protect=rules))
    app.frontend("/", directory=files)

    started(app)

    assert paths_of(reported(caplog)) == ["POST /z"]


def test_a_frontend_of_an_included_router_is_below_its_prefix(caplog: pytest.LogCaptureFixture, files: Path) -> None:
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")
    inner.frontend("/ui", directory=files)
    outer.include_router(inner, prefix="/between")
    rules = [Rule("/outer/between/inner/ui/x"), Rule("/in/outer/between/inner/ui/x"), Rule("/inner/ui")]
    app = app_of("/a", guard=RouterGuard(protect=rules))
    app.include_router(outer, prefix="/in")

    started(app)

    assert TestClient(app).get("/in/outer/between/inner/ui/index.html").status_code == 200
    assert paths_of(reported(caplog)) == ["/outer/between/inner/ui/x", "/inner/ui"]


def test_what_else_serves_when_no_route_does_serves_anything(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/whatever")]))
    app.router._low_priority_routes.append(BaseRoute())  # noqa: SLF001 - FastAPI has no public way

    with TestClient(app):
        pass

    assert reported(caplog) == []


def test_a_router_s_guard_is_held_against_that_router_s_frontend(caplog: pytest.LogCaptureFixture, files: Path) -> None:
    guard = RouterGuard(protect=[Rule("/r/ui/x"), Rule("/r/x")])
    router, app = APIRouter(prefix="/r", dependencies=[Depends(guard)]), app_of("/a")
    router.frontend("/ui", directory=files)
    app.include_router(router)

    started(app)

    assert paths_of(reported(caplog)) == ["/r/x"]


def test_fresh_is_documented_by_its_seconds_wherever_it_comes_from() -> None:
    app = FastAPI()

    @app.get("/a", dependencies=[Depends(require(fresh(minutes=10)))])
    async def endpoint(request: Request) -> None: ...

    new_kit().install(app)

    assert operation(app, "/a")["security"] == [needs("fresh:600s")]


def test_a_login_page_that_a_rule_shuts_is_reported_at_startup(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/login", lambda: None)
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/**", role="admin")], login_path="/login"))

    with caplog.at_level(logging.WARNING), TestClient(app):
        pass

    assert "Nobody can sign in at /login: rule /** asks for role:admin there." in caplog.text


def test_a_login_page_that_a_check_decides_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/login", endpoint)
    guard = RouterGuard(protect=[Rule("/**", role="admin")], login_path="/login")
    new_kit(access=Access(check=lambda rule, session: True)).install(app, guard=guard)

    with caplog.at_level(logging.WARNING), TestClient(app, base_url="https://testserver") as client:
        answer = client.get("/login").status_code

    assert answer == 200
    assert "sign in" not in caplog.text


def test_an_open_login_page_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/login", lambda: None)
    guard = RouterGuard(protect=[Rule("/login", public=True), Rule("/**", role="admin")], login_path="/login")
    new_kit().install(app, guard=guard)

    with caplog.at_level(logging.WARNING), TestClient(app):
        pass

    assert "sign in" not in caplog.text
