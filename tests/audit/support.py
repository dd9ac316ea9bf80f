"""An application with something of everything, and its audit."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fastapi_sessionkit import RouterGuard, Rule, SessionKit, owner, permission, public, require_role, role
from fastapi_sessionkit.audit import Audit
from tests.support import new_kit


async def endpoint() -> None: ...


async def with_id(user_id: str) -> None: ...


async def plain(request: Request) -> Response:
    return PlainTextResponse("x")


async def bare(scope: Any, receive: Any, send: Any) -> None: ...


@public
async def prices() -> None: ...


async def socket(connection: WebSocket) -> None: ...


def paid(session: Any) -> bool:
    return session is not None


GUARD = RouterGuard(
    [
        Rule("/admin/health", public=True),
        Rule("/admin/**", role="admin"),
        Rule("/reports/**", methods=["POST"], requires=role("editor") & permission("write") | role("admin")),
        Rule("/users/{user_id}/**", requires=owner("user_id") | role("admin")),
        Rule("/items/7", role="editor"),
        Rule("/files/**", methods=["DELETE"], role="admin"),
        Rule("/paid", allow=paid),
    ],
    login_path="/login",
    global_protect=True,
    exclude=["/", "/public/**"],
)


def application(folder: Path, guard: RouterGuard | None = GUARD, **options: Any) -> tuple[FastAPI, SessionKit[Any]]:
    app, sub, kit = FastAPI(), FastAPI(openapi_url=None), new_kit(**options)
    for path in ("/", "/login", "/admin/health", "/admin/users", "/reports", "/items/{item}", "/paid", "/public/x"):
        app.add_api_route(path, endpoint, methods=["GET"], tags=["pages"])
    app.add_api_route("/reports", endpoint, methods=["POST"])
    app.add_api_route("/users/{user_id}/mail", with_id)
    app.add_api_route("/prices", prices)
    router = APIRouter(prefix="/audit", dependencies=[Depends(require_role("auditor"))])
    router.add_api_route("/log", endpoint)
    app.include_router(router)
    partners = APIRouter(dependencies=[Depends(RouterGuard([Rule("/partners/**", role="partner")]))])
    partners.add_api_route("/partners/list", endpoint)
    app.include_router(partners)
    app.add_api_websocket_route("/ws", socket)
    app.add_route("/plain", plain)
    sub.add_api_route("/page", endpoint)
    app.mount("/sub", sub)
    app.mount("/files", bare)
    app.mount("/static", StaticFiles(directory=folder))
    app.frontend("/ui", directory=folder)
    kit.install(app, guard=guard)
    return app, kit


def audit_of(folder: Path, guard: RouterGuard | None = GUARD, **options: Any) -> Audit:
    app, kit = application(folder, guard, **options)
    return kit.audit(app)
