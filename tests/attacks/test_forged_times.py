"""Who had a secret for a while signs times that no clock has said yet: nothing of it outlives the absolute lifetime."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest

from fastapi_sessionkit import CookieBackend, SessionKit, SessionRecord
from fastapi_sessionkit.backends.base import absence_of
from tests.backends.support import browser_with, every_cookie_backend, opened
from tests.support import COOKIE, SECRET, AppSession, Clock, app_kit

NEXT_SECRET = "the secret that comes after the one that leaked"
DAY = 86_400.0
YEAR_9998 = 253_339_228_800.0
YEAR_9999 = 253_370_764_800.0


def token_of(encrypt: bool, clock: Clock, **times: Any) -> str:
    """A token that is signed with the secret that leaked."""
    leaked: SessionKit[AppSession] = app_kit(backend=CookieBackend(encrypt=encrypt), clock=clock)
    now = clock()
    record = SessionRecord(b'{"user_id":"ada"}', "ada", 1, now, now, now, now + DAY)
    return asyncio.run(leaked.backend.create(replace(record, **times)))


def after_the_leak(encrypt: bool, clock: Clock) -> SessionKit[AppSession]:
    """A kit with a new secret, that still takes the one which leaked."""
    return app_kit(backend=CookieBackend(encrypt=encrypt), clock=clock, secret_key=[NEXT_SECRET, SECRET])


@every_cookie_backend
@pytest.mark.parametrize("time", ["created_at", "authenticated_at", "last_seen_at"])
@pytest.mark.parametrize("forged", [YEAR_9998, 60.0], ids=["in the year 9998", "in a minute"])
def test_attack_a_session_that_begins_in_the_future_opens_nothing(
    time: str, forged: float, encrypt: bool, clock: Clock
) -> None:
    kit = after_the_leak(encrypt, clock)
    token = token_of(encrypt, clock, **{time: max(forged, clock() + 60)})

    assert opened(kit, token_of(encrypt, clock)) is not None
    assert opened(kit, token) is None


@every_cookie_backend
@pytest.mark.parametrize("time", ["created_at", "authenticated_at", "last_seen_at", "expires_at"])
@pytest.mark.parametrize("forged", [math.nan, math.inf, -math.inf, -1.0, YEAR_9999])
def test_attack_a_time_that_no_date_can_hold_opens_nothing(
    time: str, forged: float, encrypt: bool, clock: Clock
) -> None:
    kit = after_the_leak(encrypt, clock)
    token = token_of(encrypt, clock, **{time: forged})

    assert opened(kit, token) is None
    assert absence_of(kit.backend, token.encode()) == "malformed"


@every_cookie_backend
def test_attack_a_session_signed_with_a_leaked_secret_ends_though_it_is_used(encrypt: bool, clock: Clock) -> None:
    kit, began_at = after_the_leak(encrypt, clock), clock()
    client = browser_with(kit, token_of(encrypt, clock, expires_at=YEAR_9998, last_seen_at=clock()))
    while client.get("/").json() is not None:
        clock.advance(DAY / 2)
        assert clock() < began_at + 31 * DAY

    assert clock() >= began_at + 30 * DAY
    assert client.cookies.get(COOKIE)
