"""What OpenAPI says about every operation is what calling it does: for nobody, and for sessions of every kind.

The security of an operation is read as the specification says (OpenAPI 3.1, "Security Requirement Object"): one entry
must hold, in an entry every name, and ``{}`` is open to everybody.
"""

import re
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import (
    Access,
    MemoryStore,
    RouterGuard,
    Rule,
    SessionKit,
    any_permission,
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
from fastapi_sessionkit.testing import signed_in
from tests.support import SITE, AppSession, Clock, app_kit

SCHEME = "session_cookie"
NOW = Clock().now


def premium(session: AppSession | None) -> bool:
    return session is not None and session.tier == "premium"


def anybody(session: AppSession | None) -> bool:
    return True


CUSTOM = {"premium": premium, "anybody": anybody}

GUARD = RouterGuard(
    protect=[
        Rule("/admin/health", public=True),
        Rule("/admin/**", role="admin", redirect_to="/unauthorized"),
        Rule("/dashboard", roles=["user", "admin"]),
        Rule("/settings/**", permission="settings:write"),
        Rule("/both", permissions=["settings:write", "reports:write"]),
        Rule("/all", role="editor", permission="reports:write", fresh=60),
        Rule("/signed-in"),
        Rule("/fresh", fresh=60),
        Rule(
            "/reports/**",
            methods=["POST", "DELETE"],
            requires=role("editor") & permission("reports:write") | role("admin"),
        ),
        Rule(
            "/reports/**",
            methods=["GET"],
            requires=(role("editor") | role("user")) & any_permission("a", "reports:write"),
        ),
        Rule("/premium/**", allow=premium),
        Rule("/welcome", allow=anybody),
        Rule("/users/me", public=True),
        Rule("/users/root", role="admin"),
        Rule("/users/*", role="user"),
        Rule("/files/secret/**", role="admin"),
        Rule("/teams/*/members", permission="settings:write"),
        Rule("/anything/**", public=True),
    ],
    login_path="/login",
    global_protect=True,
    exclude=["/", "/about", "/open/**", "/mixed/open"],
)
PARTNERS = RouterGuard(protect=[Rule("/open/partners/deals", role="partner"), Rule("/open/partners/**", role="user")])

GUARDED = {
    "GET": "/ /about /login /dashboard /admin /admin/health /admin/users/{name} /settings /settings/{key} /both /all "
    "/signed-in /fresh /reports /reports/{number} /premium /premium/{what} /welcome /users/{name} /files/{path:path} "
    "/teams/{team}/members /teams/{team} /mixed/{what} /anything/{what} /nothing-said /open /open/more/{what}",
    "POST": "/reports /reports/{number} /users/{name} /welcome",
    "DELETE": "/reports/{number} /admin",
    "PATCH": "/reports/{number}",
}


async def asking(is_admin: Annotated[bool, Depends(has_role("admin"))]) -> None: ...


DEPENDENCIES: dict[str, Any] = {
    "session": require_session,
    "optional": get_session,
    "asks": asking,
    "role": require_role("admin", "editor"),
    "permission": require_permission("settings:write", "reports:write"),
    "any-permission": require_any_permission("settings:write", "reports:write"),
    "fresh": require_fresh(60),
    "custom": require(custom(premium)),
    "anybody": require(custom(anybody)),
    "combined": require(role("editor") & permission("reports:write") | fresh(60) & role("user")),
}


def documented_application(kit: SessionKit[AppSession]) -> FastAPI:
    app = FastAPI()

    async def endpoint():
        return {"reached": True}

    for method, paths in GUARDED.items():
        for path in paths.split():
            app.api_route(path, methods=[method])(endpoint)
    for name, dependency in DEPENDENCIES.items():
        app.get(f"/open/with/{name}", dependencies=[Depends(dependency)])(endpoint)
        app.get(f"/users/{{name}}/{name}", dependencies=[Depends(dependency)])(endpoint)
    app.get("/open/own", dependencies=[Depends(kit.require_role("admin")), Depends(kit.require_permission("a"))])(
        endpoint
    )

    @app.get("/open/parameter")
    async def parameter(session: Annotated[AppSession, Depends(kit.require_session)]):
        return {"reached": True}

    partners = APIRouter(prefix="/partners", dependencies=[Depends(PARTNERS)])
    partners.get("/deals")(endpoint)
    partners.get("/{what}", dependencies=[Depends(require_role("editor"))])(endpoint)
    nested = APIRouter(prefix="/open", dependencies=[Depends(require(anybody_named))])
    nested.include_router(partners)
    app.include_router(nested)
    kit.install(app, guard=GUARD)
    return app


anybody_named = custom(anybody)


@dataclass(frozen=True)
class Caller:
    """Who calls, and how long after signing in; ``None`` is nobody."""

    session: AppSession | None
    age: float = 0.0

    def label(self) -> str:
        """For the test's name."""
        if self.session is None:
            return "nobody"
        return ",".join([*self.session.roles, *self.session.permissions, self.session.tier, f"{self.age:g}s"])

    def has(self, name: str) -> bool:
        """Whether this fulfils one of the names that stand in OpenAPI."""
        kind, _, value = name.partition(":")
        if kind == "custom":
            return CUSTOM[value](self.session)
        if self.session is None:
            return False
        match kind:
            case "role":
                return self.session.has_role(value)
            case "permission":
                return self.session.has_permission(value)
            case "fresh":
                return self.age <= float(value.removesuffix("s"))
            case "signed_in":
                return True
        pytest.fail(f"OpenAPI names {name!r}")

    def satisfies(self, security: list[dict[str, list[str]]]) -> bool:
        return not security or any(self._holds(entry) for entry in security)

    def _holds(self, entry: dict[str, list[str]]) -> bool:
        if not entry:
            return True
        names = entry[SCHEME]
        knows = self.session is not None or any(name.startswith("custom:") for name in names)
        return knows and all(map(self.has, names))


def callers() -> list[Caller]:
    roles = [(), ("user",), ("editor",), ("admin",), ("partner", "user"), ("partner", "editor", "user")]
    permissions = [(), ("settings:write",), ("reports:write", "a"), ("settings:write", "reports:write", "a")]
    found = [Caller(None)]
    for number, (own, may) in enumerate(product(roles, permissions)):
        paying, age = ((False, 0.0), (True, 3_600.0), (True, 0.0))[number % 3]
        tier: Literal["free", "premium"] = "premium" if paying else "free"
        found.append(Caller(AppSession(user_id=f"user-{number}", roles=own, permissions=may, tier=tier), age))
    return found


VALUES = ["me", "root", "42", "secret", "open", "secret/deep"]


def paths_of(template: str) -> list[str]:
    """Concrete paths for a template as OpenAPI has it; a ``{path}`` takes several segments too."""
    values = VALUES if "{path}" in template else [value for value in VALUES if "/" not in value]
    return list(dict.fromkeys(re.sub(r"\{[^}]+\}", value, template) for value in values))


def said_about(operation: dict[str, Any], path: str, caller: Caller) -> bool:
    """Whether OpenAPI says that this caller may: the list in the description where access depends on the path."""
    text: str = operation.get("description", "")
    lines = re.findall(r"^- (?:`([^`]+)`|otherwise): (.+)$", text, re.MULTILINE)
    if not lines:
        return caller.satisfies(operation.get("security", []))
    named = next(name for patterns, name in lines if not patterns or _all_match(patterns, path))
    return named == "open" or any(
        all(map(caller.has, re.split(r" & ", choice.strip()))) for choice in named.split(" | ")
    )


def _all_match(patterns: str, path: str) -> bool:
    return all(Rule(pattern).matches(path) for pattern in patterns.split(" and "))


@dataclass(frozen=True)
class Site:
    app: FastAPI
    kit: SessionKit[AppSession]
    clock: Clock

    def client_of(self, caller: Caller) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=SITE)
        if caller.session is not None:
            self.clock.now = NOW - caller.age
            signed_in(client, self.kit, caller.session)
        self.clock.now = NOW
        return client


