"""The two lifetimes of a kit: what is written must fit together, and a default gives way."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import ConfigurationError
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import AppSession, Clock, app_kit, client_of


@pytest.mark.parametrize(
    "settings",
    [
        {"idle_timeout": timedelta(days=2), "absolute_timeout": timedelta(days=1)},
        {"idle_timeout": 86_401, "absolute_timeout": timedelta(days=1)},
        {"idle_timeout": timedelta(days=7), "absolute_timeout": 3_600},
        {"idle_timeout": timedelta(days=60)},
    ],
    ids=str,
)
def test_an_idle_lifetime_above_the_absolute_one_is_refused_naming_both(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^idle_timeout=.*absolute_timeout"):
        app_kit(**settings)


@pytest.mark.parametrize("absolute", [3_600, timedelta(hours=1)])
def test_the_two_lifetimes_may_be_the_same(absolute: Any, clock: Clock) -> None:
    kit = app_kit(idle_timeout=3_600, absolute_timeout=absolute, clock=clock)
    client = signed_in(client_of(FastAPI()), kit, AppSession(user_id="ada"))

    clock.advance(3_599)
    assert session_of(client, kit) is not None
    clock.advance(1)
    assert session_of(client, kit) is None


def test_the_default_of_the_idle_lifetime_gives_way_to_a_short_absolute_one(clock: Clock) -> None:
    kit = app_kit(absolute_timeout=timedelta(days=1), clock=clock)
    client = signed_in(client_of(FastAPI()), kit, AppSession(user_id="ada"))

    clock.advance(86_399)
    assert session_of(client, kit) is not None
    clock.advance(1)
    assert session_of(client, kit) is None
    assert kit.services.lifetimes.idle == 86_400
