"""The log of decisions: what a developer needs, and nothing of whom they were about."""

import logging
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastapi_sessionkit import (
    Access,
    CookieBackend,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    clear_session,
    regenerate_session,
    require_role,
    require_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import SECRET, client_of, new_kit

LOGGER = "fastapi_sessionkit.guard"


class Subscriber(Session):
    plan: str = "free"
    address: dict[str, str] = {}  # noqa: RUF012 - Pydantic copies it


VALUES: dict[str, Any] = {
    "user_id": "user-4711",
    "email": "grace@navy.example",
    "role": "rear-admiral",
    "roles": ["compiler-writer"],
    "permissions": ["nanoseconds:hand-out"],
    "plan": "cobol-plan",
    "address": {"street": "Arlington-Road"},
    "extra_field": "extra-value",
}
SPOKEN = ["user-4711", "grace@navy.example", "rear-admiral", "compiler-writer", "nanoseconds", "cobol-plan", "Arlington",
          "extra-value", SECRET]  # fmt: skip


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Every logger at its most talkative."""
    names = [name for name in logging.root.manager.loggerDict if isinstance(logging.getLogger(name), logging.Logger)]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(1)
    with caplog.at_level(1):
        yield caplog
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def guarded(guard: RouterGuard, **options: Any) -> tuple[TestClient, SessionKit[Subscriber]]:
    kit = SessionKit(Subscriber, secret_key=SECRET, **options)
    app = FastAPI()
    kit.install(app, guard=guard)

    @app.api_route("/{path:path}", methods=["GET", "POST", "OPTIONS"])
    async def anything(path: str) -> None: ...

    return client_of(app), kit


RULES = [Rule("/admin/**", role="admin"), Rule("/open", public=True), Rule("/mine")]


# What it says


@pytest.mark.parametrize(
    ("path", "who", "words"),
    [
        (
            "/admin/x",
            None,
            ["GET '/admin/x'", "denied", "rule /admin/**", "nobody is signed in", "session not asked or nobody"],
        ),
        ("/admin/x", {}, ["denied", "rule /admin/**", "role:admin is missing", "Subscriber(user_id)"]),
        ("/admin/x", {"role": "admin"}, ["allowed", "rule /admin/**", "role:admin", "Subscriber(user_id, role)"]),
        ("/mine", {"email": "a@b"}, ["allowed", "rule /mine", "signed_in", "Subscriber(user_id, email)"]),
        ("/open", None, ["allowed", "rule /open", "public"]),
        ("/else", None, ["allowed", "no rule"]),
    ],
)
def test_each_decision_is_logged_with_rule_reason_and_shape(
    path: str, who: dict[str, Any] | None, words: list[str], everything_logged: pytest.LogCaptureFixture
) -> None:
    client, kit = guarded(RouterGuard(protect=RULES, debug=True))
    if who is not None:
        signed_in(client, kit, Subscriber(user_id="u", plan="", **who))

    client.get(path)

    assert len(lines(everything_logged)) == 1
    for word in words:
        assert word in lines(everything_logged)[0]


def test_global_protection_and_exclude_say_so(everything_logged: pytest.LogCaptureFixture) -> None:
    client, _ = guarded(RouterGuard(global_protect=True, exclude=["/out"], login_path="/login", debug=True))

    for path in ("/in", "/out", "/login"):
        client.get(path)

    denied, excluded, login = lines(everything_logged)
    assert "denied by no rule" in denied
    assert "excluded from global protection" in excluded
    assert "the login page" in login


def test_a_signed_in_browser_that_is_sent_home_is_logged(everything_logged: pytest.LogCaptureFixture) -> None:
    client, kit = guarded(RouterGuard(global_protect=True, login_path="/login", debug=True))
    signed_in(client, kit, Subscriber(user_id="u"))

    client.get("/login", headers={"sec-fetch-mode": "navigate"})

    assert "sent to '/'" in lines(everything_logged)[-1]


def test_csrf_that_is_refused_is_logged(everything_logged: pytest.LogCaptureFixture) -> None:
    client, kit = guarded(RouterGuard())
    signed_in(client, kit, Subscriber(user_id="u"))

    client.post("/a", headers={"sec-fetch-site": "cross-site"})

    assert "POST '/a': Cross-origin request refused: it came from" in everything_logged.text


def test_without_debug_no_decision_is_logged(everything_logged: pytest.LogCaptureFixture) -> None:
    client, _ = guarded(RouterGuard(protect=RULES))

    client.get("/admin/x")

    assert lines(everything_logged) == []


def test_a_decision_is_logged_at_debug_and_no_louder(everything_logged: pytest.LogCaptureFixture) -> None:
    client, _ = guarded(RouterGuard(protect=RULES, debug=True))

    client.get("/admin/x")

    assert {record.levelno for record in everything_logged.records if record.name == LOGGER} == {logging.DEBUG}


def test_a_router_s_guard_logs_too(everything_logged: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    new_kit().install(app)
    router = APIRouter(dependencies=[Depends(RouterGuard(protect=RULES, debug=True))])
    router.get("/mine")(lambda: None)
    app.include_router(router)

    client_of(app).get("/mine")

    assert "denied by rule /mine" in lines(everything_logged)[0]


def test_logging_asks_for_no_session_that_the_decision_did_not_need(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    client, kit = guarded(RouterGuard(protect=RULES, debug=True))
    signed_in(client, kit, Subscriber(user_id="u"))

    assert "vary" not in client.get("/open").headers
    assert "vary" not in client.get("/else").headers


def test_log_injection_by_a_path_stays_on_one_line(everything_logged: pytest.LogCaptureFixture) -> None:
    client, _ = guarded(RouterGuard(protect=RULES, debug=True))

    client.get("/mine/%E2%80%A9x")
    client.get("/mine/%0Aallowed")
    client.get("/mine/%1B[31m")
    client.get("/mine/%E2%80%AEx")

    assert all(line.isprintable() for line in lines(everything_logged))


# What it never says


class BrokenStore(MemoryStore):
    """Fails as a driver does: with what it was given in the text of the error."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.keys: set[str] = set()

    async def get(self, key: str) -> Any:
        self.keys.add(key)
        record = await super().get(key)
        if self.broken:
            raise RuntimeError(key, record)
        return record

    async def replace(self, key: str, record: Any, *, version: int) -> bool:
        if self.broken:
            raise RuntimeError(key, record)
        return await super().replace(key, record, version=version)


def busy_app(backend: Any, clock: Any) -> FastAPI:  # noqa: C901 - a list of routes
    """An application whose every promise about logging is put to use."""

    def check(rule: Rule, session: Any) -> bool:
        if rule.pattern == "/check-raises":
            raise ZeroDivisionError
        return session is not None

    def raising(_: Any) -> list[str]:
        raise LookupError

    kit = SessionKit(
        Subscriber, secret_key=SECRET, backend=backend, clock=clock, idle_timeout=100,
        access=Access(get_permissions=raising),
    )  # fmt: skip
    checked = SessionKit(Subscriber, secret_key=SECRET, name="checked", access=Access(check=check), clock=clock)
    guard = RouterGuard(
        protect=[
            Rule("/admin", role="admin"),
            Rule("/raises", allow=lambda session: 1 / 0),
            Rule("/permission", permission="p"),
            Rule("/mine"),
        ],
        login_path="/login",
        global_protect=True,
        exclude=["/open", "/ws"],
        debug=True,
    )
    app, sub = FastAPI(), FastAPI()
    kit.install(app, guard=guard)
    checked.install(sub, guard=RouterGuard(protect=[Rule("/check-raises"), Rule("/**")], debug=True))
    app.mount("/sub", sub)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Subscriber(**VALUES))

    @app.post("/update")
    async def update(request: Request, session: Annotated[Subscriber, Depends(require_session)]) -> None:
        session.address["street"] = "Arlington-Road-2"
        update_session(request, plan="cobol-plan-2")

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="rear-admiral-2")

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/late", dependencies=[Depends(require_session)])
    async def late(request: Request) -> None:
        await kit.sessions.revoke_user("user-4711")
        update_session(request, plan="cobol-plan-3")

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    @app.get("/mine")
    @app.get("/role", dependencies=[Depends(require_role("x"))])
    @app.get("/open")
    async def page() -> None: ...

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, session: Annotated[Subscriber, Depends(require_session)]) -> None:
        await websocket.accept()
        await websocket.close()

    return app


