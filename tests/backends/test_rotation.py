"""A session moves to a new id, and the old one serves for its grace."""

from typing import Annotated

import pytest
from fastapi import Depends, Request

from fastapi_sessionkit import (
    MemoryStore,
    SessionRecord,
    StoreBackend,
    clear_session,
    reauthenticate_session,
    regenerate_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.backends.support import browser, browser_with, changing_application, make, opened
from tests.support import ADA, COOKIE, AppSession, Clock, RecordingStore, application, client_of, holding


@pytest.mark.parametrize("path", ["/rotate", "/promote"])
def test_the_old_id_serves_requests_under_way_for_its_grace(store: RecordingStore, clock: Clock, path: str) -> None:
    kit = make(store, clock)
    client = browser(kit)
    old = client.cookies[COOKIE]

    client.post(path)
    clock.advance(9.9)
    late = opened(kit, old)
    assert late is not None
    assert late.user_id == "ada"
    clock.advance(0.1)
    assert opened(kit, old) is None
    assert session_of(client, kit) is not None


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/set/note"), ("POST", "/rotate"), ("POST", "/promote")]
)
def test_a_request_under_way_neither_gets_nor_loses_a_cookie(
    store: RecordingStore, clock: Clock, method: str, path: str
) -> None:
    kit = make(store, clock, idle_timeout=50)  # so that a touch is due within the grace
    client = browser(kit)
    late = browser_with(kit, client.cookies[COOKIE])
    client.post("/rotate")
    clock.advance(9)

    response = late.request(method, path)

    assert response.status_code == 200
    assert "set-cookie" not in response.headers


def test_a_change_of_a_request_under_way_is_made_where_the_session_is_now(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    late = browser_with(kit, client.cookies[COOKIE])
    client.post("/rotate")

    late.post("/set/note")

    assert client.get("/").json()["note"] == "set"


def test_the_oldest_id_of_several_rotations_within_the_grace_still_serves(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    first = client.cookies[COOKIE]

    for _ in range(3):
        client.post("/rotate")
        clock.advance(1)

    assert opened(kit, first) == ADA


def test_the_grace_does_not_grow_by_use(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    late = browser_with(kit, client.cookies[COOKIE])
    client.post("/rotate")

    clock.advance(9)
    late.post("/set/note")
    late.get("/")
    clock.advance(1)

    assert late.get("/").json() is None


def test_without_grace_the_old_id_ends_at_once(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock, rotation_grace=0)
    client = browser(kit)
    old = client.cookies[COOKIE]

    client.post("/rotate")

    assert opened(kit, old) is None
    assert session_of(client, kit) == ADA


@pytest.mark.parametrize("grace", [0, 10])
def test_a_slow_request_that_outlives_the_grace_saves_and_takes_no_cookie(
    store: RecordingStore, clock: Clock, grace: float
) -> None:
    kit = make(store, clock, rotation_grace=grace)
    app, client = changing_application(kit), browser(kit)

    @app.post("/slow")
    async def slow(request: Request, session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        assert client.post("/rotate").status_code == 200
        clock.advance(grace + 30)
        update_session(request, note="late")

    old = client.cookies[COOKIE]
    slow_client = holding(client_of(app), old)
    answer = slow_client.post("/slow")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert opened(kit, old) is None
    session = session_of(client, kit)
    assert session is not None
    assert session.model_dump()["note"] == "late"


def test_signing_out_by_an_id_that_is_rotated_meanwhile_ends_the_new_one(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock, rotation_grace=0)
    app, client = changing_application(kit), browser(kit)

    @app.post("/slow-logout")
    async def slow_logout(request: Request) -> None:
        found = await kit.get_session(request)
        assert found == ADA
        assert client.post("/rotate").status_code == 200
        clear_session(request)

    old = client.cookies[COOKIE]
    slow_client = holding(client_of(app), old)
    slow_client.post("/slow-logout")

    assert session_of(client, kit) is None


@pytest.mark.parametrize("path", ["/out", "/in/as-grace"])
@pytest.mark.parametrize("by", ["the old id", "the new id"])
def test_signing_in_or_out_within_the_grace_ends_both_ids(
    store: RecordingStore, clock: Clock, path: str, by: str
) -> None:
    kit = make(store, clock)
    client = browser(kit)
    old = client.cookies[COOKIE]
    client.post("/rotate")
    new = client.cookies[COOKIE]

    browser_with(kit, old if by == "the old id" else new).post(path)

    assert (opened(kit, old), opened(kit, new)) == (None, None)


def test_a_rotation_keeps_when_the_session_began_and_its_user_signed_in(store: RecordingStore, clock: Clock) -> None:
    client = browser(make(store, clock))
    clock.advance(60)
    client.post("/rotate")
    created = [given[1] for name, given in zip(store.calls, store.arguments, strict=True) if name == "create"]

    assert [record.created_at for record in created] == [clock() - 60] * 2
    assert [record.authenticated_at for record in created] == [clock() - 60] * 2


@pytest.mark.parametrize("path", ["/switch", "/again"])
def test_attack_an_id_in_its_grace_opens_nothing_past_a_move_without_one(
    store: RecordingStore, clock: Clock, path: str
) -> None:
    """A switch of the user gives the old id no grace, so it gives none to an id before that either."""
    kit = make(store, clock)
    app, client = application(kit)

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/switch")
    async def switch(request: Request) -> None:
        update_session(request, user_id="grace")

    @app.post("/again")
    async def again(request: Request) -> None:
        reauthenticate_session(request)

    oldest = signed_in(client, kit, ADA).cookies[COOKIE]
    client.post("/rotate")
    client.post(path)

    assert session_of(client, kit) is not None
    assert opened(kit, oldest) is None


@pytest.mark.anyio
async def test_attack_a_change_on_what_was_read_long_ago_brings_no_old_id_back(clock: Clock) -> None:
    """No version comes twice, so that compare-and-set takes nothing for what it was."""
    backend = StoreBackend(MemoryStore())
    make(backend, clock)
    now = clock()
    token = await backend.create(SessionRecord(b"{}", "ada", 1, now, now, now, now + 60))
    stale, loaded = await backend.load(token.encode()), await backend.load(token.encode())
    assert stale is not None
    assert loaded is not None
    await backend.update(loaded, lambda record: record)
    found = await backend.load(token.encode())
    assert found is not None
    await backend.rotate(found, lambda record: record, grace=0.0)
    await backend.update(stale, lambda record: record)

    assert await backend.load(token.encode()) is None
