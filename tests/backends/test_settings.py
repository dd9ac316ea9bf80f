"""Settings of backends and kits that can't work are refused."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_sessionkit import ConfigurationError, CookieBackend, Session, SessionRecord, StoreBackend
from fastapi_sessionkit.testing import signed_in
from tests.support import RecordingStore, client_of, new_kit


@pytest.mark.parametrize("encrypt", ["no", None, 0])
def test_encryption_is_switched_on_by_true_and_off_by_false_alone(encrypt: Any) -> None:
    with pytest.raises(ConfigurationError, match="encrypt"):
        CookieBackend(encrypt=encrypt)


DURATIONS = ["idle_timeout", "absolute_timeout", "rotation_grace", "revalidate_every", "purge_every"]


@pytest.mark.parametrize("setting", DURATIONS)
@pytest.mark.parametrize(
    "wrong",
    [timedelta.max, timedelta(days=36_526), 1e300, pytest.param(10**400, id="10**400"), float("inf"), float("nan"), -1],
)
def test_a_duration_is_at_most_100_years(setting: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{setting} must be .* at most 100 years"):
        new_kit(**{setting: wrong})


def test_a_session_of_100_years_can_be_told_about() -> None:
    longest = timedelta(days=36_525)
    # At a whole second: with a fraction the sum of the two is rounded, to a microsecond more or less.
    kit = new_kit(idle_timeout=longest, absolute_timeout=longest, clock=lambda: 1_800_000_000.0)
    app = FastAPI()
    kit.install(app)
    app.get("/")(lambda info=Depends(kit.get_session_info): info)

    info = signed_in(client_of(app), kit, Session(user_id="ada")).get("/").json()

    assert datetime.fromisoformat(info["expires_at"]) - datetime.fromisoformat(info["created_at"]) == longest


@pytest.mark.parametrize("setting", ["clock", "new_id"])
@pytest.mark.parametrize("wrong", [5, None, "now"])
def test_a_source_of_times_or_ids_is_something_to_call(setting: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{setting}=.* takes a function"):
        new_kit(**{setting: wrong})


@pytest.mark.anyio
async def test_a_store_that_is_put_in_the_place_of_another_serves_every_call() -> None:
    backend = StoreBackend(first := RecordingStore())
    kit = new_kit(backend=backend)
    backend.store = second = RecordingStore()
    now = kit.services.lifetimes.clock()
    record = SessionRecord(b'{"user_id":"ada"}', "ada", 1, now, now, now, now + 60)

    old = (await backend.create(record)).encode()
    for change in (backend.update, partial(backend.rotate, grace=10)):
        loaded = await backend.load(old)
        assert loaded is not None
        assert await change(loaded, lambda record: record) is not None
    assert await backend.load(old) is not None
    assert await backend.end_user("ada") == 1

    assert first.calls == []
    assert {"create", "get", "replace"} <= set(second.calls)
