"""The store that the backends' tests look into."""

import pytest

from tests.backends.support import Recording


@pytest.fixture
def store() -> Recording:
    return Recording()
