"""What is told of: each event, when it happens and only then, on every backend."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from fastapi import Depends, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fastapi_sessionkit import ConfigurationError, SessionKit, SessionRecord
from fastapi_sessionkit.events import SessionEvent
from fastapi_sessionkit.testing import signed_in
from tests.backends.support import BACKENDS
from tests.events.support import ALL, eventful_application, told
from tests.support import (
    ADA,
    COOKIE,
    SECRET,
    AppSession,
    Clock,
    RecordingStore,
    app_kit,
    application,
    client_of,
    holding,
)


class Basket(BaseModel):
    packets: int = 0


@pytest.fixture
def store(clock: Clock) -> RecordingStore:
    store = RecordingStore()
    store.clock = clock
    return store


@pytest.fixture(params=list(BACKENDS.values()), ids=list(BACKENDS))
def kit(request: pytest.FixtureRequest, store: RecordingStore, clock: Clock) -> SessionKit[AppSession]:
    return app_kit(backend=request.param(store), clock=clock)


@pytest.fixture
def stored(store: RecordingStore, clock: Clock) -> SessionKit[AppSession]:
    return app_kit(backend=store, clock=clock)


def browser(kit: SessionKit[AppSession]) -> TestClient:
    return client_of(eventful_application(kit), raise_server_exceptions=False)


def names(events: list[SessionEvent]) -> list[str]:
    return [event.name for event in events]


def test_signing_in_and_out_is_told_with_who_where_and_when(kit: SessionKit[AppSession], clock: Clock) -> None:
    events, client = told(kit), browser(kit)
    client.post("/in")
    client.post("/out")

    assert [(event.name, event.user_id, event.method, event.path, event.reason) for event in events] == [
        ("signed_in", "ada", "POST", "/in", None),
        ("signed_out", "ada", "POST", "/out", None),
    ]
    assert events[0].at == datetime.fromtimestamp(clock(), UTC)


def test_a_token_that_is_issued_is_a_sign_in(store: RecordingStore, clock: Clock) -> None:
    kit = app_kit(backend=store, clock=clock, bearer=True)
    events, client = told(kit), browser(kit)
    client.post("/token")

    assert [(event.name, event.user_id, event.reason) for event in events] == [
        ("signed_in", "ada", "a token was issued")
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/rotate", ["rotated"]),
        ("/again", ["rotated"]),
        ("/note", ["updated"]),
        ("/promote", ["rotated", "updated"]),
        ("/who", []),
        ("/open", []),
    ],
)
def test_a_change_is_told_as_what_it_was(kit: SessionKit[AppSession], path: str, expected: list[str]) -> None:
    client = signed_in(browser(kit), kit, ADA)
    events = told(kit)
    client.request("GET" if path in {"/who", "/open"} else "POST", path)

    assert names(events) == expected
    assert {event.path for event in events} <= {path}


def test_the_fingerprint_is_one_sessions_through_every_move(kit: SessionKit[AppSession], clock: Clock) -> None:
    events, client = told(kit), browser(kit)
    for path in ("/in", "/rotate", "/promote", "/again", "/note", "/out"):
        client.post(path)
        clock.advance(1.23456789)
    client.post("/in")
    *first, second = [event.fingerprint for event in events]

    assert len(set(first)) == 1
    assert second not in {None, first[0]}


class Microseconds(RecordingStore):
    """Keeps times as exactly as the contract asks for."""

    async def create(self, key: str, record: SessionRecord) -> bool:
        return await super().create(key, replace(record, created_at=round(record.created_at, 6)))


def test_the_fingerprint_is_the_same_where_a_store_keeps_microseconds(clock: Clock) -> None:
    clock.advance(0.12345678)
    kit = app_kit(backend=Microseconds(), clock=clock)
    events, client = told(kit), browser(kit)
    client.post("/in")
    client.post("/out")

    assert len({event.fingerprint for event in events}) == 1


def test_the_fingerprint_tells_nothing(kit: SessionKit[AppSession]) -> None:
    other = app_kit(
        secret_key="a secret of another application, as long as it must be", clock=kit.services.lifetimes.clock
    )
    events, others = told(kit), told(other)
    client = browser(kit)
    client.post("/in")
    browser(other).post("/in")

    [event], [same] = events, others
    assert event.fingerprint != same.fingerprint
    assert event.fingerprint not in client.cookies[COOKIE]


def test_no_event_holds_a_token_or_a_value(kit: SessionKit[AppSession]) -> None:
    events, client = told(kit), browser(kit)
    client.post("/in")
    token = client.cookies[COOKIE]
    for path in ("/note", "/promote", "/admin", "/out"):
        client.post(path)

    assert "a secret note" not in repr(events)
    assert token[:20] not in repr(events)


def test_a_request_that_fails_tells_of_nothing_that_was_not_saved(kit: SessionKit[AppSession]) -> None:
    events, client = told(kit), browser(kit)
    client.post("/fails")

    assert events == []


# What did not go well


def test_who_is_not_let_in_is_told_by_the_gate_and_by_a_dependency(kit: SessionKit[AppSession]) -> None:
    events, client = told(kit, "denied"), browser(kit)
    client.get("/admin")
    client.post("/in")
    client.get("/admin")
    client.get("/desk")

    assert [(event.name, event.user_id, event.path, event.reason) for event in events] == [
        ("denied", None, "/admin", "nobody is signed in"),
        ("denied", "ada", "/admin", "role:admin is missing"),
        ("denied", "ada", "/desk", "role:editor is missing"),
    ]


def test_a_token_that_leads_nowhere_is_told_with_its_reason(kit: SessionKit[AppSession]) -> None:
    events, client = told(kit), browser(kit)
    holding(client, "junk").get("/who")
    client.get("/open")

    assert [(event.name, event.reason, event.path) for event in events] == [("invalid_token", "malformed", "/who")]


def test_no_cookie_is_no_event(kit: SessionKit[AppSession]) -> None:
    events = told(kit)
    browser(kit).get("/who")

    assert events == []


def test_an_expired_session_is_told(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = signed_in(browser(kit), kit, ADA)
    client.get("/who")
    events = told(kit)
    clock.advance(8 * 86_400)
    client.get("/who")

    assert [(event.name, event.reason) for event in events] == [("expired", "expired")]


@pytest.mark.parametrize("path", ["/in", "/plain/in"])
def test_a_sign_in_from_another_origin_is_told(kit: SessionKit[AppSession], path: str) -> None:
    events, client = told(kit), browser(kit)
    client.post(path, headers={"origin": "https://evil.example"})

    assert [(event.name, event.reason) for event in events] == [
        ("refused_origin", "a sign-in from 'https://evil.example'")
    ]


def test_a_request_from_another_origin_is_told(kit: SessionKit[AppSession]) -> None:
    client = signed_in(browser(kit), kit, ADA)
    events = told(kit)
    client.post("/note", headers={"origin": "https://evil.example"})

    assert [(event.name, event.method, event.path, event.reason) for event in events] == [
        ("refused_origin", "POST", "/note", "a request from 'https://evil.example'")
    ]


@pytest.mark.parametrize(("broken", "path"), [("get", "/who"), ("create", "/in"), ("replace", "/note")])
def test_a_store_that_fails_is_told(
    stored: SessionKit[AppSession], store: RecordingStore, broken: str, path: str
) -> None:
    client = signed_in(browser(stored), stored, ADA)
    events = told(stored)
    store.broken.add(broken)
    answer = client.request("GET" if path == "/who" else "POST", path)

    assert answer.status_code == 503
    assert [(event.name, event.path, event.reason) for event in events] == [("store_error", path, "ConnectionError")]


def test_a_store_that_answers_nonsense_is_told_as_no_error_of_its_own(
    stored: SessionKit[AppSession], store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(browser(stored), stored, ADA)
    events = told(stored)

    async def get(key: str) -> str:
        return key

    monkeypatch.setattr(store, "get", get)

    assert client.get("/who").status_code == 503
    assert [(event.name, event.reason) for event in events] == [("store_error", None)]


def test_a_touch_that_fails_is_told_and_harms_nobody(
    stored: SessionKit[AppSession], store: RecordingStore, clock: Clock
) -> None:
    client = signed_in(browser(stored), stored, ADA)
    events = told(stored)
    clock.advance(86_400)
    store.broken.add("touch")

    assert client.get("/who").json() == "ada"
    assert [(event.name, event.path) for event in events] == [("store_error", "/who")]


@pytest.mark.parametrize("make", BACKENDS.values(), ids=BACKENDS)
def test_a_session_that_fits_no_model_any_more_is_no_sign_out(make: Any, store: RecordingStore, clock: Clock) -> None:
    class Stricter(AppSession):
        needed: str

    before = app_kit(backend=make(store), clock=clock)
    token = signed_in(browser(before), before, ADA).cookies[COOKIE]
    later = SessionKit(Stricter, secret_key=SECRET, backend=make(store), clock=clock)
    events = told(later)
    holding(client_of(eventful_application(later)), token).get("/who")  # type: ignore[arg-type]

    assert [(event.name, event.reason) for event in events] == [("invalid_token", "model_mismatch")]


def test_a_visitor_signs_neither_in_nor_out(store: RecordingStore, clock: Clock) -> None:
    kit = SessionKit(Basket, name="basket", anonymous=True, secret_key=SECRET, backend=store, clock=clock)
    events = told(kit)
    app, client = application(kit)

    @app.post("/add")
    async def add(request: Request) -> None:
        kit.update_session(request, packets=1)

    @app.post("/empty")
    async def empty(request: Request) -> None:
        kit.clear_session(request)

    @app.get("/look")
    async def look(request: Request, basket: Annotated[Basket, Depends(kit.get_session)]) -> None:
        assert kit.session_of(request) == basket
        assert kit.session_reason(request) is None

    client.get("/look")
    client.post("/add")
    client.post("/empty")
    holding(client, "junk", kit.cookie_name).get("/look")

    assert [(event.name, event.user_id) for event in events] == [("updated", None)]


# From outside the request


def test_what_an_administrator_ends_is_told(stored: SessionKit[AppSession]) -> None:
    client = browser(stored)
    client.post("/in")
    began = told(stored, "signed_in")
    client.cookies.clear()
    client.post("/in")
    events = told(stored, "revoked", "updated")

    async def administer() -> None:
        await stored.sessions.update_user("ada", note="seen")
        [one, other] = await stored.sessions.list("ada")
        await stored.sessions.revoke(one.handle, user_id="ada")
        await stored.sessions.revoke(other.handle)
        await stored.sessions.revoke("0" * 64)

    asyncio.run(administer())

    assert [(event.name, event.user_id, event.path) for event in events] == [
        ("updated", "ada", None),
        ("updated", "ada", None),
        ("revoked", "ada", None),
        ("revoked", None, None),
    ]
    assert events[2].fingerprint == began[0].fingerprint


def test_ending_all_of_a_user_tells_of_each(stored: SessionKit[AppSession]) -> None:
    client = browser(stored)
    for _ in range(3):
        client.cookies.clear()
        client.post("/in")
    events = told(stored)
    asyncio.run(stored.sessions.revoke_user("ada"))

    assert [(event.name, event.user_id) for event in events] == [("revoked", "ada")] * 3


def test_what_the_revalidate_hook_ends_is_told(store: RecordingStore, clock: Clock) -> None:
    async def disabled(session: AppSession) -> None:
        return None

    kit = app_kit(backend=store, clock=clock, revalidate=disabled)
    client = signed_in(browser(kit), kit, ADA)
    events = told(kit)
    client.get("/who")

    assert [(event.name, event.user_id, event.reason) for event in events] == [
        ("revoked", "ada", "the revalidate hook ended it")
    ]


# What can't be asked for


@pytest.mark.parametrize("given", [("signed-in",), ("signed_in", "login"), (), (1,)])
def test_an_unknown_name_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes names of events, 'signed_in'"):
        app_kit().on(*given)


@pytest.mark.parametrize(
    "handler", [None, "print", lambda: None, lambda one, two: None], ids=["None", "text", "0", "2"]
)
def test_what_is_no_function_of_one_event_is_refused(handler: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a function of one event"):
        app_kit().on("signed_in")(handler)


def test_the_decorator_gives_the_function_back() -> None:
    def handler(event: SessionEvent) -> None: ...

    assert app_kit().on(*ALL)(handler) is handler  # type: ignore[arg-type]


def test_only_what_was_asked_for_is_told(kit: SessionKit[AppSession]) -> None:
    events, client = told(kit, "signed_out"), browser(kit)
    client.post("/in")
    client.post("/out")

    assert names(events) == ["signed_out"]


def test_without_handlers_managing_sessions_asks_the_store_nothing_more(
    stored: SessionKit[AppSession], store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    list_user = store.list_user
    monkeypatch.setattr(store, "list_user", lambda user_id: asked.append(user_id) or list_user(user_id))
    signed_in(browser(stored), stored, ADA)
    asyncio.run(stored.sessions.revoke_user("ada"))
    assert asked == ["ada"]  # whether anybody is left
    told(stored, "revoked")
    asyncio.run(stored.sessions.revoke_user("ada"))

    assert asked == ["ada"] * 3


def test_a_session_that_a_sign_in_pushed_out_was_revoked(store: RecordingStore, clock: Clock) -> None:
    kit = app_kit(backend=store, clock=clock, max_sessions_per_user=1)
    events = told(kit, "signed_in", "revoked")
    app = eventful_application(kit)
    first, second = client_of(app), client_of(app)
    first.post("/in")
    clock.advance(1)
    second.post("/in")

    begun, revoked, again = sorted(events, key=lambda event: (event.at, event.name))
    assert (begun.name, revoked.name, again.name) == ("signed_in", "revoked", "signed_in")
    assert (revoked.user_id, revoked.fingerprint) == ("ada", begun.fingerprint)
    assert revoked.reason == "more sessions than max_sessions_per_user"
    assert first.get("/who").json() == "nobody"
