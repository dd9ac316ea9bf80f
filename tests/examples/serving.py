"""An example on uvicorn, in a thread of this process, so that what outlives a request can be tried as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import httpx
import uvicorn

PATIENCE = 30.0
"""Seconds that anything may take on a slow machine."""


@contextmanager
def served(app: Any, config: uvicorn.Config | None = None) -> Iterator[str]:
    """The application's host and port."""
    config = config or uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            if not thread.is_alive():
                raise RuntimeError("uvicorn did not start")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def cookie_of(host: str, name: str) -> dict[str, str]:
    """The header that a browser would send once it is signed in; over https, as the cookie asks."""
    response = httpx.post(f"http://{host}/login", data={"name": name})
    return {"cookie": response.headers["set-cookie"].partition(";")[0]}
