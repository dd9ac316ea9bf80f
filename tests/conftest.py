"""What every test may ask for: a clock that stands still, and a process environment without this library's settings."""

import pytest

# Before any test module imports it: its asserts are to explain themselves like a test's own.
pytest.register_assert_rewrite("fastapi_sessionkit._contract")


class Clock:
    """Unix seconds that move only when told to. A kit takes it as ``clock=``, a store too."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, the event loop that uvicorn runs."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's shell must not decide what a test sees."""
    for name in ("SESSIONKIT_SECRET_KEY", "FASTAPI_ENV"):
        monkeypatch.delenv(name, raising=False)
