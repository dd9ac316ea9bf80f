"""The gate and the guard of a router give the same answers."""

from functools import cache

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import ConfigurationError, RouterGuard, Rule, Session, SessionKit
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ADMIN, CUSTOMER, NAVIGATION, PREFLIGHT
from tests.support import client_of, new_kit

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


@cache
def application(way: str) -> tuple[FastAPI, SessionKit[Session]]:
    kit = new_kit(trusted_origins=["https://front.example"])
    return guarded_by(way, kit), kit


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
        app, kit = application(way)
        client = client_of(app)
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


def test_a_router_s_guard_without_a_kit_says_who_asked() -> None:
    app = FastAPI(dependencies=[Depends(DECISIONS)])
    app.add_api_route("/r/open", lambda: None)

    with pytest.raises(ConfigurationError, match=r"^Depends\(RouterGuard\(\.\.\.\)\) "):
        client_of(app).get("/r/open")
