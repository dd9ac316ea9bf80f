"""The site that the tests of the cookie visit."""

import pytest

from tests.cookie.support import Site
from tests.testing.conftest import backend, make_backend, postgres, redis

__all__ = ["backend", "make_backend", "postgres", "redis"]


@pytest.fixture
def site() -> Site:
    return Site()
