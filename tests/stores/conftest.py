import uuid
from collections.abc import Iterator

import pytest

from tests.stores.postgres_server import ForeignPostgres, PostgresServer, start_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer | ForeignPostgres]:
    """A PostgreSQL server, one for all tests."""
    server = start_postgres()
    yield server
    server.remove()


@pytest.fixture
def table_name() -> str:
    """A table of this test's own, which makes the store an empty one."""
    return f"sessions_{uuid.uuid4().hex}"
