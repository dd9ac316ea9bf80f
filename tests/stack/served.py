"""What uvicorn serves in the tests: the same application, once for each store that the environment names.

``python -m uvicorn --factory tests.stack.served:app``, with ``STACK_SQLITE=sqlite:///…``, ``STACK_POSTGRES=…`` and
``STACK_REDIS=…`` as they are wanted; each is mounted under its name in small letters.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from fastapi_sessionkit import SessionStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.stack.application import World

PATIENCE = 60.0
"""Seconds for an engine to answer: four processes at once keep a slow machine busy."""


def app() -> FastAPI:
    stores: dict[str, SessionStore] = {}
    for name in ("sqlite", "postgres", "redis"):
        url = os.environ.get(f"STACK_{name.upper()}")
        if url:
            stores[name] = _store(name, url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # A mounted application has no lifespan of its own.
        async with AsyncExitStack() as stack:
            for store in stores.values():
                stack.push_async_callback(store.aclose)
            yield

    served = FastAPI(lifespan=lifespan)
    for name, store in stores.items():
        # A grace that no request outlives that waits its turn on a slow machine.
        served.mount(f"/{name}", World(store, time.time, rotation_grace=120.0).app)

    @served.get("/process")
    async def process() -> int:
        return os.getpid()

    return served


def _store(name: str, url: str) -> SessionStore:
    if name == "redis":
        return RedisStore(url, timeout=PATIENCE)
    return SQLStore(url, connection_timeout=PATIENCE, answer_timeout=PATIENCE)
