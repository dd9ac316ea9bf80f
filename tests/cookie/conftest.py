"""The site that the tests of the cookie visit."""

import pytest

from tests.cookie.support import Site


@pytest.fixture
def site() -> Site:
    return Site()
