from collections.abc import Iterator

import pytest

from tests.whoami.support import Service, running_service


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service
