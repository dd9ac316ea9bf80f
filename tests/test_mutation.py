"""The mutation helpers: what they promise, on every kind of response, from every kind of endpoint."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from fastapi.sse import EventSourceResponse
from fastapi.testclient import TestClient
from pydantic import Field, SecretStr, ValidationError, model_validator
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import (
    CookieBackend,
    CookieSettings,
    MemoryStore,
    NotAuthenticated,
    RouterGuard,
    Session,
    SessionBackend,
    SessionKit,
    SessionKitError,
    SessionRecord,
    StoreBackend,
    StoreUnavailable,
    clear_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.conftest import Clock

SECRET = "a secret of more than thirty-two characters"
COOKIE = "__Host-session"


class AppSession(Session):
    tier: Literal["free", "premium"] = "free"
    cart: list[str] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)
    note: Annotated[str, Field(max_length=20)] = ""

    @model_validator(mode="after")
    def guests_are_free(self) -> "AppSession":
        if self.role == "guest" and self.tier == "premium":
            msg = "a guest is on the free tier"
            raise ValueError(msg)
        return self


ADA = AppSession(user_id="ada", role="user")


class Store(MemoryStore):
    """Counts what is asked of it, waits as an engine does, and breaks on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.broken: set[str] = set()

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.broken:
            msg = "the engine is gone"
            raise ConnectionError(msg)

    async def get(self, key: str) -> SessionRecord | None:
        await self._called("get")
        return await super().get(key)

    async def create(self, key: str, record: SessionRecord) -> bool:
        await self._called("create")
        return await super().create(key, record)

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        await self._called("replace")
        return await super().replace(key, record, version=version)

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        await self._called("touch")
        return await super().touch(key, last_seen_at=last_seen_at, expires_at=expires_at)

    async def delete(self, key: str) -> bool:
        await self._called("delete")
        return await super().delete(key)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(params=["cookie", "encrypted", "store"])
def backend(request: pytest.FixtureRequest, store: Store) -> SessionBackend:
    if request.param == "store":
        return StoreBackend(store)
    return CookieBackend(encrypt=request.param == "encrypted")


@pytest.fixture
def kit(backend: SessionBackend, clock: Clock) -> SessionKit[AppSession]:
    return SessionKit(AppSession, secret_key=SECRET, backend=backend, clock=clock)


@pytest.fixture
def stored(store: Store, clock: Clock) -> SessionKit[AppSession]:
    """A kit on the store, where only that is in question."""
    return SessionKit(AppSession, secret_key=SECRET, backend=store, clock=clock)


def application(kit: SessionKit[Any]) -> tuple[FastAPI, TestClient]:
    app = FastAPI()
    kit.install(app)
    return app, TestClient(app, base_url="https://testserver", follow_redirects=False)


def runs(kit: SessionKit[AppSession], change: Callable[[Request], Any], session: AppSession | None = ADA) -> TestClient:
    """A client, signed in, after one request that changed something."""
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        result = change(request)
        if result is not None:
            await result

    if session is not None:
        signed_in(client, kit, session)
    assert client.post("/").status_code == 200
    return client


# Every kind of response

Change = Callable[[Request], None]


