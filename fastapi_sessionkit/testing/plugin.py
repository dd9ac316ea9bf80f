"""The pytest plugin, which pytest finds by itself: the fixtures ``sessionkit_clock`` and ``sign_in``."""

from typing import Protocol

import pytest

from ..kit import SessionKit
from .clients import C, M, signed_in
from .clock import FakeClock

# Before a test module imports it: its asserts are to explain themselves like a test's own.
pytest.register_assert_rewrite("fastapi_sessionkit.testing.contract")


class SignIn(Protocol):
    """What the fixture ``sign_in`` gives."""

    def __call__(self, client: C, kit: SessionKit[M], session: M) -> C:
        """See ``signed_in``."""
        ...


@pytest.fixture
def sessionkit_clock() -> FakeClock:
    """A clock that stands still until the test moves it: ``SessionKit(..., clock=sessionkit_clock)``."""
    return FakeClock()


@pytest.fixture
def sign_in() -> SignIn:
    """``sign_in(client, kit, session)`` signs a client in and gives it back."""
    return signed_in
