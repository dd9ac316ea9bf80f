"""Attack: path confusion over hypercorn, beside uvicorn's parsers in ``tests/security``."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.security.differential import GUARDS, MARK, application_with_secrets

PATIENCE = 60.0

TARGETS = [
    "/admin", "/admin/", "//admin", "/./admin", "/open/../admin", "/admin%0A", "/admin%00", "/%61dmin", "/admin%2Fusers",
    "/admin\\users", "/admin;x=1", "/admin/users/..;/x", "/ADMIN", "/admin?x", "/admin%20", "/%2e/admin", "/%252e/admin",
    "/sub/secret", "/sub//secret", "/static/private/secret.txt", "/static/public/../private/secret.txt",
    "/static//private/secret.txt", "/static/public/%2e%2e/private/secret.txt", "/starlette/hidden", "/starlette/hidden/",
    "http://127.0.0.1/admin", "http://evil.example/admin", "/docs", "*", "/admin/files/%c0%ae%c0%ae/x", "/admin/files/%ff",
]  # fmt: skip


class Served:
    """An application on hypercorn, in a thread of its own."""

    def __init__(self, app: FastAPI) -> None:
        asgi = pytest.importorskip("hypercorn.asyncio", reason="hypercorn is not installed")
        config = pytest.importorskip("hypercorn.config").Config()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config.bind, config.loglevel = [f"127.0.0.1:{self.port}"], "CRITICAL"
        self.loop, self.stopped = asyncio.new_event_loop(), asyncio.Event()
        serving: Any = asgi.serve(app, config, shutdown_trigger=self.stopped.wait)
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(serving,), daemon=True)
        self.thread.start()
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.01)
        pytest.fail("the server did not start")

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(PATIENCE)
        self.loop.close()

    def answer(self, target: str) -> bytes:
        """Everything that comes back until the server closes."""
        request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode("latin-1")
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(request)
            while chunk := connection.recv(65_536):
                received += chunk
        return received


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    for name, text in {"public/open.txt": "open", "private/secret.txt": MARK}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module", params=GUARDS)
def served(request: pytest.FixtureRequest, files: Path) -> Iterator[tuple[Served, Served]]:
    pytest.importorskip("hypercorn", reason="hypercorn is not installed")
    pair = (
        Served(application_with_secrets(files, GUARDS[request.param]())),
        Served(application_with_secrets(files, None)),
    )
    yield pair
    for each in pair:
        each.stop()


def test_attack_over_hypercorn_by_spelling_a_path_in_another_way(served: tuple[Served, Served]) -> None:
    guarded, unguarded = served
    let_out_by = []
    for target in TARGETS:
        let_out, kept = MARK.encode() in unguarded.answer(target), guarded.answer(target)
        let_out_by += [target] if let_out else []

        assert MARK.encode() not in kept, target
        assert not let_out or not kept.startswith(b"HTTP/1.1 200"), target
        assert b" 500 " not in kept.partition(b"\r\n")[0], target
    assert "/admin" in let_out_by
