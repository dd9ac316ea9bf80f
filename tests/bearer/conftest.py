"""The site on each kind of backend, and the store behind it."""

import pytest

from fastapi_sessionkit import CookieBackend, SessionBackend, StoreBackend
from tests.bearer.support import Site
from tests.support import Clock, RecordingStore


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture(params=["cookie", "encrypted", "store"])
def backend(request: pytest.FixtureRequest, store: RecordingStore) -> SessionBackend:
    if request.param == "store":
        return StoreBackend(store)
    return CookieBackend(encrypt=request.param == "encrypted")


@pytest.fixture
def site(backend: SessionBackend, clock: Clock) -> Site:
    return Site(backend=backend, clock=clock)


@pytest.fixture
def stored(store: RecordingStore, clock: Clock) -> Site:
    """The site on the store, where only that is in question."""
    return Site(backend=store, clock=clock)


@pytest.fixture
def stateless(clock: Clock) -> Site:
    """The site on ``CookieBackend``, where only that is in question."""
    return Site(clock=clock)
