"""The gate over a whole application: whatever answers, and however it is asked for, the rules stand before it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastapi_sessionkit import (
    CookieSettings,
    Forbidden,
    MemoryStore,
    NotAuthenticated,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    SessionTooLarge,
    get_session,
    require_role,
)
from fastapi_sessionkit.testing import signed_in

SECRET = "a-secret-for-tests-that-is-long-enough"
SITE = "https://testserver"
ADMIN = Session(user_id="root", role="admin")
CUSTOMER = Session(user_id="ada", role="customer")
NAVIGATION = {"Sec-Fetch-Mode": "navigate"}

Message = dict[str, Any]


def new_kit(**options: Any) -> SessionKit[Session]:
    return SessionKit(secret_key=SECRET, **options)


def client_of(app: Any, **options: Any) -> TestClient:
    return TestClient(app, base_url=SITE, follow_redirects=False, **options)


def token_of(kit: SessionKit[Session], session: Session) -> bytes:
    client = signed_in(client_of(None), kit, session)
    return b"; ".join(f"{cookie.name}={cookie.value}".encode() for cookie in client.cookies.jar)


async def never() -> Message:
    raise AssertionError("the body was read")


async def ask(
    app: Any,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    cookie: bytes = b"",
    receive: Callable[[], Awaitable[Message]] = never,
    **scope: Any,
) -> list[Message]:
    """What an ASGI application sends for a scope that no client library has tidied up."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    base = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("testserver", 443),
        "headers": [(b"host", b"testserver"), *raw, *([(b"cookie", cookie)] if cookie else [])],
    }  # fmt: skip
    await app({**base, **scope}, receive, send)
    return sent


async def status(app: Any, path: str, **how: Any) -> int:
    answer: int = (await ask(app, path, **how))[0]["status"]
    return answer


# Everything that an application can answer with


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<p>front</p>")
    (tmp_path / "page.txt").write_text("page")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_text("<p>sub</p>")
    return tmp_path


def everything(files: Path, guard: RouterGuard | None, kit: SessionKit[Session] | None = None) -> FastAPI:
    app = FastAPI()
    sub = FastAPI()
    inner, nested = APIRouter(prefix="/inner"), APIRouter(prefix="/nested")

    @app.get("/api")
    @app.get("/items/{number}")
    @app.get("/slashed/")
    @nested.get("/deep")
    @sub.get("/page")
    async def endpoint() -> str:
        return "secret"

    @app.post("/api")
    async def post(body: dict[str, int]) -> str:
        return "secret"

    async def plain(request: Request) -> Response:
        return PlainTextResponse("secret")

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("secret")(scope, receive, send)

    inner.include_router(nested)
    app.include_router(inner, prefix="/outer")
    app.add_route("/plain", plain, methods=["GET", "POST"])
    app.mount("/sub", sub)
    app.mount("/bare", bare)
    app.mount("/static", StaticFiles(directory=files, html=True))
    app.router.routes.append(Host("other.example", Router([Route("/hosted", plain)])))
    app.frontend("/front", directory=files)
    (kit or new_kit()).install(app, guard=guard)
    return app


ANSWERS = [
    "/api",
    "/items/7",
    "/slashed/",
    "/outer/inner/nested/deep",
    "/plain",
    "/sub/page",
    "/sub/docs",
    "/sub/openapi.json",
    "/bare",
    "/bare/x/y",
    "/static/page.txt",
    "/static/",
    "/static/sub/",
    "/docs",
    "/docs/oauth2-redirect",
    "/redoc",
    "/openapi.json",
    "/front/",
    "/front/page.txt",
]


@pytest.mark.parametrize("path", ANSWERS)
def test_whatever_answers_is_behind_the_gate(files: Path, path: str) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(protect=[Rule("/**", role="admin")]), kit)

    assert client_of(everything(files, None)).get(path).status_code in {200, 307}
    assert client_of(app).get(path).status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get(path).status_code == 403
    assert signed_in(client_of(app), kit, ADMIN).get(path).status_code in {200, 307}


@pytest.mark.parametrize("path", ANSWERS)
def test_global_protection_is_before_whatever_answers(files: Path, path: str) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(global_protect=True), kit)

    assert client_of(app).get(path).status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get(path).status_code in {200, 307}


