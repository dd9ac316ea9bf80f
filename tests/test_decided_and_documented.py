"""Small promises of the guard and its documentation that nothing else would notice."""

from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import RouterGuard, Rule, Session
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

SCHEME = "session_cookie"


async def endpoint() -> None: ...


def application(guard: RouterGuard, *paths: str) -> FastAPI:
    app = FastAPI()
    for path in paths:
        app.add_api_route(path, endpoint)
    new_kit().install(app, guard=guard)
    return app


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("/a/*", methods=["GET"], role="admin"), Rule("/a/x", public=True)],
        [Rule("/a/**", role="admin"), Rule("/a/x", public=True), Rule("/a/*", public=True)],
        [Rule("/a/*/y", role="boss"), Rule("/a/**", role="admin"), Rule("/a/x", public=True)],
    ],
)
def test_attack_a_rule_that_another_hides_is_not_documented_as_open(rules: list[Rule]) -> None:
    documented = application(RouterGuard(rules), "/a/{x}").openapi()["paths"]["/a/{x}"]["get"]

    assert documented["security"] == [{SCHEME: ["role:admin"]}]
    assert "description" not in documented


def test_attack_a_rule_hidden_for_some_paths_is_not_documented_as_open() -> None:
    """Both are about some paths of the template only, and the second never decides about any."""
    guard = RouterGuard([Rule("/a/x", role="admin"), Rule("/a/x", public=True)], global_protect=True)
    documented = application(guard, "/a/{x}").openapi()["paths"]["/a/{x}"]["get"]

    assert documented["security"] == [{SCHEME: ["role:admin"]}, {SCHEME: []}]


@pytest.mark.parametrize("root_path", ["/api//v1", "/api/../v1", "/api/./v1", "/api\\v1", "/api\nv1"])
@pytest.mark.parametrize("way", ["gate", "dependency"])
def test_attack_a_prefix_that_parts_of_the_stack_read_differently_is_refused(root_path: str, way: str) -> None:
    """The rules see the path below the prefix, a proxy or a mounted application may see the whole."""
    guard = RouterGuard([Rule("/page", public=True)])
    app, router = FastAPI(), APIRouter(dependencies=[Depends(guard)] if way == "dependency" else [])
    router.add_api_route("/page", endpoint)
    app.include_router(router)
    new_kit().install(app, guard=guard if way == "gate" else None)
    statuses: list[int] = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": f"{root_path}/page", "root_path": root_path, "query_string": b"", "headers": [(b"host", b"x")],
        "server": ("x", 443), "client": ("127.0.0.1", 1),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(StopIteration):
        app(scope, receive, send).__await__().send(None)
    assert statuses[0] == 400


def test_a_plain_prefix_is_taken_off() -> None:
    app = application(RouterGuard([Rule("/page", role="admin")], global_protect=True), "/page")
    kit = new_kit()
    client = signed_in(client_of(app, root_path="/api"), kit, Session(user_id="ada"))

    assert client.get("/api/page").status_code == 403
    assert client.get("/page").status_code == 403