def drive(client: TestClient, clock: Any, seen: set[str]) -> None:
    """Sign in, do all that can be done, and note every token on the way."""

    def noted() -> None:
        seen.update(cookie.value for cookie in client.cookies.jar if cookie.value)

    for method, path in [
        ("POST", "/login"), ("GET", "/mine"), ("GET", "/admin"), ("GET", "/raises"), ("GET", "/permission"),
        ("GET", "/role"), ("GET", "/nowhere"), ("GET", "/open"), ("POST", "/update"), ("POST", "/promote"),
        ("POST", "/rotate"), ("GET", "/sub/check-raises"), ("GET", "/sub/x"), ("GET", "/mine//x"),
    ]:  # fmt: skip
        for headers in ({}, {"Sec-Fetch-Mode": "navigate"}, {"HX-Request": "true"}, {"Origin": "https://evil.example"}):
            client.request(method, path, headers=headers)
            noted()
    clock.advance(50)
    client.get("/mine")
    noted()
    try:
        with client.websocket_connect("wss://testserver/ws"):
            pass
    except WebSocketDisconnect:
        pass
    for value in [f"{next(iter(seen))}x", "made-up-token-of-a-client", '"quoted-token-of-a-client"']:
        tampered = client_of(client.app)
        tampered.cookies.set("__Host-session", value)
        tampered.get("/mine")
        seen.add(value)
    client.post("/late")
    client.post("/logout")


