"""Kits on each backend, and the store that they share."""

import pytest

from fastapi_sessionkit import CookieBackend, SessionBackend, SessionKit, StoreBackend
from tests.support import AppSession, Clock, RecordingStore, app_kit


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture(params=["cookie", "encrypted", "store"])
def backend(request: pytest.FixtureRequest, store: RecordingStore) -> SessionBackend:
    if request.param == "store":
        return StoreBackend(store)
    return CookieBackend(encrypt=request.param == "encrypted")


@pytest.fixture
def kit(backend: SessionBackend, clock: Clock) -> SessionKit[AppSession]:
    return app_kit(backend=backend, clock=clock)


@pytest.fixture
def stored(store: RecordingStore, clock: Clock) -> SessionKit[AppSession]:
    """A kit on the store, where only that is in question."""
    return app_kit(backend=store, clock=clock)
