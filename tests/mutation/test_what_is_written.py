"""What a change writes besides the fields that it changes: whose session it is, when it was used, until when it lives."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from fastapi import Request

from fastapi_sessionkit import SessionKit, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import runs
from tests.support import ADA, AppSession, Clock, RecordingStore, application


def note(request: Request) -> None:
    update_session(request, note="seen")


def promote(request: Request) -> None:
    update_session(request, role="editor" if request.query_params["n"] == "0" else "user")


@pytest.mark.parametrize("change", [note, promote], ids=["in place", "to a new id"])
def test_a_change_moves_the_idle_clock_as_a_use_does(
    kit: SessionKit[AppSession], clock: Clock, change: Callable[[Request], None]
) -> None:
    """Who writes with every request is not touched besides: that one write says it all."""
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request)

    signed_in(client, kit, ADA)
    for n in range(4):
        clock.advance(6 * 86_400)
        assert client.post("/", params={"n": n % 2}).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(("ahead", "seen"), [(-30, 0), (0, 0), (30, 30)])
async def test_a_change_does_not_set_the_idle_clock_back(
    stored: SessionKit[AppSession], store: RecordingStore, clock: Clock, ahead: float, seen: float
) -> None:
    """Another server, whose clock is ahead, may have seen the session since."""
    app, client = application(stored)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, note="seen")

    signed_in(client, stored, ADA)
    clock.advance(60)
    [(key, record)] = await store.list_user("ada")
    await store.touch(key, last_seen_at=clock() + ahead, expires_at=record.expires_at)
    client.post("/")
    [active] = await stored.sessions.list("ada")

    assert active.session.note == "seen"
    assert active.last_seen_at == datetime.fromtimestamp(clock() + seen, UTC)


@pytest.mark.anyio
async def test_a_session_that_becomes_another_users_is_found_and_ended_as_theirs(
    stored: SessionKit[AppSession],
) -> None:
    client = runs(stored, lambda request: update_session(request, user_id="bob"))

    assert await stored.sessions.list("ada") == []
    assert [active.session.user_id for active in await stored.sessions.list("bob")] == ["bob"]
    assert await stored.sessions.revoke_user("bob") == 1
    assert session_of(client, stored) is None


@pytest.mark.anyio
async def test_what_an_administrator_makes_another_users_is_found_as_theirs(
    stored: SessionKit[AppSession],
) -> None:
    client = runs(stored, lambda request: None)

    assert await stored.sessions.update_user("ada", user_id="bob") == 1
    assert await stored.sessions.list("ada") == []
    assert [active.session.user_id for active in await stored.sessions.list("bob")] == ["bob"]
    assert await stored.sessions.revoke_user("bob") == 1
    assert session_of(client, stored) is None
