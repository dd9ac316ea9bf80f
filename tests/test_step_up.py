"""A sign-in that is too long ago: 401 with what would do, and for a browser the way to prove again who it is (RFC 9470)."""

import logging
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    NotAuthenticated,
    Requirement,
    RouterGuard,
    Rule,
    Session,
    custom,
    fresh,
    login_redirect_target,
    reauthenticate_session,
    require,
    require_fresh,
    role,
    set_session,
)
from fastapi_sessionkit.access import Subject
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ask, token_of
from tests.support import SITE, Clock, client_of, new_kit

NAVIGATION = {"Sec-Fetch-Mode": "navigate"}
HTMX = {"HX-Request": "true", "HX-Current-URL": f"{SITE}/board?page=2"}
CUSTOMER = Session(user_id="ada", role="customer")
ADMIN = Session(user_id="ada", role="admin")
CHALLENGE = 'Cookie error="insufficient_user_authentication", max_age="{}"'


def application(guard: RouterGuard | None, clock: Clock, **options: Any) -> tuple[FastAPI, Any]:
    app, kit = FastAPI(), new_kit(clock=clock, **options)
    kit.install(app, guard=guard)

    @app.post("/again")
    async def again(request: Request) -> RedirectResponse:
        reauthenticate_session(request)
        return RedirectResponse(login_redirect_target(request), 303)

    @app.post("/login")
    async def login(request: Request) -> RedirectResponse:
        set_session(request, CUSTOMER)
        return RedirectResponse(login_redirect_target(request), 303)

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "DELETE"])
    async def everything(path: str) -> str:
        return path

    @app.websocket("/{path:path}")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    return app, kit


def an_hour_later(guard: RouterGuard, clock: Clock, who: Session = CUSTOMER, **options: Any) -> TestClient:
    app, kit = application(guard, clock, **options)
    client = signed_in(client_of(app), kit, who)
    clock.advance(3_600)
    return client


def deny(requirement: Requirement) -> RouterGuard:
    return RouterGuard([Rule("/danger", requires=requirement)])


# What is said


@pytest.mark.parametrize(
    ("requirement", "who", "max_age"),
    [
        (fresh(600), CUSTOMER, 600),
        (fresh(60) & fresh(600), CUSTOMER, 60),
        (fresh(60) | fresh(600), CUSTOMER, 600),
        (fresh(600) | role("admin"), CUSTOMER, 600),
        (role("admin") & fresh(600), ADMIN, 600),
        (fresh(60) | fresh(600) & role("admin"), CUSTOMER, 60),
        (fresh(60) | fresh(600) & role("admin"), ADMIN, 600),
        (custom(lambda session: session is not None) & fresh(600), CUSTOMER, 600),
        (fresh(0.5), CUSTOMER, 0),
    ],
    ids=str,
)
def test_a_sign_in_too_long_ago_is_401_and_says_what_would_do(
    clock: Clock, requirement: Requirement, who: Session, max_age: int
) -> None:
    response = an_hour_later(deny(requirement), clock, who).get("/danger")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == CHALLENGE.format(max_age)
    assert response.json() == {"detail": f"Requires {requirement}"}


@pytest.mark.parametrize(
    "requirement",
    [
        role("admin") & fresh(600),
        fresh(600) & role("admin"),
        role("admin"),
        fresh(600) & custom(lambda _: False),
        fresh(600) & custom(lambda session: session.nothing, "raises"),
    ],
    ids=str,
)
def test_where_something_else_is_missing_it_stays_403(clock: Clock, requirement: Requirement) -> None:
    response = an_hour_later(deny(requirement), clock).get("/danger")

    assert response.status_code == 403
    assert "www-authenticate" not in response.headers


def test_who_is_not_signed_in_gets_the_plain_challenge(clock: Clock) -> None:
    app, _ = application(deny(fresh(600)), clock)

    assert client_of(app).get("/danger").headers["www-authenticate"] == "Cookie"


@pytest.mark.parametrize("of_the_kit", [False, True])
def test_a_dependency_says_the_same(clock: Clock, of_the_kit: bool) -> None:
    app, kit = application(None, clock)
    needed = kit.require_fresh(600) if of_the_kit else require_fresh(600)
    app.add_api_route("/danger", lambda: "", dependencies=[Depends(needed)])
    app.router.routes.insert(0, app.router.routes.pop())
    client = signed_in(client_of(app), kit, CUSTOMER)

    assert client.get("/danger").status_code == 200
    clock.advance(3_600)
    assert client.get("/danger").headers["www-authenticate"] == CHALLENGE.format(600)