def returned_dict(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> dict[str, int]:
        change(request)
        return {"done": 1}


def returned_dict_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/")
    def endpoint(request: Request) -> dict[str, int]:
        change(request)
        return {"done": 1}


def redirect(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return RedirectResponse("/elsewhere", 303)


def redirect_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/")
    def endpoint(request: Request) -> Response:
        change(request)
        return RedirectResponse("/elsewhere", 303)


def streaming(app: FastAPI, change: Change) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return StreamingResponse(body())


def streaming_from_def(app: FastAPI, change: Change) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    @app.post("/")
    def endpoint(request: Request) -> Response:
        change(request)
        return StreamingResponse(body())


def events(app: FastAPI, change: Change) -> None:
    """An endpoint that yields runs once the response has started: what it depends on may still change something."""

    @app.post("/", response_class=EventSourceResponse, dependencies=[Depends(in_a_dependency(change))])
    async def endpoint() -> AsyncIterator[dict[str, int]]:
        yield {"done": 1}


def events_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/", response_class=EventSourceResponse, dependencies=[Depends(in_a_dependency(change))])
    def endpoint() -> Iterator[dict[str, int]]:
        yield {"done": 1}


def events_returned(app: FastAPI, change: Change) -> None:
    async def body() -> AsyncIterator[str]:
        yield "data: 1\n\n"

    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return EventSourceResponse(body())


def in_a_dependency(change: Change) -> Callable[[Request], None]:
    async def dependency(request: Request) -> None:
        change(request)

    return dependency  # type: ignore[return-value]


def in_a_dependency_that_yields(app: FastAPI, change: Change) -> None:
    async def dependency(request: Request) -> AsyncIterator[None]:
        change(request)
        yield

    @app.post("/", dependencies=[Depends(dependency)])
    async def endpoint() -> None: ...


def file(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return FileResponse(Path(__file__))


def http_exception(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request)
        raise HTTPException(404)


def http_exception_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/")
    def endpoint(request: Request) -> None:
        change(request)
        raise HTTPException(404)


def custom_handler(app: FastAPI, change: Change) -> None:
    @app.exception_handler(LookupError)
    async def handler(request: Request, error: Exception) -> Response:
        return JSONResponse({}, 410)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request)
        raise LookupError


def in_a_custom_handler(app: FastAPI, change: Change) -> None:
    @app.exception_handler(LookupError)
    async def handler(request: Request, error: Exception) -> Response:
        change(request)
        return JSONResponse({}, 410)

    @app.post("/")
    async def endpoint() -> None:
        raise LookupError


def background(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request, tasks: BackgroundTasks) -> None:
        tasks.add_task(print)
        change(request)


KINDS = [
    returned_dict,
    returned_dict_from_def,
    redirect,
    redirect_from_def,
    streaming,
    streaming_from_def,
    events,
    events_from_def,
    events_returned,
    in_a_dependency_that_yields,
    file,
    http_exception,
    http_exception_from_def,
    custom_handler,
    in_a_custom_handler,
    background,
]
Kind = Callable[[FastAPI, Change], None]
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_signing_in_is_saved_on_every_kind_of_response(kit: SessionKit[AppSession], kind: Kind) -> None:
    app, client = application(kit)
    kind(app, lambda request: set_session(request, ADA))

    response = client.post("/")

    assert response.status_code < 500
    assert session_of(client, kit) == ADA
    assert "no-store" in response.headers["cache-control"]


@every_kind
def test_a_change_is_saved_on_every_kind_of_response(kit: SessionKit[AppSession], kind: Kind) -> None:
    app, client = application(kit)
    kind(app, lambda request: update_session(request, tier="premium"))

    signed_in(client, kit, ADA).post("/")

    assert session_of(client, kit) == AppSession(user_id="ada", role="user", tier="premium")


@every_kind
def test_signing_out_is_saved_on_every_kind_of_response(kit: SessionKit[AppSession], kind: Kind) -> None:
    app, client = application(kit)
    kind(app, clear_session)
    signed_in(client, kit, ADA)

    client.post("/")

    assert COOKIE not in client.cookies


@every_kind
def test_the_response_itself_is_left_as_it_is(stored: SessionKit[AppSession], kind: Kind) -> None:
    (app, client), (other, bare) = application(stored), application(stored)
    kind(app, lambda request: set_session(request, ADA))
    kind(other, lambda request: None)

    with_session, without = client.post("/"), bare.post("/")

    assert (with_session.status_code, with_session.content) == (without.status_code, without.content)


@every_kind
def test_a_store_that_fails_at_commit_turns_every_kind_of_response_into_503(
    stored: SessionKit[AppSession], store: Store, kind: Kind
) -> None:
    app, client = application(stored)
    kind(app, lambda request: set_session(request, ADA))
    store.broken = {"create"}

    response = client.post("/")

    assert (response.status_code, response.json()) == (503, {"detail": "Session storage is unavailable"})
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == "no-store"


# When nothing is saved


@pytest.mark.parametrize("of_thread", [False, True], ids=["async", "def"])
def test_an_unhandled_error_saves_nothing(kit: SessionKit[AppSession], store: Store, of_thread: bool) -> None:
    app, _ = application(kit)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)

    def failing(request: Request) -> None:
        set_session(request, AppSession(user_id="eve"))
        raise RuntimeError

    async def failing_later(request: Request) -> None:
        failing(request)

    app.post("/")(failing if of_thread else failing_later)
    signed_in(client, kit, ADA)
    store.calls.clear()

    response = client.post("/")

    assert response.status_code == 500
    assert "set-cookie" not in response.headers
    assert store.calls == []
    assert session_of(client, kit) == ADA


def test_an_unhandled_error_saves_nothing_though_the_application_answers_it(kit: SessionKit[AppSession]) -> None:
    app, _ = application(kit)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> Response:
        return JSONResponse({}, 200)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        set_session(request, ADA)
        raise RuntimeError

    assert "set-cookie" not in client.post("/").headers


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_response_of_500_or_more_saves_nothing(kit: SessionKit[AppSession], store: Store, status: int) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        set_session(request, ADA)
        raise HTTPException(status)

    response = client.post("/")

    assert response.status_code == status
    assert "set-cookie" not in response.headers
    assert "create" not in store.calls


def test_a_change_in_place_is_not_saved_on_an_unhandled_error(kit: SessionKit[AppSession]) -> None:
    app, _ = application(kit)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)

    @app.post("/")
    async def endpoint(session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        session.cart.append("book")
        raise RuntimeError

    signed_in(client, kit, ADA).post("/")

    assert session_of(client, kit) == ADA


def test_an_error_after_the_response_has_started_keeps_what_was_saved(kit: SessionKit[AppSession]) -> None:
    app, _ = application(kit)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise RuntimeError("half way")

    @app.post("/")
    async def endpoint(request: Request) -> Response:
        set_session(request, ADA)
        return StreamingResponse(body())

    response = client.post("/")

    assert (response.status_code, response.content) == (200, b"a")
    assert session_of(client, kit) == ADA


def test_an_error_after_the_response_has_started_does_not_undo_the_change(
    stored: SessionKit[AppSession],
) -> None:
    app, client = application(stored)

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise RuntimeError("half way")

    @app.post("/")
    async def endpoint(request: Request) -> Response:
        update_session(request, tier="premium")
        return StreamingResponse(body())

    with pytest.raises(RuntimeError, match="half way"):
        signed_in(client, stored, ADA).post("/")

    session = session_of(client, stored)

    assert session is not None
    assert session.tier == "premium"


@pytest.mark.parametrize(
    ("act", "broken"),
    [
        (lambda request: set_session(request, ADA), "create"),
        (lambda request: update_session(request, tier="premium"), "replace"),
        (clear_session, "delete"),
        (regenerate_session, "create"),
        (regenerate_session, "replace"),
    ],
)
def test_background_tasks_do_not_run_for_what_was_not_saved(
    stored: SessionKit[AppSession], store: Store, act: Change, broken: str
) -> None:
    app, client = application(stored)
    ran: list[str] = []

    @app.post("/")
    async def endpoint(request: Request, tasks: BackgroundTasks) -> None:
        tasks.add_task(ran.append, "task")
        act(request)

    signed_in(client, stored, ADA)
    store.broken = {broken, "replace"} if broken == "delete" else {broken}
    response = client.post("/")

    assert (response.status_code, ran) == (503, [])
    store.broken = set()
    assert session_of(client, stored) == ADA
    assert client.post("/").status_code == 200
    assert ran == ["task"]


def test_a_failing_store_is_503_for_whoever_asks_and_nothing_for_whoever_does_not(
    stored: SessionKit[AppSession], store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    app, client = application(stored)

    @app.get("/asks", dependencies=[Depends(stored.get_session)])
    async def asks() -> None: ...

    @app.get("/does-not")
    async def does_not() -> None: ...

    signed_in(client, stored, ADA)
    store.broken = {"get"}

    assert (client.get("/asks").status_code, client.get("/does-not").status_code) == (503, 200)
    assert "Session store failed" in caplog.text


def test_a_failing_store_behind_the_gate_is_503_and_not_a_redirect_to_the_login_page(store: Store) -> None:
    kit, app = SessionKit(AppSession, secret_key=SECRET, backend=store), FastAPI()
    kit.install(app, guard=RouterGuard(login_path="/login", global_protect=True))
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    signed_in(client, kit, ADA)
    store.broken = {"get"}

    assert client.get("/", headers={"sec-fetch-mode": "navigate"}).status_code == 503


def test_a_touch_that_fails_is_nobodys_503(stored: SessionKit[AppSession], store: Store, clock: Clock) -> None:
    app, client = application(stored)

    @app.get("/", dependencies=[Depends(stored.require_session)])
    async def read() -> None: ...

    signed_in(client, stored, ADA)
    clock.advance(86_400)
    store.broken = {"touch"}

    assert client.get("/").status_code == 200
    assert "touch" in store.calls


def test_the_application_may_answer_a_failed_commit_itself(stored: SessionKit[AppSession], store: Store) -> None:
    app, client = application(stored)

    @app.exception_handler(StoreUnavailable)
    async def sorry(request: Request, error: Exception) -> Response:
        return JSONResponse("sorry", 503)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        set_session(request, ADA)

    store.broken = {"create"}
    response = client.post("/")

    assert (response.status_code, response.json()) == (503, "sorry")


# Signing in


def test_signing_in_again_ends_the_session_there_was_without_grace(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        set_session(request, AppSession(user_id="grace"))

    old = signed_in(client, stored, ADA).cookies[COOKIE]
    client.post("/")
    new = client.cookies[COOKIE]

    assert old != new
    assert session_of(client, stored) == AppSession(user_id="grace")
    assert session_of(with_cookie(client, old), stored) is None


def with_cookie(client: TestClient, token: str) -> TestClient:
    client.cookies.clear()
    client.cookies.set(COOKIE, token, domain="testserver.local", path="/")
    return client


def test_ttl_is_this_sessions_own_idle_lifetime(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = runs(kit, lambda request: set_session(request, ADA, ttl=timedelta(hours=1)), None)

    clock.advance(3_599)
    assert session_of(client, kit) == ADA
    clock.advance(1)
    assert session_of(client, kit) is None


def test_ttl_stays_the_sessions_own_as_it_is_used(kit: SessionKit[AppSession], clock: Clock) -> None:
    app, client = application(kit)

    @app.post("/")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA, ttl=3_600)

    @app.get("/", dependencies=[Depends(kit.require_session)])
    async def read() -> None: ...

    client.post("/")
    for _ in range(5):
        clock.advance(3_000)
        assert client.get("/").status_code == 200
    clock.advance(3_600)
    assert client.get("/").status_code == 401


def test_ttl_may_be_longer_than_the_kits_idle_lifetime(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = runs(kit, lambda request: set_session(request, ADA, ttl=timedelta(days=20)), None)

    clock.advance(19 * 86_400)

    assert session_of(client, kit) == ADA


def test_ttl_does_not_outlast_the_absolute_lifetime(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = runs(kit, lambda request: set_session(request, ADA, ttl=timedelta(days=90)), None)

    clock.advance(30 * 86_400)

    assert session_of(client, kit) is None


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), "1h", True])
def test_a_ttl_that_is_no_length_of_time_raises_and_signs_nobody_in(kit: SessionKit[AppSession], ttl: Any) -> None:
    def attempt(request: Request) -> None:
        with pytest.raises(ValueError, match="ttl"):
            set_session(request, ADA, ttl=ttl)

    assert session_of(runs(kit, attempt, None), kit) is None


@pytest.mark.parametrize("session", [Session(user_id="u"), {"user_id": "u"}, None, "ada"])
def test_set_session_takes_the_kits_model_only(kit: SessionKit[AppSession], session: Any) -> None:
    def attempt(request: Request) -> None:
        with pytest.raises(TypeError, match="AppSession"):
            set_session(request, session)

    assert session_of(runs(kit, attempt, None), kit) is None


def test_what_could_not_be_read_back_is_not_saved(kit: SessionKit[AppSession]) -> None:
    def attempt(request: Request) -> None:
        with pytest.raises(ValidationError):
            set_session(request, AppSession.model_construct(user_id=""))

    assert session_of(runs(kit, attempt, None), kit) is None


# Changing


def test_a_change_is_seen_by_later_reads_of_the_request(kit: SessionKit[AppSession]) -> None:
    seen: list[AppSession | None] = []

    async def change(request: Request) -> None:
        update_session(request, tier="premium")
        seen.append(await kit.get_session(request))

    runs(kit, change)

    assert seen == [AppSession(user_id="ada", role="user", tier="premium")]


def test_a_session_that_was_handed_out_does_not_change_under_its_holder(kit: SessionKit[AppSession]) -> None:
    tiers: list[str] = []

    async def change(request: Request) -> None:
        session = await kit.require_session(request)
        update_session(request, tier="premium")
        tiers.append(session.tier)

    runs(kit, change)

    assert tiers == ["free"]


def test_a_change_needs_nobody_to_have_loaded_the_session(kit: SessionKit[AppSession]) -> None:
    client = runs(kit, lambda request: update_session(request, tier="premium"))

    assert session_of(client, kit) == AppSession(user_id="ada", role="user", tier="premium")


def test_several_changes_add_up_and_the_last_one_wins(kit: SessionKit[AppSession]) -> None:
    async def change(request: Request) -> None:
        update_session(request, note="first", tier="premium")
        await kit.get_session(request)
        update_session(request, note="last")

    session = session_of(runs(kit, change), kit)

    assert session == AppSession(user_id="ada", role="user", tier="premium", note="last")


def test_an_extra_field_may_be_added(kit: SessionKit[AppSession]) -> None:
    session = session_of(runs(kit, lambda request: update_session(request, theme="dark")), kit)

    assert session is not None
    assert session.model_extra == {"theme": "dark"}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    "changes",
    [{"tier": "gold"}, {"user_id": ""}, {"note": "x" * 21}, {"tier": "premium", "cart": 3}, {"user_id": None}],
    ids=str,
)
def test_an_invalid_change_raises_at_once_and_changes_nothing(
    kit: SessionKit[AppSession], loaded: bool, changes: dict[str, Any]
) -> None:
    async def attempt(request: Request) -> None:
        if loaded:
            await kit.require_session(request)
        with pytest.raises(ValidationError):
            update_session(request, **changes)
        assert await kit.require_session(request) == ADA

    client = runs(kit, attempt)

    assert session_of(client, kit) == ADA


def test_an_invalid_change_leaves_the_changes_before_it(kit: SessionKit[AppSession]) -> None:
    async def attempt(request: Request) -> None:
        await kit.require_session(request)
        update_session(request, note="kept")
        with pytest.raises(ValidationError):
            update_session(request, note="x" * 21)

    assert session_of(runs(kit, attempt), kit) == AppSession(user_id="ada", role="user", note="kept")


def test_a_change_that_fits_no_more_beside_the_rest_is_never_saved(kit: SessionKit[AppSession]) -> None:
    """Fields that are valid alone and not together: noticed once the session is loaded, at the latest at commit."""
    app, _ = application(kit)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, tier="premium")

    guest = AppSession(user_id="eve", role="guest")
    response = signed_in(client, kit, guest).post("/")

    assert response.status_code == 500
    assert session_of(client, kit) == guest


