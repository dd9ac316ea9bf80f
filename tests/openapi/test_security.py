"""What the documentation says about one operation: its security scheme, its security and its responses."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI, Security
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from starlette.requests import Request

from fastapi_sessionkit import (
    CookieSettings,
    Requirement,
    RouterGuard,
    Rule,
    Session,
    custom,
    fresh,
    permission,
    require,
    require_role,
    role,
)
from fastapi_sessionkit import signed_in as somebody
from tests.openapi.support import ADMIN, OPEN, SCHEME, app_of, documented, needs, operation, security, with_parameter
from tests.support import new_kit

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
def test_only_a_choice_that_needs_more_than_another_is_left_out(requirement: Requirement, expected: Any) -> None:
    assert security([Rule("/a", requires=requirement)], "/a") == expected


def test_fresh_is_documented_by_its_seconds_wherever_it_comes_from() -> None:
    app = FastAPI()

    @app.get("/a", dependencies=[Depends(require(fresh(minutes=10)))])
    async def endpoint(request: Request) -> None: ...

    new_kit().install(app)

    assert operation(app, "/a")["security"] == [needs("fresh:600s")]


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
