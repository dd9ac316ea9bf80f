"""Changes that come too late: after the response has started, or after the session has ended."""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Annotated

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, Request
from fastapi.responses import Response, StreamingResponse

from fastapi_sessionkit import (
    SessionKit,
    SessionKitError,
    SessionRecord,
    clear_session,
    regenerate_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import Change, every_helper
from tests.support import (
    ADA,
    COOKIE,
    AppSession,
    Clock,
    RecordingStore,
    app_kit,
    application,
    client_of,
    holding,
)

# Too late


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
def test_while_the_commit_waits_for_the_store_every_helper_raises(
    clock: Clock, helper: Callable[[Request], None]
) -> None:
    """A change that came between would be lost without a word: what is being saved is decided already."""
    during: list[Callable[[], None]] = []

    class Waiting(RecordingStore):
        async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
            while during:
                during.pop()()
            return await super().replace(key, record, version=version)

    kit = app_kit(backend=Waiting(), clock=clock)
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


@every_helper
def test_after_an_unhandled_error_every_helper_raises_and_says_so(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    app, _ = application(kit)
    client = client_of(app, raise_server_exceptions=False)

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> Response:
        with pytest.raises(SessionKitError, match="the request has failed"):
            helper(request)
        return Response("told", 500)

    @app.post("/")
    async def endpoint() -> None:
        raise RuntimeError

    answer = signed_in(client, kit, ADA).post("/")

    assert answer.text == "told"
    assert session_of(client, kit) == ADA


@every_helper
def test_after_a_commit_that_failed_every_helper_raises_and_says_so(
    stored: SessionKit[AppSession], store: RecordingStore, helper: Callable[[Request], None]
) -> None:
    """Another response went out in the meantime, so that nothing of this request is saved any more."""
    app, client = application(stored)
    raised: list[SessionKitError] = []

    async def dependency(request: Request) -> AsyncIterator[None]:
        try:
            yield
        finally:
            with pytest.raises(SessionKitError, match="the response has started") as error:
                helper(request)
            raised.append(error.value)

    @app.post("/", dependencies=[Depends(dependency)])
    async def endpoint(request: Request) -> None:
        update_session(request, tier="premium")
        store.broken = {"replace"}

    answer = signed_in(client, stored, ADA).post("/")
    store.broken = set()

    assert (answer.status_code, len(raised)) == (503, 1)
    assert session_of(client, stored) == ADA


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
    stored: SessionKit[AppSession], store: RecordingStore, caplog: pytest.LogCaptureFixture, late: Change
) -> None:
    app, client = application(stored)
    token = signed_in(client, stored, ADA).cookies[COOKIE]

    @app.post("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.post("/late")
    async def write(request: Request, _: Annotated[AppSession, Depends(stored.require_session)]) -> str:
        other = client_of(app, cookies=client.cookies)
        await anyio.to_thread.run_sync(other.post, "/out")
        late(request)
        return "the response stands"

    response = client.post("/late")

    assert (response.status_code, response.json()) == (200, "the response stands")
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert session_of(holding(client, token), stored) is None
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
        other = client_of(app, cookies=client.cookies)
        await anyio.to_thread.run_sync(other.post, "/out")

    client.get("/late")

    assert session_of(holding(client, token), stored) is None


def test_a_change_of_what_no_longer_fits_by_then_is_503_and_keeps_the_cookie(
    stored: SessionKit[AppSession], store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Another version of the application wrote it meanwhile. Nobody is told that the change was saved."""
    app, client = application(stored)

    @app.post("/")
    async def write(request: Request, _: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        [(key, record)] = await store.list_user("ada")
        newer = replace(record, data=b'{"user_id":"ada","tier":"gold"}', version=record.version + 1)
        await store.replace(key, newer, version=record.version)
        update_session(request, note="late")

    answer = signed_in(client, stored, ADA).post("/")

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert "could not be changed" in caplog.text
    assert [record.data for _, record in anyio.run(store.list_user, "ada")] == [b'{"user_id":"ada","tier":"gold"}']


def test_a_switch_of_the_user_found_only_on_saving_gives_no_grace(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
    """A function gave other rights at first; by the time of saving it makes another user's session of it."""
    app, client = application(stored)
    old = signed_in(client, stored, ADA).cookies[COOKIE]

    @app.post("/note")
    async def note(request: Request) -> None:
        update_session(request, note="switch")

    @app.post("/")
    async def write(request: Request, _: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        update_session(request, lambda session: {"user_id": "bob"} if session.note else {"role": "editor"})
        other = client_of(app, cookies=client.cookies)
        await anyio.to_thread.run_sync(other.post, "/note")

    assert client.post("/").status_code == 200
    session = session_of(client, stored)

    assert session is not None
    assert session.user_id == "bob"
    assert session_of(holding(client, old), stored) is None
