"""Findings that only the whole application shows: what is mounted on it, its routers, its dependencies, its other kits."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import Router

from fastapi_sessionkit import RouterGuard, Rule, require_role
from tests.audit.support import endpoint, plain
from tests.audit.test_findings import STRONG, app_of, found
from tests.support import new_kit


class CsrfMiddleware:
    def __init__(self, app: Any, cookie_name: str = "csrf") -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def test_a_cookie_of_any_middleware_is_found() -> None:
    app = app_of("/a")
    app.add_middleware(CsrfMiddleware, cookie_name="__Host-session")

    assert found(app) == [("cookie-clash", "__Host-session")]


def test_a_login_page_that_a_dependency_shuts_is_found() -> None:
    app = app_of("/")
    app.add_api_route("/login", endpoint, dependencies=[Depends(require_role("admin"))])

    assert found(app, guard={"login_path": "/login"}) == [("shut-page", "/login")]


def test_a_login_page_that_the_guard_of_its_router_shuts_is_found() -> None:
    app, router = app_of("/"), APIRouter(dependencies=[Depends(RouterGuard([Rule("/login")]))])
    router.add_api_route("/login", endpoint)
    app.include_router(router)

    assert found(app, guard={"login_path": "/login"}) == [("shut-page", "/login")]


def test_a_rule_that_opens_one_path_does_not_open_all_of_them() -> None:
    app = app_of("/items/{item}", methods=("POST",))

    assert found(app, Rule("/items/1", public=True)) == [("open-write", "POST /items/{item}")]


def test_what_another_kit_s_guard_protects_is_not_open() -> None:
    app, kit, staff = app_of("/staff/a", methods=("POST",)), new_kit(secret_key=STRONG), new_kit(name="staff")
    kit.install(app)
    staff.install(app, guard=RouterGuard([Rule("/staff/**", role="boss")]))

    assert kit.audit(app).findings == []


def both_kits(app: FastAPI, own: RouterGuard | None, other: RouterGuard | None) -> list[tuple[str, str]]:
    """What the audit of one kit finds on an application that has another one too."""
    kit, staff = new_kit(secret_key=STRONG), new_kit(name="staff")
    kit.install(app, guard=own)
    staff.install(app, guard=other)
    return [(each.code, each.at) for each in kit.audit(app).findings]


def test_what_another_kits_guard_opens_or_logs_in_at_is_meant_to_be_open() -> None:
    app = app_of("/staff/login", "/staff/help", "/staff/b", methods=("GET", "POST"))
    other = RouterGuard([Rule("/staff/help", public=True)], login_path="/staff/login")

    assert both_kits(app, None, other) == [("open-write", "POST /staff/b")]


def test_a_page_for_everybody_that_another_kit_s_guard_shuts_is_found() -> None:
    own, other = RouterGuard([Rule("/a")], login_path="/login"), RouterGuard(global_protect=True)

    assert both_kits(app_of("/a", "/login"), own, other) == [("shut-page", "/login")]


def test_a_dependency_on_one_kit_is_not_alone_beside_a_rule_of_another_s() -> None:
    app, kit, staff = app_of("/api/a"), new_kit(secret_key=STRONG), new_kit(secret_key=STRONG, name="staff")
    app.add_api_route("/api/b", endpoint, dependencies=[Depends(staff.require_role("boss"))])
    kit.install(app, guard=RouterGuard([Rule("/api/a")]))
    staff.install(app)

    assert kit.audit(app).findings == staff.audit(app).findings == []


def test_the_documentation_is_open_alone_where_several_kits_protect_the_rest() -> None:
    app = FastAPI()
    app.add_api_route("/a", endpoint)
    app.add_api_route("/b", endpoint)
    found = both_kits(app, RouterGuard([Rule("/a")]), RouterGuard([Rule("/b")]))

    assert {code for code, _ in found} == {"open-docs"}


def test_origins_need_no_trust_where_none_is_asked_for() -> None:
    app = app_of("/a")
    app.add_middleware(CORSMiddleware, allow_origins=["https://front.example"], allow_credentials=True)

    assert found(app, cross_origin_protection=False) == []


def test_a_rule_for_a_path_that_a_mounted_application_does_not_have_is_found() -> None:
    app = app_of("/a")
    app.mount("/sub", app_of("/page"))

    rules = [Rule("/sub/page"), Rule("/sub/nowhere", role="admin")]
    assert found(app, *rules) == [("unreachable-rule", "/sub/nowhere")]


def test_a_mount_that_routes_in_its_own_way_may_serve_anything() -> None:
    class Own(Router):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    app, own = app_of("/a"), Own()
    own.add_route("/page", plain)
    app.mount("/own", own)
    app.mount("/later", FastAPI(openapi_url=None))

    assert found(app, Rule("/own/other"), Rule("/own/**"), Rule("/later/page")) == []


def test_a_rule_of_a_router_in_a_mounted_application_is_found() -> None:
    app, inner = app_of("/a"), app_of()
    router = APIRouter(dependencies=[Depends(RouterGuard([Rule("/page"), Rule("/nowhere")]))])
    router.add_api_route("/page", endpoint)
    inner.include_router(router)
    app.mount("/sub", inner)

    assert found(app) == [("unreachable-rule", "/nowhere")]
