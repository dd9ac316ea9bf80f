"""Requests a second on one uvicorn worker (uvloop, httptools), as a share of what the bare endpoint reaches.

Each application has a server of its own; all are there all the time, and one at a time is loaded, by turns, from this
process: so many connections, each with one request under way, for so long. A worker that is never idle is what is
measured, so a second is a second of its processor time: what else runs on the machine takes none of it.
"""

import asyncio
import http.client
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from tests.benchmarks import apps
from tests.benchmarks.cost import COOKIE_LENGTH
from tests.benchmarks.figures import Figure, spread
from tests.benchmarks.serve import APPLICATIONS

CONNECTIONS = 16
TARGETS = {"role, cookie": 0.75, "role, memory": 0.75}


@dataclass
class Server:
    """A running server, what is asked of it, and its requests a second in each turn."""

    name: str
    port: int
    worker: int = 0
    request: bytes = b""
    turns: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        """Wait for it, sign in, and see that the request is answered as it should be."""
        cookie = apps.padded(self._sign_in(), COOKIE_LENGTH).decode()
        status, body, _ = _get(self.port, apps.PATH, {"Cookie": cookie})
        if status != 200 or body != apps.BODY:
            raise RuntimeError(f"{self.name} answers {status} {body!r}")
        self.request = f"GET {apps.PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()

    def _sign_in(self) -> bytes:
        until = time.monotonic() + 20
        while True:
            try:
                status, _, cookie = _get(self.port, apps.LOGIN.format(number=1), {})
            except ConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                if status != 200:
                    raise RuntimeError(f"{self.name} answers {status} to a sign-in")
                return cookie.partition(";")[0].encode()


def _get(port: int, path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    answer = response.status, response.read(), response.headers.get("set-cookie", "")
    connection.close()
    return answer


class Caller(asyncio.Protocol):
    """One connection: sends the next request as soon as the last one is answered."""

    def __init__(self, request: bytes, count: Callable[[], None]) -> None:
        self.request = request
        self.count = count
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.received.endswith(b"\r\n\r\n" + apps.BODY):
            return
        if not self.received.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(self.received.decode())
        self.received = b""
        self.count()
        self.transport.write(self.request)


async def load(server: Server, seconds: float) -> float:
    """Requests a second of the worker's processor time."""
    answered = 0

    def count() -> None:
        nonlocal answered
        answered += 1

    loop = asyncio.get_running_loop()
    callers = [
        await loop.create_connection(lambda: Caller(server.request, count), "127.0.0.1", server.port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds / 10)
    before, start = answered, _processor_time(server.worker)
    await asyncio.sleep(seconds)
    rate = (answered - before) / (_processor_time(server.worker) - start)
    for transport, _ in callers:
        transport.abort()
    await asyncio.sleep(0.01)
    if not rate:
        raise RuntimeError(f"{server.name} answered nothing")
    return rate


def _processor_time(process: int) -> float:
    """Seconds that another process has run so far (Linux: the clock that clock_getcpuclockid(3) gives)."""
    return time.clock_gettime(~process << 3 | 2)


@contextmanager
def running() -> Iterator[list[Server]]:
    """Servers for every application, ended whatever happens."""
    with ExitStack() as stack:
        servers = []
        for name in APPLICATIONS:
            server = Server(name, _free_port())
            command = [sys.executable, "-m", "tests.benchmarks.serve", name, str(server.port)]
            process = subprocess.Popen(command)
            server.worker = process.pid
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            servers.append(server)
        for server in servers:
            server.prepare()
        yield servers


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def measure(servers: list[Server], rounds: int, seconds: float) -> None:
    for server in servers:
        await load(server, seconds)
    for _ in range(rounds):
        for server in random.sample(servers, len(servers)):
            server.turns.append(await load(server, seconds))


def run(rounds: int, seconds: float, starts: int = 3) -> dict[str, Any]:
    """Measure with servers started anew a few times; gives what is written as JSON."""
    turns: dict[str, list[float]] = {name: [] for name in APPLICATIONS}
    for _ in range(starts):
        with running() as servers:
            uvloop.run(measure(servers, max(1, rounds // starts), seconds))
        for server in servers:
            turns[server.name] += server.turns
    return {
        "rounds": rounds,
        "seconds_a_turn": seconds,
        "connections": CONNECTIONS,
        "requests_a_second": {name: round(statistics.median(rates)) for name, rates in turns.items()},
        "figures": [figure.as_dict() for figure in _figures(turns)],
    }


def _figures(turns: dict[str, list[float]]) -> Iterator[Figure]:
    for name, rates in turns.items():
        shares = [rate / bare for rate, bare in zip(rates, turns["bare"], strict=True)]
        if name == "bare":
            yield Figure(name, 1.0, 1.0, 1.0, None)
        else:
            yield spread(name, shares, TARGETS.get(name), at_least=True)
