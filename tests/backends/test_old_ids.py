"""What a request under an old id, in its grace, must leave alone; and what a move leaves behind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import pytest
from fastapi import Depends, Request

from fastapi_sessionkit import SessionRecord, StoreBackend, regenerate_session, update_session
from fastapi_sessionkit.backends import Loaded, Written
from fastapi_sessionkit.testing import session_of
from tests.backends.support import browser, browser_with, changing_application, make, opened
from tests.support import ADA, COOKIE, Clock, RecordingStore, app_kit, client_of, holding

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "late",
    [
        lambda request: update_session(request, note="late"),
        lambda request: update_session(request, role="admin"),
        regenerate_session,
    ],
    ids=["patch", "rights", "move"],
)
async def test_a_late_change_under_an_old_id_of_what_has_ended_removes_no_cookie(
    store: RecordingStore, clock: Clock, late: Callable[[Request], None]
) -> None:
    """The browser may have signed in anew meanwhile: its cookie is not the one that this request came with."""
    kit = make(store, clock)
    app, client = changing_application(kit), browser(kit)
    old = client.cookies[COOKIE]
    client.post("/rotate")

    @app.post("/slow")
    async def slow(request: Request, session: Annotated[Any, Depends(kit.require_session)]) -> None:
        assert client.post("/out").status_code == 200
        late(request)

    answer = holding(client_of(app), old).post("/slow")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert await store.list_user("ada") == []


async def test_what_an_old_id_leads_to_and_can_not_be_read_is_nobody_and_stays(
    store: RecordingStore, clock: Clock
) -> None:
    """Another version of the application may have written it, for which it is fine."""
    kit = make(store, clock)
    client = browser(kit)
    old = client.cookies[COOKIE]
    client.post("/rotate")
    [(key, record)] = await store.list_user("ada")
    newer = replace(record, data=b'{"user_id": "ada", "tier": "gold"}', version=record.version + 1)
    await store.replace(key, newer, version=record.version)

    answer = browser_with(kit, old).get("/")

    assert answer.json() is None
    assert "set-cookie" not in answer.headers
    assert await store.list_user("ada") == [(key, newer)]


class Eager(StoreBackend):
    """Gives a token with every change, which a backend need not."""

    async def rotate(self, loaded: Loaded, change: Any, *, grace: float) -> Written | None:
        written = await super().update(loaded, change)
        return None if written is None else replace(written, token="another")


async def test_under_an_old_id_no_token_is_sent_though_the_backend_gives_one(
    store: RecordingStore, clock: Clock
) -> None:
    backend = Eager(store)
    client = browser(make(backend, clock))
    moving = app_kit(backend=StoreBackend(store), clock=clock)
    browser_with(moving, client.cookies[COOKIE]).post("/rotate")

    answer = client.post("/promote")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


async def test_a_request_under_an_old_id_writes_nothing_when_a_touch_is_due(
    store: RecordingStore, clock: Clock
) -> None:
    kit = make(store, clock, idle_timeout=50)
    client = browser(kit)
    late = browser_with(kit, client.cookies[COOKIE])
    client.post("/rotate")
    clock.advance(9)
    store.calls.clear()

    assert late.get("/").json() is not None
    assert store.calls == ["get", "get"]


async def test_a_move_that_an_administrator_asked_for_is_left_to_the_id_of_now(
    store: RecordingStore, clock: Clock
) -> None:
    kit = make(store, clock)
    client = browser(kit)
    late = browser_with(kit, client.cookies[COOKIE])
    client.post("/rotate")
    await kit.sessions.update_user("ada", role="editor")

    assert "set-cookie" not in late.get("/").headers
    assert "set-cookie" not in late.post("/set/note").headers
    assert "set-cookie" in client.get("/").headers


@pytest.mark.parametrize(("limit", "status"), [(59, 401), (60, 200)])
async def test_under_an_old_id_a_sign_in_is_as_old_as_it_is(
    store: RecordingStore, clock: Clock, limit: float, status: int
) -> None:
    kit = make(store, clock)
    app, client = changing_application(kit), browser(kit)
    late = holding(client_of(app), client.cookies[COOKIE])
    clock.advance(55)
    client.post("/rotate")
    clock.advance(5)

    @app.get("/pay", dependencies=[Depends(kit.require_fresh(limit))])
    async def pay() -> None: ...

    assert late.get("/pay").status_code == status


async def test_what_a_move_leaves_behind_goes_ten_minutes_after_its_grace(store: RecordingStore, clock: Clock) -> None:
    """A session that moves with every sign-up step does not fill the store for its thirty days."""
    kit = make(store, clock)
    client = browser(kit)
    for _ in range(3):
        client.post("/rotate")

    clock.advance(10 + 599)
    assert await kit.sessions.purge() == 0
    clock.advance(1)
    assert await kit.sessions.purge() == 3
    assert session_of(client, kit) == ADA


# A move that is cut short


class ReplyLost(RecordingStore):
    """Carries out what it is asked, and then fails."""

    lost: bool = False

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        done = await super().replace(key, record, version=version)
        if self.lost:
            raise ConnectionError("the reply is lost")
        return done


async def test_a_move_whose_reply_is_lost_is_503_and_the_session_goes_on(clock: Clock) -> None:
    store = ReplyLost()
    kit = make(store, clock)
    client = browser(kit)
    old = client.cookies[COOKIE]
    store.lost = True
    answer = client.post("/rotate")
    store.lost = False

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert len(await store.list_user("ada")) == 1
    assert opened(kit, old) == ADA


@pytest.mark.parametrize("broken", [{"replace"}, {"replace", "get"}, {"replace", "delete"}], ids=sorted)
async def test_a_move_that_the_store_cuts_short_is_503_and_the_id_stays(
    store: RecordingStore, clock: Clock, broken: set[str]
) -> None:
    kit = make(store, clock)
    app, client = changing_application(kit), browser(kit)

    @app.post("/move")
    async def move(request: Request, session: Annotated[Any, Depends(kit.require_session)]) -> None:
        regenerate_session(request)
        store.broken = broken

    token = client.cookies[COOKIE]
    answer = holding(client_of(app), token).post("/move")
    store.broken = set()

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert opened(kit, token) == ADA
    assert len(await store.list_user("ada")) == (1 if broken == {"replace"} else 2)
