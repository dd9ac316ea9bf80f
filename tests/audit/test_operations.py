"""What an application serves, and what the audit says that each of it needs."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Host, Route, Router

from fastapi_sessionkit import Access, ConfigurationError, CookieSettings, RouterGuard, Rule, require_role
from tests.audit.support import GUARD, application, audit_of, endpoint, plain
from tests.support import client_of, new_kit


def shown(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    return {(each.method, each.path): (each.kind, each.needs) for each in audit_of(folder).operations}


@pytest.mark.parametrize(
    ("method", "path", "kind", "needs"),
    [
        ("GET", "/", "operation", "open"),
        ("GET", "/admin/users", "operation", "role:admin"),
        ("GET", "/audit/log", "operation", "signed_in & role:auditor"),
        ("GET", "/docs", "page", "signed_in"),
        ("GET", "/openapi.json", "page", "signed_in"),
        ("*", "/files/{path:path}", "mount", "signed_in"),
        ("DELETE", "/files/{path:path}", "mount", "role:admin"),
        ("GET", "/items/{item}", "operation", "at /items/7: role:editor; otherwise: signed_in"),
        ("GET", "/partners/list", "operation", "signed_in & role:partner"),
        ("GET", "/plain", "route", "signed_in"),
        ("GET", "/prices", "operation", "open"),
        ("POST", "/reports", "operation", "role:editor & permission:write | role:admin"),
        ("GET", "/static/{path:path}", "static", "signed_in"),
        ("GET", "/sub/page", "operation", "signed_in"),
        ("GET", "/ui/{path:path}", "frontend", "signed_in"),
        ("WEBSOCKET", "/ws", "websocket", "signed_in"),
    ],
)
def test_an_operation_of_each_kind_is_there(method: str, path: str, kind: str, needs: str, tmp_path: Path) -> None:
    assert shown(tmp_path)[method, path] == (kind, needs)


def test_each_operation_is_there_once(tmp_path: Path) -> None:
    operations = audit_of(tmp_path).operations

    assert len({(each.method, each.path) for each in operations}) == len(operations) == 24
    assert [each.path for each in operations] == sorted(each.path for each in operations)


def test_an_operation_says_who_asks_and_which_rule(tmp_path: Path) -> None:
    found = {each.path: each for each in audit_of(tmp_path).operations}

    assert found["/admin/users"].said_by == ("gate",)
    assert found["/admin/users"].rule == "/admin/**"
    assert found["/partners/list"].said_by == ("gate", "router")
    assert found["/partners/list"].rule == "/partners/**"
    assert found["/audit/log"].said_by == ("gate", "dependency")
    assert found["/audit/log"].rule is None
    assert found["/prices"].is_marked


def test_only_an_operation_that_needs_the_same_everywhere_is_certain(tmp_path: Path) -> None:
    uncertain = [each.path for each in audit_of(tmp_path).operations if not each.certain]

    assert uncertain == ["/items/{item}"]


def test_what_is_open_is_in_plain_sight(tmp_path: Path) -> None:
    found = [each.path for each in audit_of(tmp_path).operations if each.open]

    assert found == ["/", "/admin/health", "/login", "/prices", "/public/x"]


@pytest.mark.parametrize(
    "path", ["/", "/admin/users", "/audit/log", "/plain", "/docs", "/static/x", "/sub/page", "/ui/x", "/prices"]
)
def test_nobody_gets_in_where_the_audit_says_that_somebody_is_needed(path: str, tmp_path: Path) -> None:
    app, kit = application(tmp_path)

    allowed = kit.audit(app).explain("GET", path).allowed
    assert (client_of(app).get(path).status_code not in {401, 403}) is allowed


def test_a_class_of_starlette_s_has_the_methods_that_it_defines(tmp_path: Path) -> None:
    class Page(HTTPEndpoint):
        async def get(self, request: Any) -> Any: ...

        async def post(self, request: Any) -> Any: ...

    app, kit = FastAPI(openapi_url=None), new_kit()
    app.router.routes.append(Route("/page", Page))
    kit.install(app, guard=RouterGuard([Rule("/page", methods=["POST"], role="admin")]))

    assert [(each.method, each.needs) for each in kit.audit(app).operations] == [
        ("GET", "open"),
        ("POST", "role:admin"),
    ]


def test_an_application_without_a_guard_is_open(tmp_path: Path) -> None:
    operations = audit_of(tmp_path, None).operations

    assert [each.path for each in operations if not each.open] == ["/audit/log", "/partners/list"]


def test_a_check_of_the_application_s_stands_for_each_rule(tmp_path: Path) -> None:
    def check(rule: Any, session: Any) -> bool:
        return False

    found = {each.path: each for each in audit_of(tmp_path, access=Access(check=check)).operations}

    assert found["/admin/users"].needs == "custom:check"
    assert found["/admin/health"].needs == "open"


def test_dependencies_on_another_kit_are_another_kit_s() -> None:
    app = FastAPI(openapi_url=None)
    kit, staff = new_kit(), new_kit(name="staff", cookie=CookieSettings(name="staff"))
    app.add_api_route("/a", endpoint, dependencies=[Depends(staff.require_role("admin"))])
    app.add_api_route("/b", endpoint, dependencies=[Depends(kit.require_role("admin"))])
    kit.install(app)
    staff.install(app)

    assert [each.needs for each in kit.audit(app).operations] == ["staff/role:admin", "role:admin"]
    assert [each.needs for each in staff.audit(app).operations] == ["role:admin", "session/role:admin"]


def test_a_mounted_application_with_a_kit_of_its_own_asks_its_own_people() -> None:
    app, sub = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    kit, inner = new_kit(), new_kit(name="inner", cookie=CookieSettings(name="inner"))
    sub.add_api_route("/page", endpoint, dependencies=[Depends(require_role("admin"))])
    app.mount("/sub", sub)
    inner.install(sub)
    kit.install(app, guard=RouterGuard(global_protect=True))

    assert [each.needs for each in kit.audit(app).operations] == ["signed_in & inner/role:admin"]
    assert [each.needs for each in inner.audit(sub).operations] == ["role:admin"]


def test_a_gate_of_the_same_kit_on_a_mounted_application_counts() -> None:
    app, sub, kit = FastAPI(openapi_url=None), FastAPI(openapi_url=None), new_kit()
    sub.add_api_route("/page", endpoint)
    app.mount("/sub", sub)
    kit.install(sub, guard=RouterGuard([Rule("/page", role="admin")]))
    kit.install(app)

    assert [each.needs for each in kit.audit(app).operations] == ["role:admin"]


def test_a_router_of_another_host_is_there() -> None:
    app, kit = FastAPI(openapi_url=None), new_kit()
    app.router.routes.append(Host("other.example", Router([Route("/hosted", plain)])))
    kit.install(app)

    assert [each.path for each in kit.audit(app).operations] == ["/hosted"]


def test_routes_of_nested_routers_have_their_full_path() -> None:
    app, kit, inner, outer = FastAPI(openapi_url=None), new_kit(), APIRouter(prefix="/b"), APIRouter(prefix="/a")
    inner.add_api_route("/c", endpoint)
    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    kit.install(app)

    assert [each.path for each in kit.audit(app).operations] == ["/v1/a/b/c"]


def test_an_audit_of_another_application_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"kit.install\(app\)"):
        new_kit().audit(FastAPI())


def test_a_guard_is_used_for_several_audits(tmp_path: Path) -> None:
    assert [each.needs for each in audit_of(tmp_path, GUARD).operations] == [
        each.needs for each in audit_of(tmp_path).operations
    ]