@pytest.mark.parametrize("path", ["/nowhere", "/items/7/more", "/sub/nowhere", "/static/nowhere.txt", "/front/no.txt"])
def test_unknown_paths_tell_nobody_that_they_are_unknown(files: Path, path: str) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(global_protect=True), kit)

    assert client_of(app).get(path).status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get(path).status_code == 404


def test_a_method_that_is_not_allowed_tells_nobody_so(files: Path) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(global_protect=True), kit)

    assert client_of(app).delete("/api").status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).delete("/api").status_code == 405


def test_a_host_route_is_behind_the_gate(files: Path) -> None:
    app = everything(files, RouterGuard(protect=[Rule("/hosted")]))

    assert client_of(everything(files, None)).get("/hosted", headers={"Host": "other.example"}).status_code == 200
    assert client_of(app).get("/hosted", headers={"Host": "other.example"}).status_code == 401


def test_open_paths_stay_open(files: Path) -> None:
    app = everything(files, RouterGuard(protect=[Rule("/api")], global_protect=True, exclude=["/static/**", "/docs"]))

    assert client_of(app).get("/static/page.txt").text == "page"
    assert client_of(app).get("/docs").status_code == 200
    assert client_of(app).get("/openapi.json").status_code == 401


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
async def test_a_path_that_could_be_read_differently_is_refused_before_rules_are_looked_at(path: str) -> None:
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


# Order and time


