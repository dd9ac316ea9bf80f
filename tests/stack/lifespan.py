"""Start and stop an application as a server does it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[dict[str, Any]]:
    """The application, started; gives its lifespan's state. Raises what it failed with."""
    state: dict[str, Any] = {}
    received: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "asgi": {}, "state": state}, received.get, sent.put))
    await _told(received, sent, task, "startup")
    try:
        yield state
    finally:
        await _told(received, sent, task, "shutdown")
        await task


async def _told(received: Any, sent: Any, task: "asyncio.Future[None]", what: str) -> None:
    received.put_nowait({"type": f"lifespan.{what}"})
    message = await sent.get()
    if message["type"] != f"lifespan.{what}.complete":
        await task
        raise RuntimeError(message)