def test_hooks_and_functions_are_asked_once(clock: Clock) -> None:
    asked: list[str] = []

    async def get_roles(session: Any) -> list[str]:
        asked.append("roles")
        return ["admin"]

    async def sound(session: Any) -> bool:
        asked.append("sound")
        return True

    guard = deny(role("admin") & custom(sound) & fresh(60) & fresh(600))
    client = an_hour_later(guard, clock, access=Access(get_roles=get_roles))

    assert client.get("/danger").headers["www-authenticate"] == CHALLENGE.format(60)
    assert asked == ["roles", "sound"]


def test_a_check_of_the_kits_own_is_no_step_up(clock: Clock) -> None:
    client = an_hour_later(deny(fresh(600)), clock, access=Access(check=lambda rule, session: False))

    assert client.get("/danger").status_code == 403


@pytest.mark.anyio
async def test_a_decision_says_what_would_do() -> None:
    guard = deny(fresh(600))

    for age, max_age in ((3_600, 600), (None, 600), (-60, 600), (0, None)):
        assert (await guard.decide("GET", "/danger", CUSTOMER, age=age)).max_age == max_age
    assert (await guard.decide("GET", "/danger", None)).max_age is None


def test_an_exception_handler_can_tell_the_two_kinds_apart(clock: Clock) -> None:
    app, kit = application(deny(fresh(600)), clock)

    @app.exception_handler(NotAuthenticated)
    async def answer(request: Request, error: NotAuthenticated) -> Any:
        return RedirectResponse(f"/why?{error.max_age}")

    client = signed_in(client_of(app), kit, CUSTOMER)
    clock.advance(3_600)

    assert client.get("/danger").headers["location"] == "/why?600.0"
    client.cookies.clear()
    assert client.get("/danger").headers["location"] == "/why?None"


@pytest.mark.anyio
async def test_a_handshake_is_refused_with_the_challenge(clock: Clock) -> None:
    app, kit = application(deny(fresh(600)), clock)
    cookie = token_of(kit, CUSTOMER)
    clock.advance(3_600)

    async def connect() -> Any:
        return {"type": "websocket.connect"}

    sent = await ask(
        app, "/danger", cookie=cookie, type="websocket", scheme="wss", subprotocols=[], receive=connect,
        extensions={"websocket.http.response": {}},
    )  # fmt: skip

    assert sent[0]["status"] == 401
    assert dict(sent[0]["headers"])[b"www-authenticate"] == CHALLENGE.format(600).encode()


def test_a_handshake_without_an_answer_is_closed(clock: Clock) -> None:
    client = an_hour_later(RouterGuard([Rule("/danger", fresh=600)], reauthenticate_path="/again"), clock)

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/danger"):
        pass


# Where a browser goes

