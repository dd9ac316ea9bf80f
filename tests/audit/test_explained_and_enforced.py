"""What the audit explains is what a real request gets: for every person, on applications that are put together at random."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import WebSocketDenialResponse

from fastapi_sessionkit import (
    ConfigurationError,
    Requirement,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    owner,
    permission,
    public,
    require,
    role,
    signed_in,
)
from fastapi_sessionkit.audit import Audit
from fastapi_sessionkit.testing import signed_in as sign_in
from tests.support import SITE, client_of, new_kit

PEOPLE = {
    "anonymous": None,
    "r=role:r,user:7": Session(user_id="7", role="r"),
    "s=role:s,permission:p,user:b": Session(user_id="b", roles=("s",), permissions=("p",)),
}
METHODS = ("GET", "HEAD", "POST", "DELETE", "WEBSOCKET")
PATHS = ("/a", "/b", "/7", "/a/", "/a/b", "/b/7", "/a/b/7", "/login", "/nowhere/at/all")
REFUSED = {401, 403}


class Page(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("x")


def endpoint() -> Callable[..., Any]:
    async def page() -> None: ...

    return page


async def socket(connection: WebSocket) -> None:
    await connection.accept()
    await connection.close()


def paths_of(*segments: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(segments), min_size=1, max_size=3, unique=True).map(
        lambda chosen: "/" + "/".join(chosen)
    )


TEMPLATES = paths_of("a", "b", "{x}", "{y:int}") | st.sampled_from(["/{p:path}", "/a/{p:path}"])
PATTERNS = paths_of("a", "b", "*", "**", "7") | st.sampled_from(["/{x}", "/a/{x}", "/{x}/b"])


@st.composite
def requirements(draw: st.DrawFn, path: str) -> Requirement:
    atoms = st.sampled_from(
        [role("r"), role("s"), permission("p"), signed_in, *([owner("x")] if "{x}" in path else [])]
    )
    first, second, third = draw(atoms), draw(atoms), draw(atoms)
    return draw(st.sampled_from([first, first & second, first | second, first & second | third]))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    path = draw(PATTERNS)
    methods = draw(st.sampled_from([None, ["GET"], ["POST", "DELETE"]]))
    if draw(st.booleans()):
        return Rule(path, methods=methods, requires=draw(requirements(path)))
    return Rule(path, methods=methods, public=True)


@st.composite
def guards(draw: st.DrawFn) -> RouterGuard:
    return RouterGuard(
        draw(st.lists(rules(), max_size=3)),
        global_protect=draw(st.booleans()),
        exclude=draw(st.lists(PATTERNS, max_size=1)),
        login_path=draw(st.sampled_from([None, "/login"])),
    )


def fill(draw: st.DrawFn, router: Any) -> None:
    """Put a few routes of every kind on it, in any order."""
    for template in draw(st.lists(TEMPLATES, min_size=1, max_size=4)):
        asks = [Depends(require(draw(requirements(template))))] if draw(st.booleans()) else []
        kind = draw(st.sampled_from(["operation", "operation", "marked", "socket", "class"]))
        if kind == "socket":
            router.add_api_websocket_route(template, socket, dependencies=asks)
        elif kind == "class":
            router.add_route(template, Page)
        else:
            page = endpoint() if kind == "operation" else public(endpoint())
            methods = draw(st.sampled_from([["GET"], ["POST"], ["GET", "HEAD", "DELETE"]]))
            router.add_api_route(template, page, methods=methods, dependencies=asks)


@st.composite
def applications(draw: st.DrawFn) -> tuple[FastAPI, SessionKit[Any]]:
    app, kit = FastAPI(openapi_url=None), new_kit()
    for part in draw(st.lists(st.sampled_from(["own", "router", "mount"]), min_size=1, max_size=4)):
        if part == "own":
            fill(draw, app)
        elif part == "router":
            router = APIRouter(dependencies=[Depends(draw(guards()))] if draw(st.booleans()) else [])
            fill(draw, router)
            app.include_router(router, prefix=draw(st.sampled_from(["", "/a", "/b"])))
        else:
            inner = FastAPI(openapi_url=None)
            fill(draw, inner)
            if draw(st.booleans()):
                kit.install(inner, guard=draw(guards()), check="off")
            app.mount(draw(st.sampled_from(["/a", "/b"])), inner)
    kit.install(app, guard=draw(st.none() | guards()), check="off")
    return app, kit


def is_refused(client: TestClient, method: str, path: str) -> bool:
    if method != "WEBSOCKET":
        return client.request(method, path, follow_redirects=True).status_code in REFUSED
    try:
        with client.websocket_connect(f"wss://testserver{path}"):
            return False
    except WebSocketDenialResponse as refusal:
        return refusal.status_code in REFUSED
    except Exception:  # noqa: BLE001 - nothing answers there
        return False


def answers(audit: Audit, method: str, path: str) -> Any:
    return {who: audit.explain(method, path, who).allowed for who in PEOPLE}


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(applications(), st.lists(st.tuples(st.sampled_from(METHODS), st.sampled_from(PATHS)), min_size=6, max_size=6))
def test_who_is_refused_is_who_the_audit_says(made: tuple[FastAPI, SessionKit[Any]], asked: list[Any]) -> None:
    app, kit = made
    audit, client = kit.audit(app), client_of(app, base_url=SITE)
    try:
        client.get("/")
    except ConfigurationError:
        assume(False)
    explained = {each: answers(audit, *each) for each in asked}
    enforced: dict[Any, Any] = {each: {} for each in asked}
    for who, session in PEOPLE.items():
        client.cookies.clear()
        if session is not None:
            sign_in(client, kit, session)
        for each in asked:
            enforced[each][who] = not is_refused(client, *each)

    assert explained == enforced


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(applications())
def test_an_application_is_equal_to_its_own_lock(made: tuple[FastAPI, SessionKit[Any]]) -> None:
    audit = made[1].audit(made[0])

    assert {each.label for each in audit.compare(audit.lock())} <= {"equal"}
