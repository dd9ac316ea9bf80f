"""One site on every backend: the attacks of this folder ask for ``site``, and run once on each."""

import gc
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_sessionkit import CookieBackend, SessionBackend, SessionStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing.contract.tools import PATIENCE
from tests.attacks.support import Site
from tests.support import Clock, RecordingStore

SIGNED = ("cookie", "encrypted")
STORED = ("memory", "sqlite", "postgres", "redis")


@pytest.fixture(params=[*SIGNED, *STORED])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def backend(engine: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> SessionBackend | SessionStore:
    name = secrets.token_hex(8)
    match engine:
        case "cookie" | "encrypted":
            return CookieBackend(encrypt=engine == "encrypted")
        case "memory":
            return RecordingStore()
        case "sqlite":
            return SQLStore(tmp_path / "sessions.db", clock=clock)
    server: Any = request.getfixturevalue(engine)
    if engine == "redis":
        return RedisStore(server.url, prefix=f"{name}:", clock=clock, timeout=PATIENCE)
    options: dict[str, Any] = {"connection_timeout": PATIENCE, "answer_timeout": PATIENCE}
    return SQLStore(server.url, table_name=f"sessions_{name}", clock=clock, **options)


@pytest.fixture
def site(backend: SessionBackend | SessionStore, clock: Clock) -> Iterator[Site]:
    site = Site(backend, clock=clock)
    with site.client:
        yield site


@pytest.fixture(params=["cookie", "bearer"])
def carrier(request: pytest.FixtureRequest) -> str:
    """What brings the token."""
    name: str = request.param
    return name


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """What was never awaited is found here, where it is expected, and not in somebody else's test."""
    yield
    gc.collect()
