"""What is said at startup about a guard: a few lines, however many rules there are."""

import logging
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from fastapi_sessionkit import RouterGuard, Rule
from tests.support import client_of, new_kit


async def endpoint() -> None: ...


def app_of(*paths: str, guard: RouterGuard | None = None) -> FastAPI:
    app = FastAPI()
    for path in paths:
        app.add_api_route(path, endpoint)
    new_kit().install(app, guard=guard)
    return app


def reported(app: FastAPI, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.WARNING), client_of(app):
        pass
    return [record.getMessage() for record in caplog.records if record.name.startswith("fastapi_sessionkit")]


def test_a_thousand_rules_that_no_route_reaches_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    guard = RouterGuard([Rule(f"/area-{number}/**", role="admin") for number in range(1_000)])

    lines = reported(app_of("/page", guard=guard), caplog)

    rules = "Rules /area-0/**, /area-1/**, /area-2/**, /area-3/**, /area-4/** and 995 more"
    assert lines == [f"{rules} never decide: no route of the application has such a path and method"]


def test_a_few_rules_that_no_route_reaches_are_all_named(caplog: pytest.LogCaptureFixture) -> None:
    guard = RouterGuard([Rule("/a"), Rule("/page"), Rule("/b", methods=["POST"])])

    lines = reported(app_of("/page", guard=guard), caplog)

    assert lines == ["Rules /a and POST /b never decide: no route of the application has such a path and method"]


def test_a_thousand_rules_that_one_hides_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    rules = [Rule("/**", role="admin"), *(Rule(f"/area-{number}") for number in range(1_000))]

    lines = reported(app_of("/page", guard=RouterGuard(rules)), caplog)

    assert len(lines) == 6
    assert lines[0] == "Rule /area-0 never decides: rule /** comes before it and matches everything that it does"
    assert lines[-1] == "995 more rules never decide, because earlier ones hide them"


def test_a_rule_whose_methods_are_hidden_by_several_names_them_all(caplog: pytest.LogCaptureFixture) -> None:
    rules = [Rule("/page", methods=["GET"]), Rule("/**", methods=["POST"]), Rule("/page", methods=["GET", "POST"])]

    lines = reported(app_of("/page", guard=RouterGuard(rules)), caplog)

    assert any("rules GET,HEAD /page and POST /** come before it" in line for line in lines)


def test_a_rule_that_decides_about_one_method_only_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/page", guard=RouterGuard([Rule("/page", methods=["GET"]), Rule("/page", methods=["GET", "POST"])]))
    app.add_api_route("/page", endpoint, methods=["POST"])

    assert reported(app, caplog) == []


# Where browsers are sent


@pytest.mark.parametrize(
    ("settings", "paths", "missing"),
    [
        ({"login_path": "/signin"}, ["/login"], "/signin (RouterGuard(login_path=...))"),
        ({"login_path": "/login"}, ["/login"], None),
        ({"login_path": "/login"}, ["/{page}"], None),
        ({"login_path": "/signin", "global_protect": True}, ["/", "/login"], "/signin (RouterGuard(login_path=...))"),
        ({"login_path": "/login", "global_protect": True}, ["/login"], "/ (RouterGuard(home_path=...))"),
        ({"login_path": "/login", "global_protect": True, "home_path": "/me?tab=1#top"}, ["/login", "/me"], None),
        ({"login_path": "/login", "home_path": "/nowhere"}, ["/login"], None),
        ({"global_protect": True, "home_path": "/nowhere"}, ["/login"], None),
        ({"protect": [Rule("/login", redirect_to="/no")]}, ["/login"], "/no (Rule(redirect_to=...))"),
        ({"protect": [Rule("/login", redirect_to="/caf%C3%A9/?why=1")]}, ["/login", "/caf\u00e9"], None),
        ({"protect": [Rule("/login", redirect_to="/no/")]}, ["/login"], "/no/ (Rule(redirect_to=...))"),
        ({"protect": [Rule("/login", redirect_to="/caf%C3%A9")]}, ["/login"], "/caf%C3%A9 (Rule(redirect_to=...))"),
        ({"protect": [Rule("/login", redirect_to="/odd//path")]}, ["/login"], None),
    ],
)
def test_a_page_that_browsers_are_sent_to_and_no_route_serves_is_reported(
    settings: dict[str, Any], paths: list[str], missing: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    lines = reported(app_of(*paths, guard=RouterGuard(**settings)), caplog)

    expected = f"Browsers are sent to {missing}, and no route of the application has such a path for GET"
    assert lines == ([] if missing is None else [expected])


def test_a_page_that_is_only_for_posting_to_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(guard=RouterGuard(login_path="/login"))
    app.add_api_route("/login", endpoint, methods=["POST"])

    assert reported(app, caplog) == [
        "Browsers are sent to /login (RouterGuard(login_path=...)), and no route of the application has such a path for GET"
    ]


def test_a_page_below_a_mount_counts_as_served(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(guard=RouterGuard(login_path="/static/login.html"))
    app.mount("/static", StaticFiles(directory="."))

    assert reported(app, caplog) == []


def test_many_pages_that_no_route_serves_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    rules = [Rule(f"/page/{number}", redirect_to=f"/no-{number}") for number in range(100)]
    app = app_of("/page/{x}", guard=RouterGuard(rules))

    (line,) = reported(app, caplog)

    assert line.startswith("Browsers are sent to /no-0 (Rule(redirect_to=...)), /no-1 ")
    assert " and 95 more, and no route" in line


def test_pages_of_a_router_s_guard_may_be_anywhere_in_the_application(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of("/login")
    router = APIRouter(dependencies=[Depends(RouterGuard([Rule("/page")], login_path="/login"))])
    router.add_api_route("/page", endpoint)
    app.include_router(router)

    assert reported(app, caplog) == []
