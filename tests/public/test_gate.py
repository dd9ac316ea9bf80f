"""Global protection lets requests through to endpoints that are marked ``@public``, and to no others."""

import logging
import re
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Match, Mount, Route, Router
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import RouterGuard, Rule, public, require_role
from tests.support import client_of, new_kit


@public
async def opened() -> str:
    return "open"


@public
def opened_in_a_thread(x: str = "") -> str:
    return "open"


async def closed() -> str:
    return "secret"


@public
async def open_plain(request: Request) -> Response:
    return PlainTextResponse("open")


async def closed_plain(request: Request) -> Response:
    return PlainTextResponse("secret")


@public
class OpenPage(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("open")


@public
async def open_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


async def closed_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def guarded(app: FastAPI, *rules: Rule, **settings: Any) -> TestClient:
    new_kit().install(app, guard=RouterGuard(rules, **{"global_protect": True, **settings}))
    return client_of(app)


def everything() -> FastAPI:
    app, sub, bare = FastAPI(), FastAPI(), FastAPI(openapi_url=None)
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")
    for router in (app, sub, inner):
        router.add_api_route("/open", opened)
        router.add_api_route("/closed", closed)
    app.add_api_route("/item/{number:int}", opened)
    app.add_api_route("/files/{path:path}", opened)
    app.add_api_route("/item/{name}", closed)
    app.add_api_route("/partial", partial(opened_in_a_thread, "x"))
    app.add_api_route("/method", opened, methods=["POST"])
    app.add_api_route("/method", closed, methods=["PUT"])
    app.add_route("/plain", open_plain)
    app.router.routes.append(Route("/page", OpenPage))
    app.add_route("/closed-plain", closed_plain)
    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    app.mount("/sub", sub)
    app.mount("/router", Router([Route("/open", open_plain), Route("/closed", closed_plain), Mount("/deep", bare)]))
    bare.add_api_route("/open", opened)
    return app


OPEN = ["/open", "/item/7", "/files/a/b.txt", "/partial", "/plain", "/page", "/v1/outer/inner/open", "/sub/open"]
OPEN += ["/router/open", "/router/deep/open", "/open/", "/sub/open/"]
CLOSED = [
    "/closed",
    "/item/seven",
    "/closed-plain",
    "/v1/outer/inner/closed",
    "/sub/closed",
    "/router/closed",
    "/nowhere",
]
CLOSED += [
    "/method",
    "/docs",
    "/sub/docs",
    "/sub",
    "/inner/open",
    "/OPEN",
    "/open/x",
    "/closed/",
    "/router/deep/nowhere",
]


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("again", [False, True])
def test_a_marked_endpoint_is_open(path: str, again: bool) -> None:
    client = guarded(everything())
    if again:
        client.get(path)

    assert client.get(path).status_code in {200, 307}


@pytest.mark.parametrize("path", CLOSED)
def test_whatever_is_not_marked_is_shut(path: str) -> None:
    client = guarded(everything())
    client.get("/open")

    assert client.get(path).status_code == 401


def test_the_mark_is_about_the_endpoint_s_own_methods() -> None:
    client = guarded(everything())

    assert client.post("/method").status_code == 200
    assert client.put("/method").status_code == 401
    assert client.get("/method").status_code == 401
    assert client.post("/open").status_code == 401


def test_a_route_for_other_methods_before_it_hides_no_mark() -> None:
    app, router = FastAPI(), APIRouter()
    app.add_api_route("/page", closed, methods=["PUT"])
    router.add_api_route("/page", closed, methods=["DELETE"])
    router.add_api_route("/page", opened, methods=["POST"])
    app.include_router(router)
    client = guarded(app)

    assert [client.request(method, "/page").status_code for method in ("PUT", "DELETE", "POST")] == [401, 401, 200]


@pytest.mark.parametrize("above", [False, True])
def test_the_mark_works_above_and_below_the_route(above: bool) -> None:
    app = FastAPI()

    if above:

        @public
        @app.get("/page")
        async def page() -> None: ...
    else:

        @app.get("/page")
        @public
        async def page() -> None: ...

    assert guarded(app).get("/page").status_code == 200


def test_a_class_and_a_wrapped_function_may_be_marked() -> None:
    app = FastAPI()

    @public
    class Answer:
        def __init__(self) -> None:
            self.x = 1

    @wraps(opened)
    async def wrapper() -> str:
        return await opened()

    app.add_api_route("/class", Answer, response_model=None)
    app.add_api_route("/wrapped", wrapper)
    client = guarded(app)

    assert [client.get(path).status_code for path in ("/class", "/wrapped")] == [200, 200]


def test_a_marked_websocket_is_open() -> None:
    app, router = FastAPI(), APIRouter(prefix="/chat")
    router.add_api_websocket_route("/{room}", open_socket)
    app.include_router(router)
    app.add_api_websocket_route("/closed", closed_socket)
    app.add_api_websocket_route("/twin", open_socket)
    app.add_api_route("/twin", closed)
    client = guarded(app)

    for path in ("/chat/1", "/twin"):
        with client.websocket_connect(f"wss://testserver{path}"):
            pass
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/closed"):
        pass
    assert client.get("/twin").status_code == 401


def test_routes_that_are_added_late_are_seen() -> None:
    app, router = FastAPI(), APIRouter()
    app.include_router(router)
    client = guarded(app)
    assert [client.get(path).status_code for path in ("/a", "/b")] == [401, 401]

    app.add_api_route("/a", opened)
    router.add_api_route("/b", opened)
    assert [client.get(path).status_code for path in ("/a", "/b")] == [200, 200]

    app.router.routes.insert(0, APIRoute("/a", closed))
    assert client.get("/a").status_code == 401


def test_where_a_rule_matches_the_rule_decides() -> None:
    client = guarded(everything(), Rule("/open", role="admin"), Rule("/plain", methods=["POST"]))

    assert client.get("/open").status_code == 401
    assert client.get("/plain").status_code == 200


def test_a_dependency_still_asks() -> None:
    app = FastAPI()
    app.add_api_route("/page", opened, dependencies=[Depends(require_role("admin"))])

    assert guarded(app).get("/page").status_code == 401


def test_the_mark_lifts_the_global_protection_of_a_router_s_guard() -> None:
    app = FastAPI()
    router = APIRouter(dependencies=[Depends(RouterGuard(global_protect=True))])
    router.add_api_route("/open", opened)
    router.add_api_route("/closed", closed)
    app.include_router(router, prefix="/r")
    new_kit().install(app)
    client = client_of(app)

    assert [client.get(path).status_code for path in ("/r/open", "/r/closed")] == [200, 401]


def test_the_mark_is_seen_below_a_prefix_that_a_proxy_takes_off() -> None:
    app, sub = FastAPI(), FastAPI()
    for each in (app, sub):
        each.add_api_route("/open", opened)
        each.add_api_route("/closed", closed)
    sub.root_path = "/elsewhere"  # so the mounted application looks for /sub/open, which it does not have
    app.mount("/sub", sub)
    new_kit().install(app, guard=RouterGuard(global_protect=True))
    client = client_of(app, root_path="/api")

    paths = ["/open", "/api/open", "/closed", "/api/closed", "/sub/open", "/api/sub/open"]
    assert [client.get(path).status_code for path in paths] == [200, 200, 401, 401, 401, 401]


def test_static_files_may_be_marked(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    app = FastAPI()
    app.mount("/open", public(StaticFiles(directory=tmp_path)))
    app.mount("/closed", StaticFiles(directory=tmp_path))
    client = guarded(app)

    assert [client.get(path).status_code for path in ("/open/a.txt", "/closed/a.txt")] == [200, 401]


# Who routes in a way of its own


class ByHeader(APIRoute):
    def matches(self, scope: Any) -> Any:
        match, child = super().matches(scope)
        return (match if (b"x-version", b"2") in scope["headers"] else Match.NONE), child


@pytest.mark.parametrize("included", [False, True])
def test_attack_a_route_that_looks_at_headers_does_not_open_another(included: bool) -> None:
    app = FastAPI()
    router = APIRouter(route_class=ByHeader)
    router.add_api_route("/page", opened)
    if included:
        app.include_router(router)
    else:
        app.router.routes.append(ByHeader("/page", opened))
    app.add_api_route("/page", closed)
    client = guarded(app)

    assert client.get("/page", headers={"x-version": "2"}).status_code in ({401} if included else {200})
    assert client.get("/page").status_code == 401


def test_attack_a_host_does_not_open_the_page_of_another() -> None:
    app = FastAPI()
    app.router.routes.append(Host("open.example", Router([Route("/page", open_plain)])))
    app.add_api_route("/page", closed)
    client = guarded(app)

    assert client.get("/page", headers={"host": "open.example"}).text == "open"
    assert client.get("/page").status_code == 401
    assert client.get("/page", headers={"host": "open.example"}).text == "open"


def test_attack_a_router_that_routes_in_its_own_way_opens_nothing() -> None:
    class Swapping(Router):
        async def app(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("secret")(scope, receive, send)

    app = FastAPI()
    app.mount("/odd", Swapping([Route("/page", open_plain)]))

    assert guarded(app).get("/odd/page").status_code == 401


def test_attack_an_odd_spelling_of_a_marked_path_is_refused() -> None:
    client = guarded(everything())

    assert [client.get(path).status_code for path in ("/open%0A", "/files/a//b", "/files/%2e%2e/x")] == [400, 400, 400]


def test_a_convertor_that_raises_is_no_error_of_the_gate() -> None:
    from starlette.convertors import CONVERTOR_TYPES, StringConvertor

    class Raising(StringConvertor):
        def convert(self, value: str) -> str:
            raise ValueError(value)

    CONVERTOR_TYPES["raising"] = Raising()
    try:
        app = FastAPI()
        app.add_api_route("/x/{value:raising}", opened)
        assert guarded(app).get("/x/1").status_code == 401
    finally:
        del CONVERTOR_TYPES["raising"]


# What is said about it


@pytest.mark.parametrize("path", ["/open", "/v1/outer/inner/open", "/sub/open"])
def test_openapi_says_that_it_is_open(path: str) -> None:
    app = everything()
    guarded(app)
    schema = app.openapi()["paths"]

    if path != "/sub/open":
        assert "security" not in schema[path]["get"]
        assert "security" in schema[path.replace("open", "closed")]["get"]


def reported(app: FastAPI, caplog: pytest.LogCaptureFixture, *rules: Rule) -> list[str]:
    with caplog.at_level(logging.WARNING), guarded(app, *rules):
        pass
    return [record.getMessage() for record in caplog.records if "@public" in record.getMessage()]


def test_a_mark_against_a_rule_is_reported_at_startup(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = reported(everything(), caplog, Rule("/open", role="admin"))

    assert line == (
        "GET /open is marked @public, but rule /open asks for role:admin there, and the rule decides: put a "
        "Rule(..., public=True) before it, or take the mark away"
    )


def test_a_mark_below_a_mount_against_a_rule_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = reported(everything(), caplog, Rule("/sub/open"))

    assert line.startswith("GET /sub/open is marked @public, but rule /sub/open asks for signed_in there")


def test_a_mark_against_a_rule_about_some_paths_names_them(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = reported(everything(), caplog, Rule("/item/7", role="admin"))

    assert line.startswith("GET /item/7 is marked @public, but rule /item/7 asks for role:admin there")


def test_a_mark_against_a_dependency_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/page", opened, dependencies=[Depends(require_role("admin"))])

    (line,) = reported(app, caplog)

    assert re.match(r"GET /page is marked @public, but a dependency asks for role:admin there", line)


def test_many_contradictions_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    for number in range(20):
        app.add_api_route(f"/a/{number}", opened)

    lines = reported(app, caplog, Rule("/a/**"))

    assert len(lines) == 6
    assert lines[-1] == "15 more endpoints are marked @public, and something asks for more there"


def test_a_rule_that_opens_is_no_contradiction(caplog: pytest.LogCaptureFixture) -> None:
    assert reported(everything(), caplog, Rule("/open", public=True)) == []


@pytest.mark.anyio
async def test_decide_may_be_told_of_the_mark() -> None:
    guard = RouterGuard([Rule("/a")], global_protect=True)

    assert (await guard.decide("GET", "/b", None, public=True)).reason == "the endpoint is marked @public"
    assert not (await guard.decide("GET", "/a", None, public=True)).allowed
    assert not (await guard.decide("GET", "/b", None)).allowed
