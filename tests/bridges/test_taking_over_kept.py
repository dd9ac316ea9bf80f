"""Sessions that another library keeps move to a store of the kit's, once, whoever fails on the way."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import Depends, Request

from fastapi_sessionkit import (
    ConfigurationError,
    SessionKit,
    SessionRecord,
    StoreBackend,
    update_session,
)
from fastapi_sessionkit.stores.sql import SQLStore
from tests.bridges.switched import DAY, OLD, Switched, adopted, from_a_store, from_starlette, signed_at
from tests.events.support import told
from tests.support import ADA, COOKIE, SECRET, SITE, AppSession, Clock, RecordingStore, client_of


@pytest.fixture
def on_store(request: pytest.FixtureRequest, tmp_path: Any) -> Switched:
    return from_a_store()


def test_an_old_session_is_taken_over_once(on_store: Switched) -> None:
    clock = Clock()
    switched = from_a_store(clock=clock)
    switched.browser().get("/me")
    clock.advance(11)  # the grace is over

    assert switched.browser().get("/me").status_code == 401


def test_a_copy_of_the_old_cookie_is_dead_after_a_sign_out(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    client.post("/logout")

    assert on_store.browser().get("/me").status_code == 401


def test_a_copy_of_the_old_cookie_is_dead_after_a_sign_out_that_came_first(on_store: Switched) -> None:
    on_store.browser().post("/logout")

    assert on_store.browser().get("/me").status_code == 401


def test_a_sign_out_with_the_old_cookie_is_kept_by_a_database(tmp_path: Any) -> None:
    switched = from_a_store(SQLStore(f"sqlite+aiosqlite:///{tmp_path}/sessions.db"))

    assert switched.browser().post("/logout").status_code == 200
    assert switched.browser().get("/me").status_code == 401


def test_a_sign_out_with_the_old_cookie_ends_what_has_just_moved(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    on_store.browser().post("/logout")

    assert client.get("/me").status_code == 401


def test_a_request_under_way_is_served_and_gets_no_cookie(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    late = on_store.browser()

    assert late.post("/note/late").json() == "ada"
    assert list(late.cookies) == ["session"]
    assert client.get("/me").json() == ["ada", "late"]


@pytest.mark.anyio
async def test_of_requests_at_once_one_moves_and_all_changes_are_kept() -> None:
    store = RecordingStore(turns=lambda: 3)
    switched = from_a_store(store, max_sessions_per_user=1)
    transport = httpx.ASGITransport(switched.app)
    async with httpx.AsyncClient(transport=transport, base_url=SITE, cookies={"session": OLD}) as client:
        paths = ["/note/tea", "/me", "/me", "/me"]
        answers = await asyncio.gather(*(client.request("POST" if "note" in path else "GET", path) for path in paths))
    given = [answer.headers.get_list("set-cookie") for answer in answers]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert sum(any(header.startswith(COOKIE) for header in headers) for headers in given) == 1
    sessions = await switched.kit.sessions.list("ada")
    assert [each.session.note for each in sessions if each.session is not None] == ["tea"]


@pytest.mark.parametrize("junk", ["made-up", "x" * 5_000, "null", "ü"])
def test_junk_costs_the_store_nothing(junk: str) -> None:
    store = RecordingStore()
    headers = [(b"cookie", f"session={junk}".encode())]
    client = client_of(from_a_store(store).app)

    assert client.get("/me", headers=headers).status_code == 401
    client.post("/logout", headers=headers)
    assert store.calls == []


def test_an_id_that_the_old_library_gave_is_no_id_of_the_kits(on_store: Switched) -> None:
    client = on_store.browser(OLD, COOKIE)

    assert client.get("/me").status_code == 401


def test_a_pair_names_an_old_session_that_is_spelled_in_several_ways() -> None:
    async def lenient(value: str) -> tuple[AppSession, str] | None:
        session = await adopted(value.rstrip("="))
        return None if session is None else (session, value.rstrip("="))

    clock = Clock()
    switched = from_a_store(adopt=lenient, clock=clock)
    switched.browser().get("/me")
    clock.advance(11)

    assert switched.browser(f"{OLD}=").get("/me").status_code == 401


def test_a_function_that_is_not_async_serves_too() -> None:
    switched = from_a_store(adopt=lambda value: ADA if value == OLD else None)

    assert switched.browser().get("/me").status_code == 200


def test_an_outage_of_the_old_store_is_503_and_nobody_is_signed_out() -> None:
    broken = True

    async def asks(value: str) -> AppSession | None:
        if broken:
            raise OSError("the old store is gone")
        return await adopted(value)

    switched = from_a_store(adopt=asks)
    client = switched.browser()

    assert client.get("/me").status_code == 503
    broken = False
    assert client.get("/me").status_code == 200


@pytest.mark.parametrize("broken", ["create", "get"])
def test_an_outage_of_the_store_is_503_and_nobody_is_signed_out(broken: str) -> None:
    store = RecordingStore()
    client = from_a_store(store).browser()
    store.broken = {broken}

    assert client.get("/me").status_code == 503
    store.broken = set()
    assert client.get("/me").status_code == 200


class Failing(RecordingStore):
    """Fails to remember that a session was taken over.

    Attributes:
        fails: whether it does.
        carries_out: whether only the answer is lost.
        goes_on_failing: whether nothing can be asked or deleted afterwards either.
    """

    def __init__(self, *, carries_out: bool = False, goes_on_failing: bool = False) -> None:
        super().__init__()
        self.fails, self.carries_out, self.goes_on_failing = True, carries_out, goes_on_failing

    async def create(self, key: str, record: SessionRecord) -> bool:
        if not self.fails or record.successor is None:
            return await super().create(key, record)
        if self.goes_on_failing:
            self.broken = {"get", "delete"}
        if self.carries_out:
            await super().create(key, record)
        raise ConnectionError


@pytest.mark.parametrize("carries_out", [False, True], ids=["not carried out", "answer lost"])
def test_a_take_over_that_is_cut_short_leaves_nothing_and_is_made_later(carries_out: bool) -> None:
    store = Failing(carries_out=carries_out)
    client = from_a_store(store).browser()

    assert client.get("/me").status_code == 503
    assert store._records == {}  # noqa: SLF001
    store.fails = False
    assert client.get("/me").status_code == 200


def test_a_take_over_in_an_outage_that_goes_on_is_503() -> None:
    assert from_a_store(Failing(goes_on_failing=True)).browser().get("/me").status_code == 503


def test_a_take_over_stands_though_older_sessions_can_not_be_ended() -> None:
    class Unlisted(RecordingStore):
        async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
            raise ConnectionError

    client = from_a_store(Unlisted(), max_sessions_per_user=1).browser()

    assert client.get("/me").status_code == 200
    assert COOKIE in client.cookies


def test_whom_the_application_vouches_for_no_more_is_not_taken_over() -> None:
    answers = iter([ADA, None])
    store = RecordingStore()
    client = from_a_store(store, adopt=lambda _: next(answers, None)).browser()
    client.get("/me")

    assert COOKIE not in client.cookies
    assert store._records == {}  # noqa: SLF001


def test_what_was_taken_over_is_as_old_as_its_cookie_however_much_used() -> None:
    clock = Clock()
    switched = from_starlette(clock=clock, absolute_timeout=7 * DAY)
    client = switched.browser(signed_at(clock() - 3 * DAY))
    statuses = []
    for _ in range(5):
        statuses.append(client.get("/me").status_code)
        clock.advance(DAY)

    assert statuses == [200, 200, 200, 200, 401]


def test_an_old_session_is_taken_over_once_while_browsers_keep_its_cookie() -> None:
    clock = Clock()
    switched = from_a_store(clock=clock)
    switched.browser().get("/me")
    clock.advance(400 * DAY - 1)

    assert switched.browser().get("/me").status_code == 401


def test_a_session_that_is_taken_over_counts_for_the_limit_of_its_user() -> None:
    clock = Clock()
    switched = from_a_store(clock=clock, max_sessions_per_user=1)
    older = client_of(switched.app)
    older.post("/login")
    clock.advance(1)
    newer = switched.browser()

    assert newer.get("/me").status_code == 200
    assert older.get("/me").status_code == 401
    assert newer.get("/me").status_code == 200


@pytest.mark.parametrize(("changes", "note"), [(True, "late"), (False, "")])
def test_of_two_that_take_over_at_once_the_slower_saves_and_gets_no_cookie(
    on_store: Switched, changes: bool, note: str
) -> None:
    events = told(on_store.kit, "updated")
    quicker = on_store.browser()

    @on_store.app.post("/slow", dependencies=[Depends(on_store.kit.require_session)])
    async def slow(request: Request) -> None:
        quicker.get("/me")
        if changes:
            update_session(request, note="late")

    answer = on_store.browser().post("/slow")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert quicker.get("/me").json() == ["ada", note]
    assert [event.path for event in events] == ["/slow"] * changes


def test_a_sign_out_while_another_takes_over_leaves_nobody(on_store: Switched) -> None:
    quicker = on_store.browser()

    @on_store.app.post("/slow", dependencies=[Depends(on_store.kit.require_session)])
    async def slow(request: Request) -> None:
        quicker.post("/logout")
        update_session(request, note="late")

    answer = on_store.browser().post("/slow")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert asyncio.run(on_store.kit.sessions.list("ada")) == []


def test_in_its_grace_the_old_cookie_moves_nothing_and_gets_no_cookie(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")

    assert "set-cookie" not in on_store.browser().post("/move").headers
    assert client.get("/me").status_code == 200


def test_attack_the_old_cookie_opens_nothing_past_a_move_without_grace(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    assert on_store.browser().get("/me").status_code == 200
    client.post("/prove")

    assert on_store.browser().get("/me").status_code == 401


def test_signing_out_with_an_old_cookie_past_its_grace_ends_nobody() -> None:
    clock = Clock()
    switched = from_a_store(clock=clock)
    client = switched.browser()
    client.get("/me")
    clock.advance(11)
    switched.browser().post("/logout")

    assert client.get("/me").status_code == 200


def test_a_session_that_was_taken_over_can_be_listed_and_revoked(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")

    assert asyncio.run(on_store.kit.sessions.revoke_user("ada")) == 1
    assert client.get("/me").status_code == 401


def test_what_was_revoked_after_it_was_taken_over_is_not_taken_over_again(on_store: Switched) -> None:
    on_store.browser().get("/me")
    asyncio.run(on_store.kit.sessions.revoke_user("ada"))

    assert on_store.browser().get("/me").status_code == 401


def test_visitors_are_not_taken_over() -> None:
    class Basket(AppSession):
        user_id: str = ""

    with pytest.raises(ConfigurationError, match="takes no sessions over"):
        SessionKit(Basket, secret_key=SECRET, anonymous=True, backend=StoreBackend(RecordingStore(), adopt=adopted))
