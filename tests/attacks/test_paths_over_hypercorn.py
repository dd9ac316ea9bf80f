"""Attack: path confusion over hypercorn, beside uvicorn's parsers in ``tests/security``."""

import asyncio
import importlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.security.differential import GUARDS, MARK, application_with_secrets

h2: Any = pytest.importorskip("h2", reason="h2, which comes with hypercorn, is not installed")
for part in ("config", "connection", "events"):
    importlib.import_module(f"h2.{part}")
PATIENCE = 60.0

TARGETS = [
    "/admin", "/admin/", "//admin", "/./admin", "/open/../admin", "/admin%0A", "/admin%00", "/%61dmin", "/admin%2Fusers",
    "/admin\\users", "/admin;x=1", "/admin/users/..;/x", "/ADMIN", "/admin?x", "/admin%20", "/%2e/admin", "/%252e/admin",
    "/sub/secret", "/sub//secret", "/static/private/secret.txt", "/static/public/../private/secret.txt",
    "/static//private/secret.txt", "/static/public/%2e%2e/private/secret.txt", "/starlette/hidden", "/starlette/hidden/",
    "http://127.0.0.1/admin", "http://evil.example/admin", "/docs", "*", "/admin/files/%c0%ae%c0%ae/x", "/admin/files/%ff",
    "admin", "/admin#x", "/admin x",
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

    def answer_by_http_2(self, target: str) -> bytes:
        """The same where the path stands in a field of its own, which no request line limits."""
        settings = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        speaking, received = h2.connection.H2Connection(settings), b""
        fields = {":method": "GET", ":path": target, ":scheme": "http", ":authority": "127.0.0.1"}
        speaking.initiate_connection()
        speaking.send_headers(
            1, [(key.encode(), value.encode("latin-1")) for key, value in fields.items()], end_stream=True
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(speaking.data_to_send())
            while chunk := connection.recv(65_536):
                for event in speaking.receive_data(chunk):
                    if isinstance(event, h2.events.ResponseReceived):
                        received += b"HTTP/2 " + dict(event.headers)[b":status"] + b" \r\n"
                    elif isinstance(event, h2.events.DataReceived):
                        received += event.data
                    elif isinstance(event, _LAST):
                        return received
                connection.sendall(speaking.data_to_send())
        return received


_LAST = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)


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


@pytest.mark.parametrize("answer", [Served.answer, Served.answer_by_http_2], ids=["http 1.1", "http 2"])
def test_attack_over_hypercorn_by_spelling_a_path_in_another_way(
    served: tuple[Served, Served], answer: Callable[[Served, str], bytes]
) -> None:
    guarded, unguarded = served
    let_out_by = []
    for target in TARGETS:
        let_out, kept = MARK.encode() in answer(unguarded, target), answer(guarded, target)
        let_out_by += [target] if let_out else []

        assert MARK.encode() not in kept, target
        assert not let_out or b" 200 " not in kept.partition(b"\r\n")[0], target
        assert b" 500 " not in kept.partition(b"\r\n")[0], target
    assert "/admin" in let_out_by