DANGER = [Rule("/danger/**", fresh=600)]
SETTINGS: list[dict[str, Any]] = [
    {"reauthenticate_path": "/again"},
    {"reauthenticate_path": "/again", "login_path": "/login"},
    {"reauthenticate_path": "/again", "login_path": "/login", "global_protect": True},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_browser_goes_to_reauthenticate_with_next(clock: Clock, settings: dict[str, Any]) -> None:
    client = an_hour_later(RouterGuard(DANGER, **settings), clock)

    response = client.get("/danger/x?y=1", headers=NAVIGATION)

    assert (response.status_code, response.headers["location"]) == (302, "/again?next=/danger/x%3Fy%3D1")
    assert client.post("/danger", headers=NAVIGATION).headers["location"] == "/again"
    assert client.get("/danger", headers={"Sec-Fetch-Mode": "cors"}).status_code == 401


@pytest.mark.parametrize("settings", SETTINGS)
def test_htmx_gets_401_and_is_sent_there_too(clock: Clock, settings: dict[str, Any]) -> None:
    response = an_hour_later(RouterGuard(DANGER, **settings), clock).delete("/danger", headers=HTMX)

    assert response.status_code == 401
    assert response.headers["hx-redirect"] == "/again?next=/board%3Fpage%3D2"
    assert response.headers["www-authenticate"] == CHALLENGE.format(600)


def test_without_reauthenticate_path_it_is_the_login_page(clock: Clock) -> None:
    client = an_hour_later(RouterGuard(DANGER, login_path="/login"), clock)

    assert client.get("/danger", headers=NAVIGATION).headers["location"] == "/login?next=/danger"
    assert client.delete("/danger", headers=HTMX).headers["hx-redirect"] == "/login?next=/board%3Fpage%3D2"
    assert client.post("/danger", headers=NAVIGATION).headers["location"] == "/login"


def test_without_either_a_browser_gets_401(clock: Clock) -> None:
    assert an_hour_later(RouterGuard(DANGER), clock).get("/danger", headers=NAVIGATION).status_code == 401


def test_a_rules_redirect_to_is_for_those_who_may_not(clock: Clock) -> None:
    rules = [Rule("/danger", role="admin", fresh=600, redirect_to="/sorry")]
    guard = RouterGuard(rules, reauthenticate_path="/again")

    assert an_hour_later(guard, clock).get("/danger", headers=NAVIGATION).headers["location"] == "/sorry"
    stale = an_hour_later(guard, clock, ADMIN).get("/danger", headers=NAVIGATION)
    assert stale.headers["location"] == "/again?next=/danger"


def test_nobody_is_sent_to_sign_in_not_to_reauthenticate(clock: Clock) -> None:
    app, _ = application(RouterGuard(DANGER, login_path="/login", reauthenticate_path="/again"), clock)

    assert client_of(app).get("/danger", headers=NAVIGATION).headers["location"] == "/login?next=/danger"


def test_a_dependency_sends_a_browser_where_the_guard_does(clock: Clock) -> None:
    app, kit = application(RouterGuard(reauthenticate_path="/again"), clock)
    app.add_api_route("/danger", lambda: "", dependencies=[Depends(require(fresh(600)))])
    app.router.routes.insert(0, app.router.routes.pop())
    client = signed_in(client_of(app), kit, CUSTOMER)
    clock.advance(3_600)

    assert client.get("/danger", headers=NAVIGATION).headers["location"] == "/again?next=/danger"
    assert client.get("/danger").status_code == 401


@pytest.mark.parametrize("root_path", ["", "/app"])
def test_reauthenticating_brings_the_browser_back_and_lets_it_in(clock: Clock, root_path: str) -> None:
    app, kit = application(RouterGuard(DANGER, reauthenticate_path="/again", global_protect=True), clock)
    client = signed_in(client_of(app, root_path=root_path), kit, CUSTOMER)
    clock.advance(3_600)

    target = client.get(f"{root_path}/danger", headers=NAVIGATION).headers["location"]
    assert client.get(target, headers=NAVIGATION).status_code == 200
    back = client.post(target, headers=NAVIGATION).headers["location"]

    assert (target, back) == (f"{root_path}/again?next={root_path}/danger", f"{root_path}/danger")
    assert client.get(back, headers=NAVIGATION).status_code == 200


# The login page that sends signed-in browsers home


@pytest.mark.parametrize("root_path", ["", "/app"])
def test_the_login_page_is_shown_to_who_came_to_reauthenticate(clock: Clock, root_path: str) -> None:
    app, kit = application(RouterGuard(DANGER, login_path="/login", global_protect=True), clock)
    client = signed_in(client_of(app, root_path=root_path), kit, CUSTOMER)
    clock.advance(3_600)

    target = client.get(f"{root_path}/danger", headers=NAVIGATION).headers["location"]

    assert client.get(target, headers=NAVIGATION).status_code == 200
    assert client.get(client.post(target).headers["location"], headers=NAVIGATION).status_code == 200
    assert client.get(target, headers=NAVIGATION).headers["location"] == f"{root_path}/"  # fresh by now


@pytest.mark.parametrize(
    "query", ["", "?next=/plain", "?next=/danger&next=/danger", "?next=//danger", "?next=/%5Cdanger"]
)
def test_whoever_came_for_anything_else_is_sent_home(clock: Clock, query: str) -> None:
    client = an_hour_later(RouterGuard(DANGER, login_path="/login", global_protect=True), clock)

    assert client.get(f"/login{query}", headers=NAVIGATION).headers["location"] == "/"


@pytest.mark.parametrize("same", [{}, {"reauthenticate_path": "/login"}])
@pytest.mark.parametrize(("method", "headers"), [("POST", NAVIGATION), ("DELETE", HTMX)])
def test_nobody_is_sent_to_a_login_page_that_would_send_them_home(
    clock: Clock, same: Any, method: str, headers: dict[str, str]
) -> None:
    guard = RouterGuard(DANGER, login_path="/login", global_protect=True, **same)

    response = an_hour_later(guard, clock).request(method, "/danger", headers=headers)

    assert response.status_code == 401
    assert "hx-redirect" not in response.headers


def test_a_login_page_that_is_home_takes_all(clock: Clock) -> None:
    guard = RouterGuard(DANGER, login_path="/login", home_path="/login", global_protect=True)

    assert an_hour_later(guard, clock).post("/danger", headers=NAVIGATION).headers["location"] == "/login"


def test_a_page_to_reauthenticate_at_that_is_shut_to_get_alone_is_none(clock: Clock) -> None:
    rules = [Rule("/again", role="admin", methods=["GET"]), *DANGER]

    answer = an_hour_later(RouterGuard(rules, reauthenticate_path="/again"), clock).get("/danger", headers=NAVIGATION)

    assert answer.status_code == 401


def test_the_login_page_is_shown_to_who_came_for_what_get_alone_asks(clock: Clock) -> None:
    guard = RouterGuard([Rule("/danger", fresh=600, methods=["GET"])], login_path="/login", global_protect=True)

    assert an_hour_later(guard, clock).get("/login?next=/danger", headers=NAVIGATION).status_code == 200


# No circles


@pytest.mark.parametrize("target", ["/again", "/again?why=stale", "/again#form"])
def test_reauthenticate_path_never_redirects_to_itself(clock: Clock, target: str) -> None:
    client = an_hour_later(RouterGuard([Rule("/**", fresh=600)], reauthenticate_path=target), clock)

    for path in (target, f"{target}?next=/danger", "/danger"):
        assert client.get(path, headers=NAVIGATION).status_code == 401


def test_nobody_is_sent_to_a_page_that_sends_them_back(clock: Clock) -> None:
    rules = [Rule("/again", role="admin", redirect_to="/danger"), *DANGER]
    client = an_hour_later(RouterGuard(rules, reauthenticate_path="/again"), clock)

    assert client.get("/again", headers=NAVIGATION).headers["location"] == "/danger"
    assert client.get("/danger", headers=NAVIGATION).status_code == 401


# Mistakes


@pytest.mark.parametrize("path", ["again", "", "//again", "https://evil.example", "/again/*", "/a//b", 7, "/a\nb"])
def test_a_path_that_can_not_be_is_a_configuration_error(path: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"reauthenticate_path|[Pp]attern"):
        RouterGuard(reauthenticate_path=path)


def reported(guard: RouterGuard, clock: Clock, caplog: pytest.LogCaptureFixture, *paths: str) -> list[str]:
    app, kit = FastAPI(), new_kit(clock=clock)
    kit.install(app, guard=guard)
    for path in paths:
        app.add_api_route(path, lambda: "", methods=["GET", "POST"])
    with caplog.at_level(logging.WARNING), client_of(app):
        return [record.getMessage() for record in caplog.records]


def test_a_page_that_nothing_serves_is_reported(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    (line,) = reported(RouterGuard(reauthenticate_path="/again?x=1"), clock, caplog, "/")

    assert "/again?x=1 (RouterGuard(reauthenticate_path=...))" in line


@pytest.mark.parametrize("methods", [None, ["POST"]])
def test_a_page_that_asks_for_what_it_gives_is_reported(
    clock: Clock, caplog: pytest.LogCaptureFixture, methods: list[str] | None
) -> None:
    guard = RouterGuard([Rule("/**", fresh=600, methods=methods)], reauthenticate_path="/again")

    (line,) = reported(guard, clock, caplog, "/again")

    assert line == (
        f"Nobody can authenticate again at /again: rule {guard.rules[0]} asks for fresh:600s there. Put Rule('/again') before it"
    )


def test_a_page_that_can_be_is_not_reported(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    guard = RouterGuard(DANGER, reauthenticate_path="/again", login_path="/login", global_protect=True)

    assert reported(guard, clock, caplog, "/", "/again", "/login", "/danger") == []


@pytest.mark.anyio
async def test_a_subject_of_another_age_is_otherwise_the_same() -> None:
    subject = Subject(CUSTOMER, age=3_600)
    subject.before = ADMIN

    aged = subject.aged(60)

    assert (aged.session, aged.age, aged.before, subject.age) == (CUSTOMER, 60, ADMIN, 3_600)