@pytest.mark.parametrize("helper", [lambda request: update_session(request, tier="premium"), regenerate_session])
def test_with_nobody_signed_in_changing_raises_not_authenticated(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        helper(request)

    response = client.post("/")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("token", ["made-up", "a.b", "e30.AAAA"])
def test_with_a_token_that_is_nobodys_an_unseen_change_is_401_and_not_done(
    kit: SessionKit[AppSession], token: str
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> str:
        update_session(request, tier="premium")
        return "done"

    response = with_cookie(client, token).post("/")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert "cookie" in response.headers["vary"].lower()


@pytest.mark.parametrize("helper", [lambda request: update_session(request, tier="premium"), regenerate_session])
def test_after_signing_out_in_the_same_request_changing_raises_not_authenticated(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    def attempt(request: Request) -> None:
        clear_session(request)
        with pytest.raises(NotAuthenticated):
            helper(request)

    assert session_of(runs(kit, attempt), kit) is None


def test_after_signing_in_in_the_same_request_changes_are_part_of_it(kit: SessionKit[AppSession]) -> None:
    def change(request: Request) -> None:
        set_session(request, ADA)
        update_session(request, tier="premium")
        regenerate_session(request)

    assert session_of(runs(kit, change, None), kit) == AppSession(user_id="ada", role="user", tier="premium")


def test_what_is_marked_last_is_done(kit: SessionKit[AppSession]) -> None:
    def in_and_out(request: Request) -> None:
        set_session(request, AppSession(user_id="eve"))
        clear_session(request)

    def out_and_in(request: Request) -> None:
        clear_session(request)
        set_session(request, AppSession(user_id="grace"))

    assert session_of(runs(kit, in_and_out), kit) is None
    assert session_of(runs(kit, out_and_in), kit) == AppSession(user_id="grace")


def test_a_validator_that_wants_the_whole_session_is_given_it_at_commit() -> None:
    class Whole(Session):
        @model_validator(mode="before")
        @classmethod
        def looks_at_everything(cls, fields: dict[str, Any]) -> dict[str, Any]:
            assert fields["user_id"]
            return fields

    kit = SessionKit(Whole, secret_key=SECRET)
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, role="editor")

    assert signed_in(client, kit, Whole(user_id="u")).post("/").status_code == 200
    assert session_of(client, kit) == Whole(user_id="u", role="editor")


def test_update_session_with_a_field_the_model_does_not_have_raises() -> None:
    """A model that ignores what it does not know would drop the change without a word."""

    class Plain(Session, extra="ignore"):
        pass

    kit = SessionKit(Plain, secret_key=SECRET)
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        with pytest.raises(ValueError, match="colour"):
            update_session(request, colour="red")

    assert signed_in(client, kit, Plain(user_id="u")).post("/").status_code == 200


# Changes in place


def in_place(kit: SessionKit[AppSession], act: Callable[[Request, AppSession], Any]) -> AppSession:
    async def change(request: Request) -> None:
        result = act(request, await kit.require_session(request))
        if result is not None:
            await result

    session = session_of(runs(kit, change), kit)
    assert session is not None
    return session


def test_a_change_inside_a_nested_value_is_noticed_and_saved(kit: SessionKit[AppSession]) -> None:
    def act(_: Request, session: AppSession) -> None:
        session.cart.append("book")
        session.settings["colour"] = {"of": ["the", "walls"]}

    session = in_place(kit, act)

    assert (session.cart, session.settings) == (["book"], {"colour": {"of": ["the", "walls"]}})


def test_a_change_inside_a_nested_value_is_noticed_beside_an_update(kit: SessionKit[AppSession]) -> None:
    def act(request: Request, session: AppSession) -> None:
        session.cart.append("before")
        update_session(request, tier="premium")

    session = in_place(kit, act)

    assert (session.cart, session.tier) == (["before"], "premium")


def test_a_change_inside_the_old_session_is_noticed_after_an_update(kit: SessionKit[AppSession]) -> None:
    def act(request: Request, session: AppSession) -> None:
        update_session(request, tier="premium")
        session.cart.append("after")

    session = in_place(kit, act)

    assert (session.cart, session.tier) == (["after"], "premium")


def test_a_change_inside_the_new_session_is_noticed_after_an_update(kit: SessionKit[AppSession]) -> None:
    async def act(request: Request, session: AppSession) -> None:
        update_session(request, tier="premium")
        (await kit.require_session(request)).cart.append("after")

    session = in_place(kit, act)

    assert (session.cart, session.tier) == (["after"], "premium")


def test_a_change_inside_a_session_between_two_updates_is_noticed(kit: SessionKit[AppSession]) -> None:
    async def act(request: Request, session: AppSession) -> None:
        update_session(request, tier="premium")
        between = await kit.require_session(request)
        update_session(request, note="second")
        between.cart.append("book")

    session = in_place(kit, act)

    assert (session.cart, session.tier, session.note) == (["book"], "premium", "second")


def test_an_update_wins_over_a_change_in_place_before_it(kit: SessionKit[AppSession]) -> None:
    def act(request: Request, session: AppSession) -> None:
        session.cart.append("book")
        update_session(request, cart=[])

    assert in_place(kit, act).cart == []


def test_a_change_inside_the_session_that_signs_in_is_noticed_until_the_commit(kit: SessionKit[AppSession]) -> None:
    def sign_in(request: Request) -> None:
        session = AppSession(user_id="ada")
        set_session(request, session)
        session.cart.append("first")
        update_session(request, tier="premium")
        session.settings["late"] = True

    session = session_of(runs(kit, sign_in, None), kit)

    assert session == AppSession(user_id="ada", tier="premium", cart=["first"], settings={"late": True})


def test_a_change_in_place_is_seen_by_no_other_request(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.get("/spoil")
    async def spoil(session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        session.cart.append("spoiled")
        raise HTTPException(500)

    @app.get("/")
    async def read(session: Annotated[AppSession, Depends(kit.require_session)]) -> list[str]:
        return session.cart

    signed_in(client, kit, ADA)
    client.get("/")
    client.get("/spoil")

    assert client.get("/").json() == []


def test_a_change_in_place_that_the_model_refuses_is_not_saved(kit: SessionKit[AppSession]) -> None:
    app, _ = application(kit)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)

    @app.post("/")
    async def endpoint(session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        session.cart.append(object())  # type: ignore[arg-type]

    response = signed_in(client, kit, ADA).post("/")

    assert response.status_code == 500
    assert session_of(client, kit) == ADA


def test_a_change_in_place_becomes_a_patch_of_that_field_only(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.post("/outer")
    async def outer(session: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        session.cart.append("book")
        # Meanwhile another request changes another field.
        other = TestClient(app, base_url="https://testserver", cookies=client.cookies)
        await anyio.to_thread.run_sync(other.post, "/inner")

    @app.post("/inner")
    async def inner(request: Request) -> None:
        update_session(request, tier="premium")

    signed_in(client, stored, ADA).post("/outer")
    session = session_of(client, stored)

    assert session is not None
    assert (session.cart, session.tier) == (["book"], "premium")


# A new id


@pytest.mark.parametrize(
    "changes",
    [{"user_id": "grace"}, {"role": "admin"}, {"role": None}, {"roles": ["editor"]}, {"permissions": ["write"]}],
    ids=str,
)
@pytest.mark.parametrize("loaded", [False, True])
def test_a_change_of_privileges_moves_to_a_new_id(
    stored: SessionKit[AppSession], changes: dict[str, Any], loaded: bool
) -> None:
    async def change(request: Request) -> None:
        if loaded:
            await stored.require_session(request)
        update_session(request, **changes)

    app, client = application(stored)
    app.post("/")(change)
    old = signed_in(client, stored, ADA).cookies[COOKIE]
    client.post("/")

    assert client.cookies[COOKIE] != old
    assert session_of(client, stored) == AppSession.model_validate({**ADA.model_dump(), **changes})


@pytest.mark.parametrize("changes", [{"tier": "premium"}, {"role": "user"}, {"email": "a@b"}], ids=str)
def test_a_change_of_anything_else_keeps_the_id(stored: SessionKit[AppSession], changes: dict[str, Any]) -> None:
    app, client = application(stored)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, **changes)

    signed_in(client, stored, ADA)
    response = client.post("/")

    assert "set-cookie" not in response.headers


def test_regenerate_session_keeps_the_data_under_a_new_id(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)
    app.post("/")(in_a_dependency(regenerate_session))
    old = signed_in(client, stored, ADA).cookies[COOKIE]

    client.post("/")

    assert client.cookies[COOKIE] != old
    assert session_of(client, stored) == ADA


# Signing out


def test_signing_out_deletes_the_record_and_expires_the_cookie(stored: SessionKit[AppSession], store: Store) -> None:
    app, client = application(stored)
    app.post("/")(in_a_dependency(clear_session))
    token = signed_in(client, stored, ADA).cookies[COOKIE]

    cookie = client.post("/").headers["set-cookie"]

    assert cookie.startswith(f"{COOKIE}=;")
    assert "Max-Age=0" in cookie
    assert session_of(with_cookie(client, token), stored) is None


def test_the_cookie_is_removed_with_the_attributes_that_it_was_set_with(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA)

    app.post("/out")(in_a_dependency(clear_session))

    def attributes(cookie: str) -> set[str]:
        parts = {part.strip() for part in cookie.split(";")[1:]}
        return {part for part in parts if not part.startswith(("Max-Age", "Expires"))}

    was_set, removed = (client.post(path).headers["set-cookie"] for path in ("/in", "/out"))

    assert attributes(was_set) == attributes(removed) == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}


def test_signing_nobody_out_is_fine(kit: SessionKit[AppSession]) -> None:
    assert session_of(runs(kit, clear_session, None), kit) is None


# Too late

HELPERS: list[Callable[[Request | WebSocket], None]] = [
    lambda connection: set_session(connection, ADA),
    lambda connection: update_session(connection, tier="premium"),
    clear_session,
    regenerate_session,
]
every_helper = pytest.mark.parametrize("helper", HELPERS, ids=["set", "update", "clear", "regenerate"])


@every_helper
def test_in_a_background_task_every_helper_raises_and_says_so(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request, tasks: BackgroundTasks) -> None:
        tasks.add_task(helper, request)

    signed_in(client, kit, ADA)

    with pytest.raises(SessionKitError, match="the response has started"):
        client.post("/")
    assert session_of(client, kit) == ADA


@every_helper
def test_in_the_body_of_a_stream_every_helper_raises_and_says_so(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            helper(request)
            yield b"a"

        return StreamingResponse(body())

    with pytest.raises(SessionKitError, match="the response has started"):
        signed_in(client, kit, ADA).post("/")


@every_helper
def test_behind_the_yield_of_a_dependency_every_helper_raises_and_says_so(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    app, client = application(kit)

    async def dependency(request: Request) -> AsyncIterator[None]:
        yield
        helper(request)

    @app.post("/", dependencies=[Depends(dependency)])
    async def endpoint() -> None: ...

    with pytest.raises(SessionKitError, match="the response has started"):
        signed_in(client, kit, ADA).post("/")


@every_helper
def test_while_the_commit_is_waiting_for_the_store_every_helper_raises_and_says_so(
    clock: Clock, helper: Callable[[Request], None]
) -> None:
    """A change that came between would be lost without a word: what is being saved is decided already."""
    during: list[Callable[[], None]] = []

    class Waiting(Store):
        async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
            while during:
                during.pop()()
            return await super().replace(key, record, version=version)

    kit = SessionKit(AppSession, secret_key=SECRET, backend=Waiting(), clock=clock)
    app, client = application(kit)
    raised: list[SessionKitError] = []

    def meanwhile(request: Request) -> None:
        try:
            helper(request)
        except SessionKitError as error:
            raised.append(error)

    @app.post("/")
    async def endpoint(request: Request, session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        update_session(request, note="committed")
        during.append(lambda: meanwhile(request))

    signed_in(client, kit, ADA).post("/")
    session = session_of(client, kit)

    assert len(raised) == 1
    assert session is not None
    assert (session.note, session.tier) == ("committed", "free")


# WebSockets


def test_before_accept_a_web_socket_signs_in_with_the_handshake(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        set_session(websocket, ADA)
        await websocket.accept()
        await websocket.close()

    with client.websocket_connect("wss://testserver/ws") as connection:
        headers: list[tuple[bytes, bytes]] = connection.extra_headers or []
        cookies = [value for name, value in headers if name == b"set-cookie"]

    assert len(cookies) == 1
    token = cookies[0].decode().partition("=")[2].partition(";")[0]
    assert session_of(with_cookie(client, token), kit) == ADA


def test_before_accept_a_web_socket_may_change_the_session(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, session: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        update_session(websocket, tier="premium")
        session.cart.append("book")
        await websocket.accept()
        await websocket.close()

    signed_in(client, stored, ADA)
    with client.websocket_connect("wss://testserver/ws"):
        pass
    session = session_of(client, stored)

    assert session is not None
    assert (session.tier, session.cart) == ("premium", ["book"])


@every_helper
def test_after_accept_every_helper_raises_and_says_so(
    kit: SessionKit[AppSession], helper: Callable[[WebSocket], None]
) -> None:
    app, client = application(kit)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            helper(websocket)
        except SessionKitError as error:
            await websocket.send_text(str(error))
        await websocket.close()

    signed_in(client, kit, ADA)
    with client.websocket_connect("wss://testserver/ws") as connection:
        said = connection.receive_text()

    assert "the response has started" in said
    assert session_of(client, kit) == ADA


def test_an_error_before_accept_saves_nothing(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        update_session(websocket, tier="premium")
        raise RuntimeError("before accept")

    signed_in(client, stored, ADA)
    with pytest.raises(RuntimeError, match="before accept"), client.websocket_connect("wss://testserver/ws"):
        pass

    assert session_of(client, stored) == ADA


def test_a_store_that_fails_at_accept_refuses_the_handshake(stored: SessionKit[AppSession], store: Store) -> None:
    app, client = application(stored)
    accepted: list[str] = []

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        set_session(websocket, ADA)
        await websocket.accept()
        accepted.append("accepted")

    store.broken = {"create"}
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("wss://testserver/ws"),
    ):
        pass

    assert getattr(refused.value, "status_code", None) == 503
    assert accepted == []


# Late writes


@pytest.mark.parametrize(
    "late",
    [
        lambda request: update_session(request, tier="premium"),
        lambda request: update_session(request, role="admin"),
        regenerate_session,
    ],
    ids=["update", "privileges", "regenerate"],
)
def test_a_late_write_to_a_session_that_was_deleted_meanwhile_is_dropped(
    stored: SessionKit[AppSession], store: Store, caplog: pytest.LogCaptureFixture, late: Change
) -> None:
    app, client = application(stored)
    token = signed_in(client, stored, ADA).cookies[COOKIE]

    @app.post("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.post("/late")
    async def write(request: Request, _: Annotated[AppSession, Depends(stored.require_session)]) -> str:
        other = TestClient(app, base_url="https://testserver", cookies=client.cookies)
        await anyio.to_thread.run_sync(other.post, "/out")
        late(request)
        return "the response stands"

    response = client.post("/late")

    assert (response.status_code, response.json()) == (200, "the response stands")
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert session_of(with_cookie(client, token), stored) is None
    assert any(record.levelno >= logging.WARNING and "dropped" in record.getMessage() for record in caplog.records)
    assert "ada" not in caplog.text


def test_a_late_touch_does_not_bring_a_deleted_session_back(stored: SessionKit[AppSession], clock: Clock) -> None:
    app, client = application(stored)
    token = signed_in(client, stored, ADA).cookies[COOKIE]
    clock.advance(86_400)

    @app.post("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.get("/late")
    async def read(_: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        other = TestClient(app, base_url="https://testserver", cookies=client.cookies)
        await anyio.to_thread.run_sync(other.post, "/out")

    client.get("/late")

    assert session_of(with_cookie(client, token), stored) is None


# A stored session that no longer fits


def test_a_stored_session_that_no_longer_fits_is_nobody_is_logged_without_values_and_is_removed(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class New(Session):
        tier: Literal["bronze", "silver"] = "bronze"

    store = Store()
    old = SessionKit(AppSession, secret_key=SECRET, backend=store, clock=clock)
    new = SessionKit(New, secret_key=SECRET, backend=StoreBackend(store), clock=clock)
    app, client = application(new)

    @app.get("/")
    async def read(session: Annotated[New | None, Depends(new.get_session)]) -> bool:
        return session is not None

    token = signed_in(client, old, AppSession(user_id="SECRET", tier="premium")).cookies[COOKIE]
    response = client.get("/")

    assert response.json() is False
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert session_of(with_cookie(client, token), old) is None
    assert "tier" in caplog.text
    assert not {"SECRET", "premium"} & set(caplog.text.replace("'", " ").split())


def test_an_untouched_visitor_costs_no_row_and_no_cookie(stored: SessionKit[AppSession], store: Store) -> None:
    app, client = application(stored)

    @app.get("/", dependencies=[Depends(stored.get_session)])
    async def read() -> None: ...

    response = client.get("/")

    assert "set-cookie" not in response.headers
    assert store.calls == []


# What ends before it is answered


def test_a_sign_in_on_a_websocket_that_is_then_refused_leaves_the_session_there_was(
    stored: SessionKit[AppSession],
) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        set_session(websocket, AppSession(user_id="eve"))
        await websocket.close()

    signed_in(client, stored, ADA)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/ws"):
        pass

    assert session_of(client, stored) == ADA


def test_a_sign_out_on_a_websocket_that_is_then_refused_ends_the_session(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        clear_session(websocket)
        await websocket.close()

    signed_in(client, stored, ADA)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/ws"):
        pass

    assert session_of(client, stored) is None


def test_a_handler_of_what_the_commit_raised_may_sign_out(stored: SessionKit[AppSession], store: Store) -> None:
    app, client = application(stored)

    @app.exception_handler(NotAuthenticated)
    async def signed_out(request: Request, error: NotAuthenticated) -> JSONResponse:
        clear_session(request)
        return JSONResponse({"detail": error.detail}, 401)

    @app.post("/unseen")
    async def unseen(request: Request) -> None:
        update_session(request, tier="premium")

    signed_in(client, stored, ADA)
    anyio.run(store.delete_user, "ada")
    answer = client.post("/unseen")

    assert answer.status_code == 401
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=; Max-Age=0;")
    assert not client.cookies


def test_a_handler_of_a_failed_commit_that_fails_to_save_too_gives_503_and_nothing_is_sent_twice(
    stored: SessionKit[AppSession], store: Store
) -> None:
    app, _ = application(stored)
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)

    @app.exception_handler(StoreUnavailable)
    async def again(request: Request, error: StoreUnavailable) -> JSONResponse:
        set_session(request, ADA)
        return JSONResponse({"detail": error.detail}, 400)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, ADA)

    store.broken = {"create"}
    answer = client.post("/login")

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers


def test_a_secret_that_would_be_saved_as_asterisks_is_refused(clock: Clock) -> None:
    class Locked(Session):
        pin: SecretStr = SecretStr("")

    kit = SessionKit(Locked, secret_key=SECRET, backend=MemoryStore(), clock=clock)
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        set_session(request, Locked(user_id="ada", pin=SecretStr("1234")))

    with pytest.raises(TypeError, match="pin would be lost"):
        client.post("/")


def test_a_counter_is_raised_by_a_function_of_the_session(kit: SessionKit[AppSession]) -> None:
    def count(request: Request) -> None:
        update_session(request, lambda session: {"settings": {"n": session.settings.get("n", 0) + 1}})
        update_session(request, lambda session: {"settings": {"n": session.settings["n"] + 1}})

    app, client = application(kit)

    @app.post("/seen", dependencies=[Depends(kit.require_session)])
    async def seen(request: Request) -> None:
        count(request)

    @app.post("/unseen")
    async def unseen(request: Request) -> None:
        count(request)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, ADA)
        count(request)

    client.post("/login")
    client.post("/seen")
    client.post("/unseen")
    session = session_of(client, kit)

    assert session is not None
    assert session.settings == {"n": 6}


def test_a_function_and_fields_at_once_are_refused(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, lambda _: {}, tier="premium")

    signed_in(client, kit, ADA)
    with pytest.raises(TypeError, match="either fields"):
        client.post("/")


@pytest.mark.parametrize("looks", [False, True])
def test_regenerating_when_nobody_turns_out_to_be_signed_in_is_401_and_takes_no_cookie(
    kit: SessionKit[AppSession], clock: Clock, looks: bool
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        regenerate_session(request)
        if looks:
            await kit.get_session(request)

    signed_in(client, kit, ADA)
    clock.advance(timedelta(days=60).total_seconds())
    response = client.post("/")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_module_level_helpers_in_a_handler_are_the_outer_kit_s_when_its_commit_failed(
    stored: SessionKit[AppSession], store: Store
) -> None:
    (app, client), inner = application(stored), FastAPI()
    SessionKit(secret_key=SECRET, name="inner", cookie=CookieSettings(name="inner")).install(inner)
    app.mount("/inner", inner)

    @app.exception_handler(StoreUnavailable)
    async def note(request: Request, error: StoreUnavailable) -> JSONResponse:
        update_session(request, tier="free")
        return JSONResponse({}, 503)

    @inner.post("/")
    async def endpoint(request: Request) -> None:
        stored.update_session(request, tier="premium")

    signed_in(client, stored, ADA)
    store.broken = {"replace"}

    assert client.post("/inner/").status_code == 503
