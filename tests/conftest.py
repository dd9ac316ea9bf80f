"""What every test may ask for: a clock that stands still, and a process environment without this library's settings.

Hypothesis tries the same examples in every run, so that what a run says is about the change that it is for. Others are
tried by ``pytest --hypothesis-profile=others``.
"""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.stores.postgres_server import ForeignPostgres, PostgresServer, start_postgres
from tests.stores.redis_servers import RedisServer
from tests.support import PASSED, Clock, is_whole_suite

# No example fails for being slow: that is about the machine, and what else it does.
settings.register_profile("others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("others"), derandomize=True)
settings.load_profile("same")

# Before any test module imports it: its asserts are to explain themselves like a test's own.
pytest.register_assert_rewrite("fastapi_sessionkit.testing.contract")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer | ForeignPostgres]:
    """A PostgreSQL server, one for all tests that leave it running."""
    server = start_postgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A Redis server, one for all tests that leave it running."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, the event loop that uvicorn runs."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's shell must not decide what a test sees."""
    for name in ("SESSIONKIT_SECRET_KEY", "FASTAPI_ENV"):
        monkeypatch.delenv(name, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test about what has run comes when everything has."""
    items.sort(key=lambda item: item.name.startswith("test_last_of_all_"))


def pytest_collection_finish() -> None:
    """What every module has brought stays: a test that collects garbage need not look through all of it."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep which tests have passed, with any of their parameters."""
    if report.when == "call" and report.passed:
        PASSED.add(report.nodeid.partition("[")[0])


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where other processes ran the tests, only this one knows whether those that the standard's table names have passed."""
    config = session.config
    shares = bool(getattr(config.option, "numprocesses", 0)) and not hasattr(config, "workerinput")
    if shares and exitstatus == pytest.ExitCode.OK and is_whole_suite(config):
        from tests.docs.test_standard import NAMED

        missing = sorted(set(NAMED) - PASSED)
        if missing:
            print(f"\nNamed in docs/security.md, and not passed: {', '.join(missing)}")  # noqa: T201
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