def test_routes_that_are_added_late_are_behind_the_gate() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/late/**")]))
    late = APIRouter(prefix="/late")
    app.include_router(late)
    client = client_of(app)
    assert client.get("/late/b").status_code == 401

    @app.get("/late/a")
    @late.get("/b")
    async def endpoint() -> None: ...

    app.mount("/late/c", StaticFiles(directory="."))

    for path in ("/late/a", "/late/b", "/late/c/README.md"):
        assert client.get(path).status_code == 401


@pytest.mark.parametrize("install_first", [True, False])
def test_the_gate_is_inside_every_other_middleware_whatever_the_order(install_first: bool) -> None:
    """What an outer middleware makes of the path is what the router will see, so that is what is decided about."""
    kit, app = new_kit(), FastAPI()
    guard = RouterGuard(protect=[Rule("/admin/**")])
    if install_first:
        kit.install(app, guard=guard)

    @app.get("/admin/x")
    async def endpoint() -> None: ...

    @app.middleware("http")
    async def rewriting(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.scope["path"] = request.scope["path"].replace("/alias", "/admin")
        return await call_next(request)

    if not install_first:
        kit.install(app, guard=guard)

    assert client_of(app).get("/alias/x").status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get("/alias/x").status_code == 200


def test_with_base_http_middleware_around_cookies_and_refusals_come_through() -> None:
    kit, app = new_kit(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/admin/**", role="admin")], login_path="/login"))
    seen: list[int] = []

    class Outer(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            response = await call_next(request)
            seen.append(response.status_code)
            return response

    @app.post("/login")
    async def login(request: Request) -> None:
        kit.set_session(request, CUSTOMER)

    app.add_middleware(Outer)
    client = client_of(app)

    assert client.get("/admin/x").status_code == 401
    assert client.get("/admin/x", headers=NAVIGATION).headers["location"] == "/login?next=/admin/x"
    assert "set-cookie" in client.post("/login").headers
    assert client.get("/admin/x").status_code == 403
    assert seen == [401, 302, 200, 403]


# The body


@pytest.mark.parametrize(("headers", "expected"), [({}, 401), (NAVIGATION, 303), ({"HX-Request": "true"}, 401)])
@pytest.mark.anyio
async def test_the_body_of_somebody_who_is_not_let_in_is_never_read(headers: dict[str, str], expected: int) -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/upload")], login_path="/login"))

    @app.post("/upload")
    async def upload(body: dict[str, int]) -> None: ...

    assert await status(app, "/upload", method="POST", headers=headers, receive=never) == expected


@pytest.mark.anyio
async def test_the_body_of_a_forged_request_is_never_read() -> None:
    kit, app = new_kit(), FastAPI()
    kit.install(app)

    @app.post("/upload")
    async def upload(body: dict[str, int]) -> None: ...

    forged = {"Origin": "https://evil.example"}

    assert await status(app, "/upload", method="POST", headers=forged, cookie=token_of(kit, ADMIN)) == 403


def test_malformed_json_of_somebody_who_is_not_let_in_is_401_and_not_422() -> None:
    kit, app = new_kit(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/upload")]))

    @app.post("/upload")
    async def upload(body: dict[str, int]) -> None: ...

    assert client_of(app).post("/upload", content=b"{").status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).post("/upload", content=b"{").status_code == 422


# Sub-applications


def test_a_sub_application_without_a_kit_uses_the_one_around_it() -> None:
    kit, app, sub = new_kit(), FastAPI(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/sub/admin/**", role="admin")]))

    @sub.get("/who")
    async def who(session: Annotated[Session | None, Depends(get_session)]) -> str:
        return session.user_id if session else "nobody"

    @sub.get("/roles", dependencies=[Depends(require_role("admin"))])
    @sub.get("/admin/x")
    async def admin() -> None: ...

    app.mount("/sub", sub)
    customer = signed_in(client_of(app), kit, CUSTOMER)

    assert client_of(app).get("/sub/who").json() == "nobody"
    assert customer.get("/sub/who").json() == "ada"
    assert customer.get("/sub/roles").status_code == 403
    assert customer.get("/sub/admin/x").status_code == 403
    assert signed_in(client_of(app), kit, ADMIN).get("/sub/admin/x").status_code == 200


def test_a_sub_application_with_a_kit_of_its_own_has_its_own_sessions_and_its_own_rules() -> None:
    outer, app = new_kit(), FastAPI()
    inner = SessionKit(secret_key=SECRET, name="staff", cookie=CookieSettings(name="staff"))
    sub = FastAPI()
    outer.install(app)
    inner.install(sub, guard=RouterGuard(protect=[Rule("/admin/**", role="admin")], login_path="/login"))

    @sub.get("/who")
    @sub.get("/admin/who")
    @app.get("/who")
    async def who(session: Annotated[Session | None, Depends(get_session)]) -> str:
        return session.user_id if session else "nobody"

    app.mount("/sub", sub)
    client = signed_in(signed_in(client_of(app), outer, CUSTOMER), inner, ADMIN)

    assert client.get("/who").json() == "ada"
    assert client.get("/sub/who").json() == "root"
    assert client.get("/sub/admin/who").json() == "root"
    assert client.get("/who").json() == "ada"
    only_outer = signed_in(client_of(app), outer, ADMIN)
    assert only_outer.get("/sub/admin/who").status_code == 401
    to_login = only_outer.get("/sub/admin/who", headers=NAVIGATION).headers["location"]
    assert to_login == "/sub/login?next=/sub/admin/who"


def test_the_outer_gate_stands_before_a_sub_application_with_a_gate_of_its_own() -> None:
    outer, app, sub = new_kit(), FastAPI(), FastAPI()
    inner = SessionKit(secret_key=SECRET, name="staff", cookie=CookieSettings(name="staff"))
    outer.install(app, guard=RouterGuard(protect=[Rule("/sub/**")]))
    inner.install(sub, guard=RouterGuard(protect=[Rule("/page")]))

    @sub.get("/page")
    async def page() -> None: ...

    app.mount("/sub", sub)

    assert signed_in(client_of(app), inner, ADMIN).get("/sub/page").status_code == 401
    assert signed_in(client_of(app), outer, ADMIN).get("/sub/page").status_code == 401
    both = signed_in(signed_in(client_of(app), outer, ADMIN), inner, ADMIN)
    assert both.get("/sub/page").status_code == 200


def test_the_same_kit_on_both_applications_is_one_session() -> None:
    kit, app, sub = new_kit(backend=MemoryStore()), FastAPI(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/sub/**")]))
    kit.install(sub, guard=RouterGuard(protect=[Rule("/admin", role="admin")]))

    @sub.get("/admin")
    @sub.get("/page")
    async def page(session: Annotated[Session, Depends(get_session)]) -> str:
        return session.user_id

    @sub.post("/login")
    async def login(request: Request) -> None:
        kit.set_session(request, ADMIN)

    app.mount("/sub", sub)
    customer = signed_in(client_of(app), kit, CUSTOMER)

    assert client_of(app).get("/sub/page").status_code == 401
    assert customer.get("/sub/page").json() == "ada"
    assert customer.get("/sub/admin").status_code == 403
    response = customer.post("/sub/login")
    assert len(response.headers.get_list("set-cookie")) == 1
    assert customer.get("/sub/admin").json() == "root"


def test_a_plain_starlette_application_is_guarded_like_any_other() -> None:
    async def page(request: Request) -> Response:
        session = await kit.get_session(request)
        return PlainTextResponse(session.user_id if session else "nobody")

    kit = new_kit()
    app = Starlette(routes=[Route("/open", page), Mount("/admin", routes=[Route("/x", page)])])
    kit.install(app, guard=RouterGuard(protect=[Rule("/admin/**", role="admin")], login_path="/login"))

    assert client_of(app).get("/open").text == "nobody"
    assert client_of(app).get("/admin/x").status_code == 401
    redirect = client_of(app).get("/admin/x", headers=NAVIGATION)
    assert (redirect.status_code, redirect.headers["location"]) == (302, "/login?next=/admin/x")
    assert signed_in(client_of(app), kit, CUSTOMER).get("/admin/x").status_code == 403
    assert signed_in(client_of(app), kit, ADMIN).get("/admin/x").text == "root"


# WebSockets


def socket_app(
    guard: RouterGuard | None, *, router_guard: RouterGuard | None = None
) -> tuple[FastAPI, SessionKit[Session]]:
    kit, app = new_kit(), FastAPI()
    router = APIRouter(dependencies=[Depends(router_guard)] if router_guard else [])

    @router.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()

    app.include_router(router)
    kit.install(app, guard=guard)
    return app, kit


GUARDED = RouterGuard(protect=[Rule("/ws", role="admin")], login_path="/login")
WAYS: dict[str, Any] = {"gate": {"guard": GUARDED}, "router": {"guard": None, "router_guard": GUARDED}}


async def connect() -> Message:
    return {"type": "websocket.connect"}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize(("who", "expected"), [(None, 401), (CUSTOMER, 403)])
@pytest.mark.anyio
async def test_a_refused_handshake_is_answered_where_the_server_can(
    way: str, who: Session | None, expected: int
) -> None:
    app, kit = socket_app(**WAYS[way])
    cookie = token_of(kit, who) if who else b""

    sent = await ask(
        app, "/ws", cookie=cookie, type="websocket", scheme="wss", subprotocols=[], receive=connect,
        extensions={"websocket.http.response": {}},
    )  # fmt: skip

    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == expected


@pytest.mark.parametrize("headers", [{}, NAVIGATION, {"Accept": "text/html"}, {"HX-Request": "true"}])
@pytest.mark.anyio
async def test_a_refused_handshake_is_told_of_no_page_to_go_to(headers: dict[str, str]) -> None:
    app, _ = socket_app(GUARDED)

    sent = await ask(
        app,
        "/ws",
        headers=headers,
        type="websocket",
        scheme="wss",
        subprotocols=[],
        receive=connect,
        extensions={"websocket.http.response": {}},
    )

    assert sent[0]["status"] == 401
    assert not {b"location", b"hx-redirect"} & dict(sent[0]["headers"]).keys()


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("scope", [{}, {"extensions": {}}, {"extensions": None}], ids=["without", "empty", "none"])
@pytest.mark.parametrize("who", [None, CUSTOMER])
@pytest.mark.anyio
async def test_a_refused_handshake_is_closed_where_the_server_can_not_answer(
    way: str, scope: Message, who: Session | None
) -> None:
    app, kit = socket_app(**WAYS[way])
    cookie = token_of(kit, who) if who else b""

    sent = await ask(
        app, "/ws", cookie=cookie, type="websocket", scheme="wss", subprotocols=[], receive=connect, **scope
    )

    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("way", list(WAYS))
def test_a_handshake_of_who_may_is_let_in(way: str) -> None:
    app, kit = socket_app(**WAYS[way])

    with signed_in(client_of(app), kit, ADMIN).websocket_connect("wss://testserver/ws") as socket:
        assert socket.receive_text() == "in"


def test_an_unknown_websocket_is_behind_the_gate() -> None:
    app, _ = socket_app(RouterGuard(global_protect=True))

    with pytest.raises(WebSocketDisconnect), client_of(app).websocket_connect("wss://testserver/nowhere"):
        pass


@pytest.mark.anyio
async def test_a_websocket_at_an_ambiguous_path_is_refused() -> None:
    app, kit = socket_app(RouterGuard())

    sent = await ask(
        app, "/ws\n", cookie=token_of(kit, ADMIN), type="websocket", scheme="wss", subprotocols=[], receive=connect
    )

    assert sent == [{"type": "websocket.close", "code": 1008}]


# CORS


def cors_app(*, middleware: bool) -> tuple[FastAPI, SessionKit[Session]]:
    kit = new_kit(trusted_origins=["https://front.example"])
    app = FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/api/**", role="admin")]))
    if middleware:
        app.add_middleware(
            CORSMiddleware, allow_origins=["https://front.example"], allow_methods=["*"], allow_credentials=True
        )

    @app.post("/api/x")
    async def endpoint() -> str:
        return "secret"

    @app.options("/api/own")
    async def own() -> Response:
        return JSONResponse("secret", headers={"Access-Control-Allow-Origin": "https://front.example"})

    return app, kit


PREFLIGHT = {"Origin": "https://front.example", "Access-Control-Request-Method": "POST"}


def test_a_preflight_is_answered_by_the_cors_middleware() -> None:
    app, _ = cors_app(middleware=True)

    response = client_of(app).options("/api/x", headers=PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://front.example"


def test_a_refusal_can_be_read_by_a_trusted_page_elsewhere() -> None:
    app, kit = cors_app(middleware=True)
    headers = {"Origin": "https://front.example", "Sec-Fetch-Site": "cross-site"}
    customer = signed_in(client_of(app), kit, CUSTOMER)

    for client, expected in ((client_of(app), 401), (customer, 403)):
        response = client.post("/api/x", headers=headers)
        assert response.status_code == expected
        assert response.headers["access-control-allow-origin"] == "https://front.example"


def test_without_the_middleware_a_preflight_reaches_a_route_for_options_alone() -> None:
    app, _ = cors_app(middleware=False)

    response = client_of(app).options("/api/own", headers=PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://front.example"
    assert client_of(app).options("/api/x", headers=PREFLIGHT).status_code == 405
    assert client_of(app).options("/api/nowhere", headers=PREFLIGHT).status_code == 404


def test_a_preflight_reaches_the_cors_middleware_of_a_mounted_application() -> None:
    app, _ = cors_app(middleware=False)
    inner = FastAPI()
    inner.add_middleware(
        CORSMiddleware, allow_origins=["https://front.example"], allow_methods=["*"], allow_headers=["*"]
    )
    inner.add_api_route("/x", lambda: "secret")
    app.mount("/api/inner", inner)

    response = client_of(app).options("/api/inner/x", headers=PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://front.example"


@pytest.mark.parametrize("inner", ["asgi", "nested asgi", "any method", "options too"])
def test_what_looks_like_a_preflight_runs_nothing_that_does_not_look_at_the_method(inner: str) -> None:
    app, _ = cors_app(middleware=False)
    ran: list[str] = []

    async def anything(scope: Scope, receive: Receive, send: Send) -> None:
        ran.append(scope["path"])
        await PlainTextResponse("secret")(scope, receive, send)

    def endpoint() -> str:
        ran.append("endpoint")
        return "secret"

    if inner == "asgi":
        app.mount("/api/legacy", anything)
    elif inner == "nested asgi":
        app.mount("/api/legacy", Starlette(routes=[Mount("/", app=anything)]))
    elif inner == "any method":
        app.router.routes.append(Route("/api/legacy/x", anything_class(anything)))
    else:
        app.add_api_route("/api/legacy/x", endpoint, methods=["GET", "OPTIONS"])
    response = client_of(app).options("/api/legacy/x", headers=PREFLIGHT)

    assert response.status_code == 401
    assert ran == []


def anything_class(app: ASGIApp) -> Any:
    """An endpoint that is an ASGI application: Starlette routes every method to it."""

    class Anything:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

    return Anything()


def test_what_looks_like_a_preflight_runs_nothing_behind_the_guard_of_a_mounted_router() -> None:
    guarded = APIRouter(dependencies=[Depends(RouterGuard(protect=[Rule("/**", role="admin")]))])
    guarded.api_route("/secret", methods=["GET", "OPTIONS"])(lambda: "secret")
    guarded.options("/alone")(lambda: "nothing else")
    app = FastAPI()
    SessionKit(secret_key=SECRET).install(app)
    app.mount("/sub", guarded)
    client = TestClient(app, base_url="https://testserver")

    assert client.options("/sub/secret", headers=PREFLIGHT).status_code == 401
    assert client.options("/sub/alone", headers=PREFLIGHT).status_code == 200


def test_what_looks_like_a_preflight_does_not_reach_what_answers_unknown_paths() -> None:
    app = FastAPI()
    SessionKit(secret_key=SECRET).install(app, guard=RouterGuard(global_protect=True))
    app.router.default = PlainTextResponse("secret")

    client = TestClient(app, base_url="https://testserver")

    assert client.options("/unknown", headers=PREFLIGHT).status_code == 401


@pytest.mark.parametrize("missing", list(PREFLIGHT))
def test_options_that_is_no_preflight_is_behind_the_gate(missing: str) -> None:
    app, _ = cors_app(middleware=False)
    headers = {name: value for name, value in PREFLIGHT.items() if name != missing}

    assert client_of(app).options("/api/own", headers=headers).status_code == 401


def test_a_get_that_looks_like_a_preflight_is_behind_the_gate() -> None:
    app, _ = cors_app(middleware=False)

    assert client_of(app).get("/api/x", headers=PREFLIGHT).status_code == 401


def test_a_preflight_of_who_may_see_it_has_its_body() -> None:
    app, kit = cors_app(middleware=False)

    assert signed_in(client_of(app), kit, ADMIN).options("/api/own", headers=PREFLIGHT).json() == "secret"


# Exception handlers


@pytest.mark.parametrize("way", ["gate", "router"])
@pytest.mark.parametrize("key", ["class", "base", "status"])
def test_the_application_s_exception_handlers_see_what_the_guard_refuses(way: str, key: str) -> None:
    kit, app = new_kit(), FastAPI()
    guard = RouterGuard(protect=[Rule("/admin/**", role="admin")])
    kit.install(app, guard=guard if way == "gate" else None)
    seen: list[type] = []

    async def handler(request: Request, exc: Exception) -> Response:
        seen.append(type(exc))
        return PlainTextResponse("mine", status_code=418)

    keys: dict[str, list[Any]] = {"class": [NotAuthenticated, Forbidden], "base": [HTTPException], "status": [401, 403]}
    for each in keys[key]:
        app.add_exception_handler(each, handler)

    @app.get("/admin/x", dependencies=[Depends(guard)] if way == "router" else [])
    async def endpoint() -> None: ...

    assert client_of(app).get("/admin/x").status_code == 418
    assert signed_in(client_of(app), kit, CUSTOMER).get("/admin/x").text == "mine"
    assert seen == [NotAuthenticated, Forbidden]


def test_an_exception_handler_that_is_added_late_is_used() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin")]))

    @app.exception_handler(NotAuthenticated)
    def handler(request: Request, exc: NotAuthenticated) -> Response:
        return PlainTextResponse("mine", status_code=418)

    assert client_of(app).get("/admin").text == "mine"


@pytest.mark.parametrize("way", ["gate", "router"])
def test_a_handler_for_http_exceptions_does_not_turn_a_redirect_into_a_page(way: str) -> None:
    app = FastAPI()
    guard = RouterGuard(protect=[Rule("/admin")], login_path="/login")
    new_kit().install(app, guard=guard if way == "gate" else None)

    @app.exception_handler(HTTPException)
    async def page(request: Request, exc: HTTPException) -> Response:
        return PlainTextResponse("an error page", status_code=exc.status_code)

    @app.get("/admin", dependencies=[Depends(guard)] if way == "router" else [])
    async def endpoint() -> None: ...

    response = client_of(app).get("/admin", headers=NAVIGATION)

    assert (response.status_code, response.headers.get("location")) == (302, "/login?next=/admin")


def test_a_handler_for_every_exception_leaves_refusals_alone() -> None:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin")]))

    @app.exception_handler(Exception)
    async def oops(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("oops", status_code=500)

    assert client_of(app).get("/admin").status_code == 401


def test_a_handler_for_every_exception_hides_no_failed_commit_from_the_server_s_log() -> None:
    class Cart(Session):
        items: list[str] = []  # noqa: RUF012 - Pydantic copies it

    kit, app = SessionKit(Cart, secret_key=SECRET), FastAPI()
    kit.install(app)

    @app.exception_handler(Exception)
    async def oops(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("oops", status_code=500)

    @app.post("/fill")
    async def fill(session: Annotated[Cart, Depends(get_session)]) -> None:
        session.items.append("x" * 5_000)

    with pytest.raises(SessionTooLarge):
        signed_in(client_of(app), kit, Cart(user_id="u")).post("/fill")
    quiet = signed_in(client_of(app, raise_server_exceptions=False), kit, Cart(user_id="u"))
    assert (quiet.post("/fill").status_code, quiet.post("/fill").text) == (500, "oops")


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
async def test_whatever_the_prefix_the_router_never_answers_what_the_rules_protect(root_path: str, path: str) -> None:
    answered: list[str] = []
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/admin/**")]))

    @app.get("/admin")
    @app.get("/admin/{rest:path}")
    async def endpoint(rest: str = "") -> None:
        answered.append(rest)

    assert await status(app, path, root_path=root_path) != 200
    assert answered == []


# The gate and the router's dependency say the same


class Body(BaseModel):
    number: int


DECISIONS = RouterGuard(
    protect=[
        Rule("/r/open", public=True),
        Rule("/r/admin/**", role="admin", redirect_to="/r/no"),
        Rule("/r/write", methods=["POST"], permission="write"),
        Rule("/r/raising", allow=lambda _: 1 / 0),
        Rule("/r/*"),
    ],
    login_path="/login",
    global_protect=True,
    exclude=["/r/out/**"],
)


def guarded_by(way: str, kit: SessionKit[Session]) -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/r", dependencies=[Depends(DECISIONS)] if way == "router" else [])

    @router.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "OPTIONS"])
    async def anything(path: str) -> str:
        return path

    outer = APIRouter()
    outer.include_router(router)
    app.include_router(outer)
    kit.install(app, guard=DECISIONS if way == "gate" else None)
    return app


@pytest.mark.parametrize("session", [None, CUSTOMER, ADMIN, Session(user_id="w", permissions=("write",))])
@pytest.mark.parametrize(
    "path", ["/r/open", "/r/admin", "/r/admin/x/", "/r/write", "/r/out/x", "/r/raising", "/r/any", "/r/no"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "headers", [{}, NAVIGATION, {"HX-Request": "true"}, PREFLIGHT], ids=["json", "browser", "htmx", "cors"]
)
def test_the_gate_and_the_router_s_dependency_give_the_same_answer(
    session: Session | None, path: str, method: str, headers: dict[str, str]
) -> None:
    answers = []
    for way in ("gate", "router"):
        kit = new_kit(trusted_origins=["https://front.example"])
        client = client_of(guarded_by(way, kit))
        if session is not None:
            signed_in(client, kit, session)
        response = client.request(method, path, headers=headers)
        told = {name: response.headers.get(name) for name in ("location", "hx-redirect", "www-authenticate", "vary")}
        answers.append((response.status_code, response.content, told))

    assert answers[0] == answers[1]


def test_a_router_s_guard_leaves_other_routes_alone() -> None:
    app = guarded_by("router", new_kit())

    @app.get("/elsewhere")
    async def elsewhere() -> None: ...

    assert client_of(app).get("/elsewhere").status_code == 200
    assert client_of(app).get("/r/any").status_code == 401


def test_a_router_s_guard_refuses_ambiguous_paths_too() -> None:
    assert client_of(guarded_by("router", new_kit())).get("/r/out//x").status_code == 400


def test_the_gate_and_a_router_s_guard_must_both_agree() -> None:
    kit, app = new_kit(), FastAPI()
    partners = RouterGuard(protect=[Rule("/partners/**", role="partner")])
    kit.install(app, guard=RouterGuard(protect=[Rule("/partners/**", permission="p")]))
    router = APIRouter(prefix="/partners", dependencies=[Depends(partners)])

    @router.get("/x")
    async def endpoint() -> None: ...

    app.include_router(router)

    for session, expected in (
        (Session(user_id="a", role="partner"), 403),
        (Session(user_id="b", permissions=("p",)), 403),
        (Session(user_id="c", role="partner", permissions=("p",)), 200),
    ):
        assert signed_in(client_of(app), kit, session).get("/partners/x").status_code == expected