@pytest.fixture(scope="module", params=["cookie", "memory"])
def site(request: pytest.FixtureRequest) -> Site:
    clock = Clock()
    kit = app_kit(
        backend=MemoryStore() if request.param == "memory" else None,
        clock=clock,
    )
    return Site(documented_application(kit), kit, clock)


@pytest.mark.anyio
@pytest.mark.parametrize("caller", callers(), ids=Caller.label)
async def test_what_openapi_says_is_what_calling_does(site: Site, caller: Caller) -> None:
    schema, client = site.app.openapi(), site.client_of(caller)
    called = 0

    for template, item in schema["paths"].items():
        for method, operation in item.items():
            for path in paths_of(template):
                response = await client.request(method.upper(), path)
                would_do = said_about(operation, path, replace(caller, age=0))  # signing in anew is all that is missing
                refused = 401 if caller.session is None or would_do else 403
                expected = 200 if said_about(operation, path, caller) else refused
                assert response.status_code == expected, f"{method} {path}: {operation.get('security')}"
                called += 1

    assert called > 100


def test_every_kind_of_statement_is_in_the_schema(site: Site) -> None:
    """Otherwise the test above would hold an empty promise."""
    schema = site.app.openapi()
    operations = [operation for item in schema["paths"].values() for operation in item.values()]
    entries = [entry for operation in operations for entry in operation.get("security", [])]
    names = {name.partition(":")[0] for entry in entries for name in entry.get(SCHEME, [])}

    assert names == {"role", "permission", "fresh", "custom"}
    assert {} in entries
    assert {SCHEME: []} in entries
    assert any("security" not in operation for operation in operations)
    assert any(len(operation.get("security", [])) > 1 for operation in operations)
    assert any("Access depends on the path" in operation.get("description", "") for operation in operations)


def test_an_operation_says_401_and_403_when_and_only_when_it_is_not_open(site: Site) -> None:
    for item in site.app.openapi()["paths"].values():
        for operation in item.values():
            guarded = bool(operation.get("security"))
            assert ("401" in operation["responses"]) is guarded
            assert ("403" in operation["responses"]) is guarded


@pytest.mark.anyio
@pytest.mark.parametrize("caller", [Caller(None), Caller(AppSession(user_id="ada", role="user"))], ids=Caller.label)
async def test_hooks_of_the_application_are_behind_the_same_names(caller: Caller) -> None:
    """With ``Access`` the names stay, and what they mean is the application's."""
    access = Access(get_roles=lambda session: ["admin"] if session.user_id == "ada" else [])
    clock = Clock()
    kit = app_kit(access=access, clock=clock)
    site = Site(documented_application(kit), kit, clock)

    operation = site.app.openapi()["paths"]["/admin"]["delete"]
    response = await site.client_of(caller).delete("/admin")

    assert operation["security"] == [{SCHEME: ["role:admin"]}]
    assert response.status_code == (401 if caller.session is None else 200)
