"""When a request or its store fails: what is saved, what is answered, and what a handler may still do."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from fastapi_sessionkit import (
    CookieSettings,
    NotAuthenticated,
    RouterGuard,
    SessionKit,
    StoreUnavailable,
    clear_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import Change
from tests.support import (
    ADA,
    COOKIE,
    AppSession,
    Clock,
    RecordingStore,
    app_kit,
    application,
    client_of,
    new_kit,
)

# When nothing is saved


@pytest.mark.parametrize("of_thread", [False, True], ids=["async", "def"])
def test_an_unhandled_error_saves_nothing(kit: SessionKit[AppSession], store: RecordingStore, of_thread: bool) -> None:
    app, _ = application(kit)
    client = client_of(app, raise_server_exceptions=False)

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
    client = client_of(app, raise_server_exceptions=False)

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> Response:
        return JSONResponse({}, 200)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        set_session(request, ADA)
        raise RuntimeError

    assert "set-cookie" not in client.post("/").headers


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_response_of_500_or_more_saves_nothing(
    kit: SessionKit[AppSession], store: RecordingStore, status: int
) -> None:
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
    client = client_of(app, raise_server_exceptions=False)

    @app.post("/")
    async def endpoint(session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        session.cart.append("book")
        raise RuntimeError

    signed_in(client, kit, ADA).post("/")

    assert session_of(client, kit) == ADA


def test_an_error_after_the_response_has_started_keeps_what_was_saved(kit: SessionKit[AppSession]) -> None:
    app, _ = application(kit)
    client = client_of(app, raise_server_exceptions=False)

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
    stored: SessionKit[AppSession], store: RecordingStore, act: Change, broken: str
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


def test_a_failing_store_is_503_for_whoever_asks_and_for_nobody_else(
    stored: SessionKit[AppSession], store: RecordingStore, caplog: pytest.LogCaptureFixture
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


def test_a_failing_store_behind_the_gate_is_503_and_no_redirect_to_login(store: RecordingStore) -> None:
    kit, app = app_kit(backend=store), FastAPI()
    kit.install(app, guard=RouterGuard(login_path="/login", global_protect=True))
    client = client_of(app)
    signed_in(client, kit, ADA)
    store.broken = {"get"}

    assert client.get("/", headers={"sec-fetch-mode": "navigate"}).status_code == 503


def test_a_touch_that_fails_is_nobodys_503(stored: SessionKit[AppSession], store: RecordingStore, clock: Clock) -> None:
    app, client = application(stored)

    @app.get("/", dependencies=[Depends(stored.require_session)])
    async def read() -> None: ...

    signed_in(client, stored, ADA)
    clock.advance(86_400)
    store.broken = {"touch"}

    assert client.get("/").status_code == 200
    assert "touch" in store.calls


def test_the_application_may_answer_a_failed_commit_itself(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
    app, client = application(stored)

    @app.exception_handler(StoreUnavailable)
    async def sorry(request: Request, error: Exception) -> Response:
        return JSONResponse(f"sorry for {(await request.body()).decode()}", 503)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        set_session(request, ADA)

    store.broken = {"create"}
    response = client.post("/", content="the draft")

    assert (response.status_code, response.json()) == (503, "sorry for the draft")


def test_what_goes_on_sending_after_a_failed_commit_adds_nothing(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
    """An application may take the error in ``send`` for a client that has gone, and carry on."""
    app, client = application(stored)
    refused: list[type[OSError]] = []

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        stored.update_session(Request(scope), tier="premium")
        for message in (
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.body", "body": b"done"},
        ):
            try:
                await send(message)
            except OSError as error:
                refused.append(type(error))

    app.mount("/stubborn", stubborn)
    signed_in(client, stored, ADA)
    store.broken = {"replace"}
    answer = client.get("/stubborn/")

    assert (answer.status_code, "done" in answer.text) == (503, False)
    assert len(refused) == 2


# What a handler may do about a failed commit


def test_a_handler_of_what_the_commit_raised_may_sign_out(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
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


def test_a_handler_of_a_failed_commit_that_fails_to_save_too_gives_503(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
    app, _ = application(stored)
    client = client_of(app, raise_server_exceptions=False)

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


def test_the_module_s_helpers_after_a_failed_commit_are_the_outer_kit_s(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
    (app, client), inner = application(stored), FastAPI()
    new_kit(name="inner", cookie=CookieSettings(name="inner")).install(inner)
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
