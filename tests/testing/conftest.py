"""Every backend behind one name: the tests of this folder ask for ``backend``, and run once on each."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastapi_sessionkit import CookieBackend, MemoryStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing.contract.tools import PATIENCE

BACKENDS = ("cookie", "memory", "sqlite", "postgres", "redis")


@pytest.fixture(params=BACKENDS)
def make_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    name = secrets.token_hex(8)
    match request.param:
        case "cookie":
            return CookieBackend
        case "memory":
            return MemoryStore
        case "sqlite":
            return lambda: SQLStore(tmp_path / "sessions.db")
    server: Any = request.getfixturevalue(request.param)
    if request.param == "postgres":
        return lambda: SQLStore(
            server.url, table_name=f"sessions_{name}", connection_timeout=PATIENCE, answer_timeout=PATIENCE
        )
    return lambda: RedisStore(server.url, prefix=f"{name}:", timeout=PATIENCE)


@pytest.fixture
def backend(make_backend: Callable[[], Any]) -> Any:
    return make_backend()
