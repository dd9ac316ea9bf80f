"""Dependencies and the guards of routers document themselves."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
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
from tests.openapi.support import ADMIN, OPEN, endpoint, needs, operation, with_parameter
from tests.support import new_kit

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


def test_a_dependency_makes_certain_what_a_rule_leaves_possible() -> None:
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
