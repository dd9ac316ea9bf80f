"""How long a session lasts, and when a request writes for that."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import Depends, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import CookieBackend, Session, SessionKit, SessionRecord
from fastapi_sessionkit.testing import session_of, signed_in
from tests.backends.support import DAY, Make, browser, every_backend, every_cookie_backend, make, opened
from tests.support import ADA, COOKIE, Clock, RecordingStore, application, client_of, holding, new_kit


@every_backend
def test_a_session_that_is_not_used_ends_with_its_idle_lifetime(
    backend: Make, store: RecordingStore, clock: Clock
) -> None:
    kit = make(backend(store), clock, idle_timeout=timedelta(hours=1))
    client = browser(kit)

    clock.advance(3_599)
    assert session_of(client, kit) == ADA
    clock.advance(1)
    assert client.get("/").json() is None


@every_backend
def test_a_session_that_is_used_lives_on(backend: Make, store: RecordingStore, clock: Clock) -> None:
    client = browser(make(backend(store), clock, idle_timeout=3_600))

    for _ in range(10):
        clock.advance(3_000)
        assert client.get("/").json() is not None
    clock.advance(3_600)
    assert client.get("/").json() is None


@every_backend
def test_however_much_it_is_used_a_session_ends_with_its_absolute_lifetime(
    backend: Make, store: RecordingStore, clock: Clock
) -> None:
    client = browser(make(backend(store), clock, idle_timeout=3_600, absolute_timeout=10_000))

    for step in (3_000, 3_000, 3_000, 999):
        clock.advance(step)
        assert client.get("/").json() is not None
        client.post("/set/note")
        client.post("/rotate")
    clock.advance(1)
    assert client.get("/").json() is None


@every_backend
def test_a_shorter_absolute_lifetime_holds_for_sessions_there_already(
    backend: Make, store: RecordingStore, clock: Clock
) -> None:
    token = browser(make(backend(store), clock)).cookies[COOKIE]
    stricter = make(backend(store), clock, absolute_timeout=3_600)

    assert opened(stricter, token) == ADA
    clock.advance(3_600)
    assert opened(stricter, token) is None


@every_backend
def test_the_cookie_lasts_as_long_as_the_session_can(backend: Make, store: RecordingStore, clock: Clock) -> None:
    client = browser(make(backend(store), clock), None)

    assert f"Max-Age={30 * DAY};" in client.post("/in").headers["set-cookie"]
    clock.advance(DAY)
    assert f"Max-Age={29 * DAY};" in client.post("/rotate").headers["set-cookie"]


def test_an_unchanged_request_reads_once_and_writes_nothing(store: RecordingStore, clock: Clock) -> None:
    client = browser(make(store, clock))
    store.calls.clear()

    for _ in range(3):
        assert "set-cookie" not in client.get("/").headers
        clock.advance(60)

    assert store.calls == ["get", "get", "get"]


def test_the_idle_clock_is_touched_after_a_tenth_of_the_idle_lifetime(store: RecordingStore, clock: Clock) -> None:
    client = browser(make(store, clock, idle_timeout=1_000))
    store.calls.clear()

    clock.advance(99)
    client.get("/")
    assert store.calls == ["get"]
    clock.advance(2)
    response = client.get("/")
    assert store.calls == ["get", "get", "touch"]
    assert "set-cookie" not in response.headers
    client.get("/")
    assert store.calls == ["get", "get", "touch", "get"]


def test_a_request_that_does_not_ask_touches_nothing(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    clock.advance(DAY)
    store.calls.clear()

    client.get("/docs")

    assert store.calls == []


@every_cookie_backend
def test_a_cookie_is_sent_again_after_a_tenth_of_the_idle_lifetime(encrypt: bool, clock: Clock) -> None:
    client = browser(make(CookieBackend(encrypt=encrypt), clock, idle_timeout=1_000))

    clock.advance(99)
    assert "set-cookie" not in client.get("/").headers
    clock.advance(2)
    assert "set-cookie" in client.get("/").headers
    assert "set-cookie" not in client.get("/").headers


def test_where_the_absolute_end_cuts_an_idle_one_short_no_more_is_written(store: RecordingStore, clock: Clock) -> None:
    """What is left is no idle lifetime of the session's own: with a tenth of it, writes would come ever faster."""
    client = browser(make(store, clock, idle_timeout=1_000, absolute_timeout=1_500))
    clock.advance(990)
    client.get("/")
    store.calls.clear()

    clock.advance(99)
    client.get("/")
    assert store.calls == ["get"]
    clock.advance(2)
    client.get("/")
    assert store.calls == ["get", "get", "touch"]


def test_an_idle_lifetime_that_ends_just_before_the_absolute_one_is_its_own(
    store: RecordingStore, clock: Clock
) -> None:
    kit = make(store, clock, idle_timeout=1_000, absolute_timeout=1_500)
    app, client = application(kit)

    @app.post("/")
    async def sign_in(request: Request) -> None:
        kit.set_session(request, ADA, ttl=1_498)

    @app.get("/", dependencies=[Depends(kit.get_session)])
    async def read() -> None: ...

    client.post("/")
    store.calls.clear()

    clock.advance(149)
    client.get("/")
    assert store.calls == ["get"]
    clock.advance(1)
    client.get("/")
    assert store.calls == ["get", "get", "touch"]


# Requests share the values of a session in which nothing can change, and look at its record less: its times hold all the same


def shared(kit: SessionKit[Session], clock: Clock) -> tuple[TestClient, Callable[[float], Any]]:
    """A browser, and a way to read its session after some seconds."""
    app, client = application(kit)

    @app.get("/")
    async def read(request: Request) -> str | None:
        session = await kit.get_session(request)
        return None if session is None else session.user_id

    def read_after(seconds: float) -> Any:
        clock.advance(seconds)
        return client.get("/").json()

    return client, read_after


def test_a_shared_session_is_touched_after_a_tenth_of_the_idle_lifetime(store: RecordingStore, clock: Clock) -> None:
    kit = new_kit(backend=store, clock=clock, idle_timeout=1_000)
    client, read_after = shared(kit, clock)
    signed_in(client, kit, Session(user_id="ada"))
    store.calls.clear()

    assert [read_after(33) for _ in range(4)] == ["ada"] * 4
    assert store.calls == ["get", "get", "get", "get", "touch"]


def test_a_shared_session_ends_with_an_absolute_lifetime_that_became_shorter(
    store: RecordingStore, clock: Clock
) -> None:
    client = signed_in(client_of(None), kit := new_kit(backend=store, clock=clock), Session(user_id="ada"))
    stricter = new_kit(backend=store, clock=clock, absolute_timeout=3_600)
    browser, read_after = shared(stricter, clock)
    holding(browser, client.cookies[kit.cookie_name])

    assert [read_after(1_790), read_after(1_790), read_after(19.9)] == ["ada"] * 3
    assert read_after(0.1) is None


@pytest.mark.anyio
@every_cookie_backend
async def test_a_signed_session_ends_by_itself_and_says_so(encrypt: bool, clock: Clock) -> None:
    backend, now = CookieBackend(encrypt=encrypt), clock()
    new_kit(backend=backend, clock=clock)
    token = (await backend.create(SessionRecord(b"{}", "ada", 1, now, now, now, now + 1))).encode()
    clock.advance(0.9)
    assert await backend.load(token) is not None
    clock.advance(0.1)

    assert await backend.load(token) is None
    assert backend.absence(token) == "expired"
