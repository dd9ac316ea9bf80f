"""The store that the backends' tests look into."""

import pytest

from tests.support import RecordingStore


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()
