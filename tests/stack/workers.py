"""Uvicorn processes on the loopback, and a client that talks to all of them."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from fastapi_sessionkit import CookieSettings
from fastapi_sessionkit.cookie import SessionCookie

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds for the processes to start, to answer and to end: slow machines take some."""

COOKIE = SessionCookie(CookieSettings()).name


class Workers:
    """A number of single uvicorn processes that serve ``tests.stack.served`` on the same stores."""

    def __init__(self, count: int, stores: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **{f"STACK_{name.upper()}": url for name, url in stores.items()}}
        self._ports = _free_ports(count)
        self._processes = [self._start(port) for port in self._ports]
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]

    def __enter__(self) -> Self:
        for url in self.urls:
            _answers(url)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(PATIENCE)

    def kill(self, number: int) -> None:
        """SIGKILL: whatever it had under way ends here."""
        self._processes[number].kill()
        self._processes[number].wait()

    def start_again(self, number: int) -> None:
        self._processes[number] = self._start(self._ports[number])
        _answers(self.urls[number])

    def _start(self, port: int) -> "subprocess.Popen[bytes]":
        # Not --fd: uvicorn takes that for a Unix socket, and each answer then waits 40 ms for Nagle's algorithm.
        options = [
            "--port",
            str(port),
            "--log-level",
            "warning",
            "--no-access-log",
            "--lifespan",
            "on",
            "--timeout-keep-alive",
            "75",
        ]
        command = [sys.executable, "-m", "uvicorn", "--factory", "tests.stack.served:app", *options]
        return subprocess.Popen(command, cwd=ROOT, env=self._environment)


class Visitor:
    """One session, used from many connections to all processes in turn. The cookie is kept by hand: it is Secure."""

    def __init__(self, client: httpx.AsyncClient, urls: list[str], store: str) -> None:
        self._client = client
        self._urls = urls
        self._store = store
        self._turn = 0
        self.token: str | None = None

    async def send(self, method: str, path: str) -> httpx.Response:
        self._turn += 1
        url = self._urls[self._turn % len(self._urls)]
        headers = {"cookie": f"{COOKIE}={self.token}"} if self.token else {}
        response = await self._client.request(method, f"{url}/{self._store}{path}", headers=headers)
        for value in response.headers.get_list("set-cookie"):
            self.token = value.partition(";")[0].partition("=")[2]
        return response

    async def all(self, *requests: tuple[str, str]) -> list[httpx.Response]:
        """All at once."""
        return await asyncio.gather(*(self.send(*request) for request in requests))


def client() -> httpx.AsyncClient:
    """Straight to the processes, whatever proxy the environment names."""
    return httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits(max_connections=None), trust_env=False)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _answers(url: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return httpx.get(f"{url}/process", timeout=PATIENCE, trust_env=False).json()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
