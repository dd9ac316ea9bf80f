"""What the audit finds, each by its code and its place; and what it leaves alone."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.sessions import SessionMiddleware

from fastapi_sessionkit import CookieSettings, MemoryStore, RouterGuard, Rule, Session, public, require_role
from fastapi_sessionkit.audit import Finding
from tests.audit.support import endpoint
from tests.support import new_kit

STRONG = "q7Zp-0mVx_3kTn9LrWc2YdHs8BfJu1GaEe5KiO4oMvXt"


def app_of(*paths: str, methods: tuple[str, ...] = ("GET",)) -> FastAPI:
    app = FastAPI(openapi_url=None)
    for path in paths:
        app.add_api_route(path, endpoint, methods=list(methods))
    return app


def findings(app: FastAPI, *rules: Rule, guard: dict[str, Any] | None = None, **options: Any) -> list[Finding]:
    kit = new_kit(**{"secret_key": STRONG, **options})
    kit.install(app, guard=RouterGuard(rules, **(guard or {})))
    return kit.audit(app).findings


def found(*arguments: Any, **options: Any) -> list[tuple[str, str]]:
    return [(each.code, each.at) for each in findings(*arguments, **options)]


def test_an_application_as_it_should_be_has_no_findings() -> None:
    app = app_of("/", "/login", "/admin/users")

    assert found(app, Rule("/admin/**", role="admin"), guard={"login_path": "/login", "global_protect": True}) == []


def test_each_finding_says_what_to_do() -> None:
    (only,) = findings(app_of("/x"), Rule("/y"))

    assert only == Finding(
        "unreachable-rule",
        "/y",
        "It never decides: no route has such a path and method",
        "Look for a slip in its pattern or its methods, or take it out",
    )


def test_a_rule_behind_another_is_found() -> None:
    assert found(app_of("/a"), Rule("/**"), Rule("/a", role="admin")) == [("hidden-rule", "/a")]


def test_a_rule_of_a_router_s_guard_is_found() -> None:
    app, router = app_of(), APIRouter(dependencies=[Depends(RouterGuard([Rule("/a"), Rule("/nowhere")]))])
    router.add_api_route("/a", endpoint)
    app.include_router(router)

    assert found(app) == [("unreachable-rule", "/nowhere")]


def test_a_mark_against_a_rule_is_found() -> None:
    app = app_of()

    @app.get("/a")
    @public
    async def page() -> None: ...

    assert found(app, Rule("/a", role="admin")) == [("public-contradicted", "GET /a")]


@pytest.mark.parametrize(
    ("rules", "settings", "expected"),
    [
        ([], {"login_path": "/no"}, [("missing-page", "/no")]),
        ([], {"login_path": "/login", "home_path": "/no", "global_protect": True}, [("missing-page", "/no")]),
        ([Rule("/a", redirect_to="/no")], {}, [("missing-page", "/no")]),
        ([Rule("/login", role="x")], {"login_path": "/login"}, [("shut-page", "/login")]),
        ([Rule("/login")], {"login_path": "/login"}, [("shut-page", "/login")]),
        ([Rule("/", role="x")], {"login_path": "/login", "global_protect": True}, [("shut-page", "/")]),
        ([Rule("/")], {"login_path": "/login", "global_protect": True}, []),
        ([Rule("/a", redirect_to="/b"), Rule("/b", role="x")], {"login_path": "/login"}, [("shut-page", "/b")]),
        ([Rule("/a", redirect_to="/b"), Rule("/b")], {"login_path": "/login"}, []),
        ([Rule("/a", redirect_to="/b"), Rule("/b")], {}, [("shut-page", "/b")]),
        ([Rule("/a", redirect_to="/b")], {}, []),
    ],
)
def test_pages_that_browsers_are_sent_to_are_looked_at(
    rules: list[Rule], settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert found(app_of("/", "/login", "/a", "/b"), *rules, guard=settings) == expected


def test_a_circle_of_redirects_is_found_once() -> None:
    rules = [Rule("/a", role="x", redirect_to="/b"), Rule("/b", role="x", redirect_to="/a")]

    codes = found(app_of("/a", "/b", "/login"), *rules, guard={"login_path": "/login"})
    assert [each for each in codes if each[0] == "redirect-loop"][:1] == [("redirect-loop", "/a")]


def test_home_and_login_pages_are_no_circle_for_the_guard_sends_nobody_back() -> None:
    rules = [Rule("/", role="x", redirect_to="/login")]

    codes = found(app_of("/", "/login"), *rules, guard={"login_path": "/login", "global_protect": True})
    assert codes == [("shut-page", "/")]


def test_a_circle_by_way_of_the_login_page_is_found() -> None:
    rules = [Rule("/", role="x", redirect_to="/a"), Rule("/a", role="x", redirect_to="/login")]

    codes = found(app_of("/", "/a", "/login"), *rules, guard={"login_path": "/login", "global_protect": True})
    assert ("redirect-loop", "/") in codes


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_an_open_operation_that_changes_something_is_found(method: str) -> None:
    assert found(app_of("/a", methods=(method,))) == [("open-write", f"{method} /a")]


def test_an_open_operation_that_says_so_is_left_alone() -> None:
    app = app_of("/a", "/login", methods=("POST",))

    @app.post("/b")
    @public
    async def page() -> None: ...

    app.add_api_route("/login", endpoint)
    assert found(app, Rule("/a", public=True), guard={"login_path": "/login"}) == []


def test_what_is_excluded_does_not_say_so() -> None:
    app = app_of("/public/a", methods=("POST",))

    assert found(app, guard={"global_protect": True, "exclude": ["/public/**"]}) == [("open-write", "POST /public/a")]


def test_a_dependency_alone_beside_a_rule_is_found() -> None:
    app = app_of("/reports/a")
    app.add_api_route("/reports/b", endpoint, dependencies=[Depends(require_role("x"))])
    app.add_api_route("/other", endpoint, dependencies=[Depends(require_role("x"))])

    assert found(app, Rule("/reports/a", role="x")) == [("lone-dependency", "GET /reports/b")]


def test_a_session_as_an_input_is_found() -> None:
    app = app_of()

    @app.post("/a")
    async def page(session: Annotated[Session, Query()]) -> None: ...

    codes = found(app, Rule("/a"))
    assert codes == [("start-fails", "/a")]


def test_documentation_that_alone_is_open_is_found() -> None:
    app = FastAPI(redoc_url=None, swagger_ui_oauth2_redirect_url=None)
    app.add_api_route("/a", endpoint)

    assert found(app, Rule("/a")) == [("open-docs", "/docs"), ("open-docs", "/openapi.json")]


def test_documentation_of_an_open_application_is_left_alone() -> None:
    app = FastAPI()
    app.add_api_route("/a", endpoint)

    assert found(app) == []


# Settings


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (STRONG, []),
        ("a secret of more than thirty-two characters", ["secret_key[0]"]),
        ("ab" * 20, ["secret_key[0]"]),
        ("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", ["secret_key[0]"]),
        ([STRONG, STRONG], ["secret_key[1]"]),
        ([STRONG, STRONG[::-1]], []),
    ],
)
def test_a_weak_secret_is_found_and_not_shown(keys: Any, expected: list[str]) -> None:
    found_ones = findings(app_of("/a"), secret_key=keys)

    assert [(each.code, each.at) for each in found_ones] == [("weak-secret", at) for at in expected]
    shown = str(found_ones)
    assert not any(key in shown for key in ([keys] if isinstance(keys, str) else keys))


@pytest.mark.parametrize(
    ("name", "value", "is_found"),
    [
        ("WEB_CONCURRENCY", "4", True),
        ("WEB_CONCURRENCY", "1", False),
        ("UVICORN_WORKERS", "2", True),
        ("GUNICORN_CMD_ARGS", "--bind=:80 --workers=3", True),
        ("GUNICORN_CMD_ARGS", "-w 3", True),
        ("GUNICORN_CMD_ARGS", "--bind=:80", False),
    ],
)
def test_a_memory_store_behind_several_workers_is_found(
    name: str, value: str, is_found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert found(app_of("/a"), backend=MemoryStore()) == ([("memory-workers", "backend")] if is_found else [])
    assert found(app_of("/a")) == []


@pytest.mark.parametrize(
    ("options", "cookie", "is_found"),
    [
        ({"session_cookie": "sessionkit"}, CookieSettings(https_only=False), True),
        ({}, CookieSettings(), False),
        ({"session_cookie": "__Host-session"}, CookieSettings(), True),
        ({"session_cookie": "other"}, CookieSettings(https_only=False), False),
    ],
)
def test_a_cookie_that_another_middleware_has_is_found(
    options: dict[str, Any], cookie: CookieSettings, is_found: bool
) -> None:
    app = app_of("/a")
    app.add_middleware(SessionMiddleware, secret_key="x", **options)

    assert [code for code, _ in found(app, cookie=cookie)] == (["cookie-clash"] if is_found else [])


@pytest.mark.parametrize(
    ("options", "trusted", "expected"),
    [
        ({"allow_origins": ["*"]}, [], [("cors-any-origin", "CORSMiddleware")]),
        ({"allow_origin_regex": ".*"}, [], [("cors-any-origin", "CORSMiddleware")]),
        ({"allow_origin_regex": r"https://.*\.our\.example"}, [], []),
        ({"allow_origins": ["https://front.example"]}, [], [("cors-untrusted-origin", "https://front.example")]),
        ({"allow_origins": ["https://front.example"]}, ["https://FRONT.example"], []),
        ({"allow_origins": ["*"], "allow_credentials": False}, [], []),
    ],
)
def test_cors_with_credentials_is_looked_at(options: dict[str, Any], trusted: list[str], expected: list[Any]) -> None:
    app = app_of("/a")
    app.add_middleware(CORSMiddleware, **{"allow_credentials": True, **options})

    assert found(app, trusted_origins=trusted) == expected


@pytest.mark.parametrize(
    ("servers", "environment", "secure", "expected"),
    [
        ([{"url": "http://shop.example"}], "", True, [("secure-over-http", "http://shop.example")]),
        ([{"url": "http://localhost:8000"}, {"url": "https://shop.example"}, {"url": "/"}], "", True, []),
        ([], "development", True, [("secure-over-http", "FASTAPI_ENV=development")]),
        ([], "development", None, []),
        ([{"url": "http://shop.example"}], "", False, []),
    ],
)
def test_a_secure_cookie_over_plain_http_is_found(
    servers: list[dict[str, str]],
    environment: str,
    secure: bool | None,
    expected: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FASTAPI_ENV", environment)
    app = FastAPI(openapi_url=None, servers=servers)
    app.add_api_route("/a", endpoint)

    assert found(app, cookie=CookieSettings(https_only=secure)) == expected
