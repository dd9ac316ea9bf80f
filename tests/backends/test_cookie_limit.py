"""A cookie holds 4096 bytes, a stored session has no such limit."""

import pytest
from fastapi import HTTPException, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import CookieBackend, CookieSettings, SessionKit, SessionTooLarge, set_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.backends.support import DAY, browser, every_cookie_backend, make
from tests.support import ADA, COOKIE, AppSession, Clock, RecordingStore


def limits(kit: SessionKit[AppSession]) -> tuple[int, TestClient]:
    """How many bytes of note still fit, and a client that holds them."""
    client, low, high = browser(kit, None), 0, 5_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            signed_in(client, kit, AppSession(user_id="ada", note="x" * middle))
        except SessionTooLarge:
            high = middle
        else:
            low = middle
    return low, signed_in(client, kit, AppSession(user_id="ada", note="x" * low))


@every_cookie_backend
def test_a_cookie_of_up_to_4096_bytes_is_sent_and_a_longer_one_never(encrypt: bool, clock: Clock) -> None:
    kit = make(CookieBackend(encrypt=encrypt), clock)
    _, client = limits(kit)
    size = len(COOKIE) + len(client.cookies[COOKIE])

    assert 4_060 < size <= 4_096


@every_cookie_backend
def test_a_session_that_just_fits_still_fits_on_its_last_day(encrypt: bool, clock: Clock) -> None:
    """The times in a token grow with use, and a session that outgrows its cookie would fail every request."""
    _, client = limits(make(CookieBackend(encrypt=encrypt), clock))

    for _ in range(29):
        clock.advance(DAY)
        response = client.get("/")
        assert response.status_code == 200
        assert response.json()["user_id"] == "ada"
        assert len(COOKIE) + len(client.cookies[COOKIE]) <= 4_096


@every_cookie_backend
@pytest.mark.parametrize("act", ["set", "set, then in place", "update", "update unseen", "in place"])
def test_the_error_about_an_outgrown_cookie_names_the_largest_fields(encrypt: bool, act: str, clock: Clock) -> None:
    kit = make(CookieBackend(encrypt=encrypt), clock)
    client = browser(kit)
    large = {"note": "n" * 3_000, "cart": ["c" * 100] * 20}

    @client.app.post("/grow")  # type: ignore[attr-defined, untyped-decorator]
    async def grow(request: Request) -> None:
        if act == "set":
            set_session(request, AppSession(user_id="ada", **large))  # type: ignore[arg-type]
        elif act == "set, then in place":
            set_session(request, session := AppSession(user_id="ada"))
            session.cart.extend(["c" * 100] * 60)
        elif act == "in place":
            (await kit.require_session(request)).cart.extend(["c" * 100] * 60)
        else:
            if act == "update":
                await kit.require_session(request)
            update_session(request, **large)

    with pytest.raises(SessionTooLarge) as caught:
        client.post("/grow")

    assert next(iter(caught.value.fields)) == ("cart" if "in place" in act else "note")
    assert caught.value.size > caught.value.limit == 4_096
    assert all(name in str(caught.value) for name in caught.value.fields)
    assert "nnn" not in str(caught.value)
    assert session_of(client, kit) == ADA


def test_a_change_that_would_outgrow_the_cookie_changes_nothing(clock: Clock) -> None:
    kit = make(CookieBackend(), clock)
    client = browser(kit)

    @client.app.post("/grow")  # type: ignore[attr-defined, untyped-decorator]
    async def grow(request: Request) -> str:
        await kit.require_session(request)
        try:
            update_session(request, note="n" * 5_000)
        except SessionTooLarge:
            return (await kit.require_session(request)).note
        raise HTTPException(500)

    assert client.post("/grow").json() == ""
    assert session_of(client, kit) == ADA


def test_what_a_backend_has_let_through_is_not_sent_if_it_is_too_long(clock: Clock) -> None:
    transport, scope = make(CookieBackend(), clock).services.transport, {"scheme": "https"}
    with pytest.raises(SessionTooLarge) as refused:
        transport.write("x" * (transport.limit + 3), None, scope)

    assert (refused.value.size, refused.value.limit, refused.value.fields) == (4_099, 4_096, {})
    assert len(transport.write("x" * transport.limit, None, scope)) == 1


@pytest.mark.parametrize("length", [20, 21, 22, 23])
def test_an_error_about_the_least_too_much_names_the_largest_fields(length: int, clock: Clock) -> None:
    """A token grows by one byte or two, so that not every name of a cookie can miss its limit by one byte."""
    kit = make(CookieBackend(), clock, cookie=CookieSettings(name="c" * length, https_only=False))
    fits, client = limits(kit)

    with pytest.raises(SessionTooLarge) as refused:
        signed_in(client, kit, AppSession(user_id="ada", note="x" * (fits + 1)))
    assert refused.value.size in {4_097, 4_098}
    assert next(iter(refused.value.fields)) == "note"


def test_a_longer_cookie_name_leaves_less_room(clock: Clock) -> None:
    room = [
        limits(make(CookieBackend(), clock, cookie=CookieSettings(name=name, https_only=False)))[0]
        for name in ("c", "c" * 101)
    ]

    assert 70 <= room[0] - room[1] <= 80  # 100 bytes of base64


def test_a_stored_session_has_no_such_limit(store: RecordingStore, clock: Clock) -> None:
    large = AppSession(user_id="ada", note="n" * 100_000)
    kit = make(store, clock)
    client = browser(kit, large)

    assert session_of(client, kit) == large
    assert len(client.cookies[COOKIE]) < 200
