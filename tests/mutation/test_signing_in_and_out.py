"""``set_session`` and ``clear_session``: a session begins, lasts as long as it may, and ends."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import Depends, Request
from pydantic import SecretStr, ValidationError

from fastapi_sessionkit import ConfigurationError, MemoryStore, Session, SessionKit, clear_session, set_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import in_a_dependency, runs
from tests.support import ADA, COOKIE, SECRET, AppSession, Clock, RecordingStore, application, holding

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
    assert session_of(holding(client, old), stored) is None


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
    client = runs(kit, lambda request: set_session(request, ADA, ttl=timedelta(days=30)), None)

    clock.advance(30 * 86_400 - 1)
    assert session_of(client, kit) == ADA
    clock.advance(1)
    assert session_of(client, kit) is None


@pytest.mark.parametrize("of", ["module", "kit"])
@pytest.mark.parametrize("ttl", [timedelta(days=30, seconds=1), 90 * 86_400])
def test_a_ttl_above_the_absolute_lifetime_raises_and_names_both(
    kit: SessionKit[AppSession], ttl: Any, of: str
) -> None:
    def attempt(request: Request) -> None:
        with pytest.raises(ConfigurationError, match=r"^ttl=.*absolute_timeout, 30 days"):
            (set_session if of == "module" else kit.set_session)(request, ADA, ttl=ttl)

    assert session_of(runs(kit, attempt, None), kit) is None


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


# Signing out


def test_signing_out_deletes_the_record_and_expires_the_cookie(
    stored: SessionKit[AppSession], store: RecordingStore
) -> None:
    app, client = application(stored)
    app.post("/")(in_a_dependency(clear_session))
    token = signed_in(client, stored, ADA).cookies[COOKIE]

    cookie = client.post("/").headers["set-cookie"]

    assert cookie.startswith(f"{COOKIE}=;")
    assert "Max-Age=0" in cookie
    assert session_of(holding(client, token), stored) is None


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


# Nobody


def test_an_untouched_visitor_costs_no_row_and_no_cookie(stored: SessionKit[AppSession], store: RecordingStore) -> None:
    app, client = application(stored)

    @app.get("/", dependencies=[Depends(stored.get_session)])
    async def read() -> None: ...

    response = client.get("/")

    assert "set-cookie" not in response.headers
    assert store.calls == []
