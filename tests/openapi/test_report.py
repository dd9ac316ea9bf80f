"""What is reported at startup about rules that can't apply, and about login pages that are shut."""

import logging
import re
from pathlib import Path

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute

from fastapi_sessionkit import Access, RouterGuard, Rule
from tests.openapi.support import app_of, endpoint, started
from tests.support import client_of, new_kit


def reported(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "never decide" in record.getMessage()]


def paths_of(problems: list[str]) -> list[str]:
    named = [re.sub(r"^Rules? | never decides?.*$", "", message) for message in problems]
    return [path for names in named for path in re.split(", | and ", names)]


@pytest.mark.parametrize(
    ("rules", "problems"),
    [
        ([Rule("/a"), Rule("/b/**"), Rule("/b/*")], ["/b/*"]),
        ([Rule("/nowhere")], ["/nowhere"]),
        ([Rule("/nowhere/**"), Rule("/a")], ["/nowhere/**"]),
        ([Rule("/a", methods=["DELETE"])], ["DELETE /a"]),
        ([Rule("/a", methods=["GET"])], []),
        ([Rule("/**"), Rule("/a", role="admin")], ["/a"]),
        ([Rule("/a", methods=["GET"]), Rule("/a")], []),
        ([Rule("/a"), Rule("/a", methods=["GET"])], ["GET,HEAD /a"]),
        ([Rule("/*/x"), Rule("/b/x", role="admin")], ["/b/x"]),
        ([Rule("/b/x"), Rule("/b/*")], []),
        ([Rule("/b/12"), Rule("/static/x/y"), Rule("/plain"), Rule("/docs"), Rule("/openapi.json"), Rule("/ws")], []),
        ([Rule("/static")], []),
        ([Rule("/A")], ["/A"]),
        ([], []),
    ],
)
def test_a_rule_that_can_not_apply_is_reported_at_startup(
    rules: list[Rule], problems: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of("/a", "/b/{x}", guard=RouterGuard(protect=rules))
    app.mount("/static", StaticFiles(directory="."))
    app.add_route("/plain", lambda request: PlainTextResponse("x"))
    app.websocket("/ws")(lambda websocket: None)

    started(app)

    assert paths_of(reported(caplog)) == problems


def test_the_report_names_the_rule_that_hides_another(caplog: pytest.LogCaptureFixture) -> None:
    started(app_of("/a", guard=RouterGuard(protect=[Rule("/**", methods=["GET"]), Rule("/a", methods=["HEAD"])])))

    assert reported(caplog) == [
        "Rule HEAD /a never decides: rule GET,HEAD /** comes before it and matches everything that it does"
    ]


def test_it_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/nowhere")]))

    started(app)
    started(app)

    assert len(reported(caplog)) == 1


def test_without_a_lifespan_it_is_reported_at_the_first_request(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(app_of("/a", guard=RouterGuard(protect=[Rule("/nowhere")])))
    assert reported(caplog) == []

    client.get("/a")
    client.get("/a")

    assert len(reported(caplog)) == 1


def test_routes_added_before_the_start_count(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/late")]))
    app.get("/late")(lambda: None)

    started(app)

    assert reported(caplog) == []


def test_a_router_s_guard_is_held_against_that_router_s_routes(caplog: pytest.LogCaptureFixture) -> None:
    guard = RouterGuard(protect=[Rule("/r/x"), Rule("/a")])
    router, app = APIRouter(prefix="/r", dependencies=[Depends(guard)]), app_of("/a")
    router.get("/x")(lambda: None)
    app.include_router(router)

    started(app)

    assert [message.split()[1] for message in reported(caplog)] == ["/a"]


def test_a_router_s_guard_is_held_against_that_router_s_websockets(caplog: pytest.LogCaptureFixture) -> None:
    guard = RouterGuard(protect=[Rule("/r/ws"), Rule("/a")])
    router, app = APIRouter(prefix="/r", dependencies=[Depends(guard)]), app_of("/a")
    router.websocket("/ws")(lambda websocket: None)
    app.include_router(router)

    started(app)

    assert paths_of(reported(caplog)) == ["/a"]


def test_a_pattern_with_a_percent_sign_is_reported_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    started(app_of("/a", guard=RouterGuard(protect=[Rule("/100%/**")])))

    assert "/100%/**" in reported(caplog)[0]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("at", "unreachable"),
    [
        ("/", []),
        ("/ui", ["/whatever/**", "/front/ui", "/u"]),
        ("/ui/", ["/whatever/**", "/front/ui", "/u"]),
        ("/front/ui", ["/whatever/**", "/ui", "/ui/x", "/u"]),
    ],
)
def test_a_frontend_serves_any_path_below_its_own(
    at: str, unreachable: list[str], caplog: pytest.LogCaptureFixture, files: Path
) -> None:
    rules = [Rule(each) for each in ("/whatever/**", "/ui", "/ui/x", "/front/ui", "/u", "/**/x")]
    app = app_of("/a", guard=RouterGuard(protect=rules))
    app.frontend(at, directory=files)

    started(app)

    assert paths_of(reported(caplog)) == unreachable


def test_a_frontend_serves_get_and_head(caplog: pytest.LogCaptureFixture, files: Path) -> None:
    rules = [Rule("/x", methods=["GET"]), Rule("/y", methods=["HEAD"]), Rule("/z", methods=["POST"])]
    app = app_of("/a", guard=RouterGuard(protect=rules))
    app.frontend("/", directory=files)

    started(app)

    assert paths_of(reported(caplog)) == ["POST /z"]


def test_a_frontend_of_an_included_router_is_below_its_prefix(caplog: pytest.LogCaptureFixture, files: Path) -> None:
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")
    inner.frontend("/ui", directory=files)
    outer.include_router(inner, prefix="/between")
    rules = [Rule("/outer/between/inner/ui/x"), Rule("/in/outer/between/inner/ui/x"), Rule("/inner/ui")]
    app = app_of("/a", guard=RouterGuard(protect=rules))
    app.include_router(outer, prefix="/in")

    started(app)

    assert TestClient(app).get("/in/outer/between/inner/ui/index.html").status_code == 200
    assert paths_of(reported(caplog)) == ["/outer/between/inner/ui/x", "/inner/ui"]


def test_what_else_serves_when_no_route_does_serves_anything(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/a", guard=RouterGuard(protect=[Rule("/whatever")]))
    app.router._low_priority_routes.append(BaseRoute())  # noqa: SLF001 - FastAPI has no public way

    with TestClient(app):
        pass

    assert reported(caplog) == []


def test_a_router_s_guard_is_held_against_that_router_s_frontend(caplog: pytest.LogCaptureFixture, files: Path) -> None:
    guard = RouterGuard(protect=[Rule("/r/ui/x"), Rule("/r/x")])
    router, app = APIRouter(prefix="/r", dependencies=[Depends(guard)]), app_of("/a")
    router.frontend("/ui", directory=files)
    app.include_router(router)

    started(app)

    assert paths_of(reported(caplog)) == ["/r/x"]


def test_a_login_page_that_a_rule_shuts_is_reported_at_startup(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/login", lambda: None)
    new_kit().install(app, guard=RouterGuard(protect=[Rule("/**", role="admin")], login_path="/login"))

    with caplog.at_level(logging.WARNING), TestClient(app):
        pass

    assert "Nobody can sign in at /login: rule /** asks for role:admin there." in caplog.text


def test_a_login_page_that_a_check_decides_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/login", endpoint)
    guard = RouterGuard(protect=[Rule("/**", role="admin")], login_path="/login")
    new_kit(access=Access(check=lambda rule, session: True)).install(app, guard=guard)

    with caplog.at_level(logging.WARNING), client_of(app) as client:
        answer = client.get("/login").status_code

    assert answer == 200
    assert "sign in" not in caplog.text


def test_an_open_login_page_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/login", lambda: None)
    guard = RouterGuard(protect=[Rule("/login", public=True), Rule("/**", role="admin")], login_path="/login")
    new_kit().install(app, guard=guard)

    with caplog.at_level(logging.WARNING), TestClient(app):
        pass

    assert "sign in" not in caplog.text
