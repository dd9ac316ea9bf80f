"""However a path is spelled, the rules stand before it, and they see what the router sees."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from fastapi_sessionkit import RouterGuard, Rule
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ADMIN, CUSTOMER, ask, everything, status, token_of
from tests.support import client_of, new_kit

# Spellings


def test_a_slash_redirect_is_behind_the_gate(files: Path) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(protect=[Rule("/slashed"), Rule("/api")]), kit)

    assert client_of(app).get("/slashed").status_code == 401
    assert client_of(app).get("/api/").status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get("/slashed").status_code == 307


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"])
@pytest.mark.anyio
async def test_every_method_is_behind_the_gate(files: Path, method: str) -> None:
    app = everything(files, RouterGuard(protect=[Rule("/bare/**")]))

    assert await status(app, "/bare", method=method) == 401


def test_head_is_decided_like_get(files: Path) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(protect=[Rule("/plain", methods=["GET"])]), kit)

    assert client_of(app).head("/plain").status_code == 401
    assert client_of(app).head("/plain").content == b""
    assert signed_in(client_of(app), kit, CUSTOMER).head("/plain").status_code == 200
    assert client_of(app).post("/plain").status_code == 200


AMBIGUOUS = [
    "/admin\n",
    "/admin\r",
    "/admin\x00",
    "/admin\t",
    "/admin\x7f",
    "/admin\x85",
    "/admin\u2028",
    "/admin\u2029",
    "/admin\ufffd",
    "/admin\\",
    "\\admin",
    "/\\admin",
    "//admin",
    "/admin//",
    "//",
    "/static//page.txt",
    "/static/../admin",
    "/./admin",
    "/admin/.",
    "/admin/..",
    "/admin/./",
    "/x/../admin",
    "/..",
    "/.",
    "admin",
    "*",
    "",
    "https://testserver/admin",
    "/admin/\x01",
    "/a\ud800",
]


@pytest.mark.parametrize("path", AMBIGUOUS, ids=ascii)
@pytest.mark.anyio
async def test_a_path_that_could_be_read_differently_is_refused_before_any_rule(path: str) -> None:
    asked: list[object] = []
    kit, app = new_kit(), FastAPI()
    guard = RouterGuard(protect=[Rule("/**", allow=lambda session: asked.append(session) or True)])
    kit.install(app, guard=guard)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def anything(path: str) -> None:
        asked.append(path)

    for method in ("GET", "POST", "OPTIONS"):
        assert await status(app, path, method=method, cookie=token_of(kit, ADMIN)) == 400
    assert asked == []


def test_a_path_that_is_refused_is_told_so() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard())

    assert client_of(app).get("/admin%0A").json() == {"detail": "Ambiguous path"}


@pytest.mark.parametrize(
    "path", ["/...", "/..a", "/.a", "/a.", "/a..b", "/.well-known/x", "/a b", "/é", "/日本", "/a;b", "/%", "/~", "/*"]
)
@pytest.mark.anyio
async def test_a_path_that_is_merely_odd_is_served(path: str) -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin/**")]))

    @app.get("/{path:path}")
    async def anything(path: str) -> None: ...

    assert await status(app, path) == 200


@pytest.mark.parametrize("path", AMBIGUOUS, ids=ascii)
@pytest.mark.anyio
async def test_without_a_guard_no_path_is_anybody_s_business(path: str) -> None:
    app = Starlette()
    new_kit().install(app)

    assert await status(app, path) == 404


@pytest.mark.parametrize(
    "path",
    [
        "/admin", "/admin/", "/admin/x", "/admin%0A", "/admin%0a", "/%61dmin", "/admin%2F", "/admin%2Fx", "//admin",
        "/./admin", "/x/../admin", "/admin/../admin", "/admin%00", "/admin%5C", "/admin%C2%85", "/admin/.", "/admin;x",
        "/admin%E2%80%A8", "/admin%FF", "/static/%2e%2e/admin", "/static/..%2fadmin", "/admin//x", "/ADMIN", "/admin%20",
    ],
)  # fmt: skip
@pytest.mark.anyio
async def test_a_protected_path_spelled_in_an_odd_way_never_answers_what_it_would(path: str) -> None:
    def build(guard: RouterGuard | None) -> FastAPI:
        app = FastAPI()

        @app.get("/admin")
        @app.get("/admin/{rest:path}")
        async def admin(rest: str = "") -> str:
            return "secret"

        new_kit().install(app, guard=guard)
        return app

    decoded = unquote(path)  # as uvicorn does, once
    bare = await status(build(None), decoded)
    guarded = await ask(build(RouterGuard(protect=[Rule("/admin/**", role="admin")])), decoded)

    assert guarded[0]["status"] in ({400, 401} if bare == 200 else {400, 401, 404, 307})
    assert b"secret" not in guarded[1]["body"]


# root_path


@pytest.mark.parametrize(
    ("root_path", "path", "expected"),
    [
        ("", "/admin", 401),
        ("/app", "/admin", 401),
        ("/app", "/app/admin", 401),
        ("/app", "/app/admin/", 401),
        ("/app", "/app/open", 200),
        ("/app", "/open", 200),
        ("/app/", "/app/admin", 404),
        ("/app", "/application/admin", 404),
        ("/app", "/app/app/admin", 404),
        ("/admin", "/admin/open", 200),
        ("/admin", "/admin/admin", 401),
        ("/admin", "/admin/", 404),
        ("/ad", "/admin", 401),
        ("/admin/x", "/admin", 401),
    ],
)
@pytest.mark.anyio
async def test_rules_see_what_the_router_sees_under_stripping_and_other_proxies(
    root_path: str, path: str, expected: int
) -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin/**")]))

    @app.get("/open")
    @app.get("/admin")
    @app.get("/admin/{rest:path}")
    async def endpoint() -> None: ...

    assert await status(app, path, root_path=root_path) == expected


@pytest.mark.parametrize("root_path", ["", "/a", "/a/", "/admin", "/", "//", "/admin/x", "admin"])
@pytest.mark.parametrize(
    "path", ["/admin", "/admin/x", "/a/admin", "/a/a/admin", "/admin/admin", "/admin/admin/x", "/aadmin"]
)
@pytest.mark.anyio
async def test_under_any_prefix_the_router_never_answers_what_rules_protect(root_path: str, path: str) -> None:
    answered: list[str] = []
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin/**")]))

    @app.get("/admin")
    @app.get("/admin/{rest:path}")
    async def endpoint(rest: str = "") -> None:
        answered.append(rest)

    assert await status(app, path, root_path=root_path) != 200
    assert answered == []
