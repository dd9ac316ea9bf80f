"""Kits on each backend, and the store that they share."""

import pytest

from fastapi_sessionkit import CookieBackend, SessionBackend, SessionKit, StoreBackend
from tests.conftest import Clock
from tests.mutation.support import SECRET, AppSession, Store


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(params=["cookie", "encrypted", "store"])
def backend(request: pytest.FixtureRequest, store: Store) -> SessionBackend:
    if request.param == "store":
        return StoreBackend(store)
    return CookieBackend(encrypt=request.param == "encrypted")


@pytest.fixture
def kit(backend: SessionBackend, clock: Clock) -> SessionKit[AppSession]:
    return SessionKit(AppSession, secret_key=SECRET, backend=backend, clock=clock)


@pytest.fixture
def stored(store: Store, clock: Clock) -> SessionKit[AppSession]:
    """A kit on the store, where only that is in question."""
    return SessionKit(AppSession, secret_key=SECRET, backend=store, clock=clock)