@pytest.mark.parametrize("backend", [CookieBackend, lambda: CookieBackend(encrypt=True), BrokenStore],
                         ids=["signed", "encrypted", "memory"])  # fmt: skip
def test_no_logger_at_any_level_shows_a_value_a_token_or_an_id(
    backend: Any, clock: Any, everything_logged: pytest.LogCaptureFixture
) -> None:
    made = backend()
    app = busy_app(made, clock)
    seen: set[str] = set()

    if isinstance(made, CookieBackend):
        app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") != "/late"]
    with client_of(app, raise_server_exceptions=False) as client:
        drive(client, clock, seen)
        if isinstance(made, BrokenStore):
            client.post("/login")
            seen.update(cookie.value for cookie in client.cookies.jar if cookie.value)
            made.broken = True
            assert client.get("/mine").status_code == 503
            made.broken = False
            seen |= made.keys

    text = everything_logged.text
    assert "denied" in text
    assert "allowed" in text
    assert "so it denies" in text
    assert len(seen) > 3
    secrets = {*SPOKEN, *seen, *(token.partition(".")[0] for token in seen if len(token) > 30)}
    assert [secret for secret in secrets if secret in text] == []


def test_a_stored_session_that_no_longer_fits_is_logged_without_its_values(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    class Stricter(Subscriber):
        plan: int = 0  # type: ignore[assignment]
        address: list[str] = []  # type: ignore[assignment]  # noqa: RUF012

    client, kit = guarded(RouterGuard(protect=[Rule("/mine")], debug=True))
    signed_in(client, kit, Subscriber(**VALUES))
    token = client.cookies["__Host-session"]
    later = SessionKit(Stricter, secret_key=SECRET)
    app = FastAPI()
    later.install(app, guard=RouterGuard(protect=[Rule("/mine")], debug=True))
    stranger = client_of(app)
    stranger.cookies.set("__Host-session", token)

    assert stranger.get("/mine").status_code == 401
    assert "no longer fits Stricter" in everything_logged.text
    assert "plan" in everything_logged.text
    assert [word for word in [*SPOKEN, token] if word in everything_logged.text] == []


@pytest.mark.anyio
async def test_the_decision_s_own_words_hold_no_value() -> None:
    """An application may log a ``Decision``, or show it."""
    decision = await RouterGuard(protect=RULES).decide("GET", "/admin/x", Subscriber(**VALUES))

    text = repr(decision)
    assert [word for word in SPOKEN if word in text] == []
