"""Two servers with signed cookies whose clocks disagree: what is refused, and that the log says so."""

import logging

import pytest

from fastapi_sessionkit import CookieBackend, SessionKit
from fastapi_sessionkit.backends.base import CLOCK_SKEW
from tests.backends.support import browser as browser_of
from tests.backends.support import every_cookie_backend, make, opened
from tests.support import COOKIE, AppSession, Clock


def token_of(encrypt: bool, clock: Clock, ahead: float) -> str:
    """A token of another server, whose clock is ahead."""
    return browser_of(make(CookieBackend(encrypt=encrypt), Clock(clock() + ahead))).cookies[COOKIE]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.fixture
def here(clock: Clock) -> SessionKit[AppSession]:
    return make(CookieBackend(), clock)


@every_cookie_backend
@pytest.mark.parametrize(("ahead", "opens"), [(-30, True), (5, True), (CLOCK_SKEW, True), (10.5, False), (30, False)])
def test_a_clock_may_be_ahead_by_the_limit_and_no_more(
    encrypt: bool, ahead: float, opens: bool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    kit = make(CookieBackend(encrypt=encrypt), clock)

    assert (opened(kit, token_of(encrypt, clock, ahead)) is not None) is opens
    assert bool(warnings(caplog)) is not opens


def test_the_warning_names_the_limit_and_nothing_of_the_session(
    here: SessionKit[AppSession], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    token = token_of(False, clock, 30)
    opened(here, token)

    (said,) = warnings(caplog)
    assert "30 seconds ahead of this server's clock" in said
    assert "must agree to 10 seconds" in said
    assert token not in said
    assert "ada" not in said


def test_it_warns_once_a_minute_however_many_are_refused(
    here: SessionKit[AppSession], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    token = token_of(False, clock, 3_600)
    for _ in range(20):
        opened(here, token)
        clock.advance(2.9)
    assert len(warnings(caplog)) == 1

    clock.advance(3)
    opened(here, token)
    assert len(warnings(caplog)) == 2


def test_it_warns_again_although_the_clock_was_set_back(
    here: SessionKit[AppSession], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    token = token_of(False, clock, 30)
    opened(here, token)
    clock.advance(-3_600)
    opened(here, token)

    assert len(warnings(caplog)) == 2


def test_what_nobody_signed_is_no_sign_of_clocks(
    here: SessionKit[AppSession], caplog: pytest.LogCaptureFixture
) -> None:
    assert opened(here, "made-up") is None
    assert warnings(caplog) == []


def test_the_limit_that_the_docs_state_is_the_limit() -> None:
    assert CLOCK_SKEW == 10
