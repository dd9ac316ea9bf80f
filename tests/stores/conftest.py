import uuid

import pytest


@pytest.fixture
def table_name() -> str:
    """A table of this test's own, which makes the store an empty one."""
    return f"sessions_{uuid.uuid4().hex}"
