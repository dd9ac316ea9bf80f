"""The site that the tests of the cookie visit."""

import pytest

from tests.cookie.support import Site
from tests.testing.conftest import backend, make_backend

__all__ = ["backend", "make_backend"]


@pytest.fixture
def site() -> Site:
    return Site()
