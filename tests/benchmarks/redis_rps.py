"""A signed-in read on Redis, in one process and on one uvicorn worker: ``python -m tests.benchmarks.redis_rps``.

Candidates take turns in short blocks. Every cost is on top of the bare endpoint. Starts a Redis of its own unless
``--redis`` names one.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import apps
from tests.benchmarks.figures import Figure, spread
from tests.benchmarks.redis_apps import CANDIDATES
from tests.stores.redis_servers import RedisServer

USERS = 256
COOKIE_LENGTH = 300
ROOT = Path(__file__).parents[2]


# In one process


async def in_process(url: str, blocks: int, requests: int) -> dict[str, list[float]]:
    """Microseconds a request, one figure a block, by the wall's clock: waiting for the server is part of the price."""
    clients = {name: await apps.signed_in(make(url), USERS, COOKIE_LENGTH) for name, make in CANDIDATES.items()}
    turns = {name: client.cycle() for name, client in clients.items()}
    found: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for name, client in clients.items():
        status, _, body = await apps.call(client.app, apps.PATH, next(turns[name]))
        if (status, body) != (200, apps.BODY):
            raise RuntimeError(f"{name} answers {status} {body!r}")
    order = list(CANDIDATES)
    for block in range(blocks + 3):
        random.shuffle(order)
        for name in order:
            app, headers = clients[name].app, turns[name]
            start = time.perf_counter()
            for _ in range(requests):
                await app(apps.scope_of(apps.PATH, next(headers)), apps.receive, _ignore)
            if block >= 3:
                found[name].append((time.perf_counter() - start) / requests * 1e6)
    return found


async def _ignore(message: Any) -> None:
    pass


def overheads(found: dict[str, list[float]]) -> list[Figure]:
    def ratios(name: str) -> list[float]:
        return [
            (cost - bare) / (theirs - bare)
            for cost, theirs, bare in zip(
                *(_groups(found[each]) for each in (name, "starsessions", "bare")), strict=True
            )
        ]

    return [
        spread("in process, of starsessions: sessionkit", ratios("sessionkit"), 0.45),
        spread("in process, of starsessions: a GET by hand", ratios("by hand"), None),
    ]


def _groups(values: list[float], count: int = 10) -> list[float]:
    size = max(1, len(values) // count)
    return [statistics.median(values[start : start + size]) for start in range(0, size * count, size)]


# On one uvicorn worker


@contextmanager
def server(name: str, url: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    # Not --fd: uvicorn takes that for a Unix socket, and each answer then waits 40 ms for Nagle's algorithm.
    options = ["--port", str(port), "--log-level", "error", "--no-access-log"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "tests.benchmarks.redis_apps:served", *options],
        cwd=ROOT,
        env={**os.environ, "CANDIDATE": name, "REDIS_URL": url},
    )
    try:
        _until_it_listens(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


class Connection(asyncio.Protocol):
    """One client that asks again as soon as it is answered."""

    def __init__(self, requests: list[bytes], until: float) -> None:
        self.answered = self.failed = 0
        self.done = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(apps.BODY):
            self.answered += 1
            self.failed += not self._received.startswith(b"HTTP/1.1 200")
            self._received = b""
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        if time.perf_counter() >= self._until:
            self._transport.close()
        else:
            self._transport.write(self._requests[(self.answered * 7) % len(self._requests)])


async def rate(port: int, requests: list[bytes], clients: int, seconds: float) -> float:
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    made = [
        await loop.create_connection(lambda: Connection(requests, until), "127.0.0.1", port) for _ in range(clients)
    ]
    start = until - seconds
    await asyncio.wait_for(asyncio.gather(*(each.done for _, each in made)), seconds + 10)
    if any(each.failed for _, each in made):
        raise RuntimeError("Some requests were not answered with 200")
    return sum(each.answered for _, each in made) / (time.perf_counter() - start)


async def signed_in(port: int) -> list[bytes]:
    """Whole requests, one for each of a few users."""
    return [_request(apps.PATH, await _cookie(port, number)) for number in range(32)]


async def _cookie(port: int, number: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request(apps.LOGIN.format(number=number), b"none=1"))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return next((line[12:].partition(b";")[0] for line in head.split(b"\r\n") if line.startswith(b"set-cookie: ")), b"")


def _request(path: str, cookie: bytes) -> bytes:
    cookie = apps.padded(cookie, COOKIE_LENGTH)
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\ncookie: ".encode() + cookie + b"\r\n\r\n"


async def on_uvicorn(url: str, rounds: int, seconds: float, clients: int) -> dict[str, list[float]]:
    """Requests a second, one figure a round."""
    found: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(server(name, url)) for name in CANDIDATES}
        requests = {name: await signed_in(port) for name, port in ports.items()}
        order = list(CANDIDATES)
        for turn in range(rounds + 1):
            random.shuffle(order)
            for name in order:
                answered = await rate(ports[name], requests[name], clients, seconds)
                if turn:
                    found[name].append(answered)
    return found


def rates(found: dict[str, list[float]]) -> list[Figure]:
    def of(name: str, reference: str) -> list[float]:
        return [mine / theirs for mine, theirs in zip(found[name], found[reference], strict=True)]

    return [
        spread("requests a second, of starsessions: sessionkit", of("sessionkit", "starsessions"), 1.8, at_least=True),
        spread("requests a second, of bare: sessionkit", of("sessionkit", "bare"), None),
        spread("requests a second, of bare: a GET by hand", of("by hand", "bare"), None),
        spread("requests a second, of bare: starsessions", of("starsessions", "bare"), None),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.redis_rps", description=__doc__)
    parser.add_argument("--redis", help="the URL of a Redis to use")
    parser.add_argument("--blocks", type=int, default=100)
    parser.add_argument("--requests", type=int, default=50, help="requests in a block")
    parser.add_argument("--rounds", type=int, default=8, help="rounds on uvicorn; 0 leaves them out")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of load for each candidate in a round")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    own = None if given.redis else RedisServer()
    url = given.redis or (own.url if own else "")
    costs = asyncio.run(in_process(url, given.blocks, given.requests))
    figures = overheads(costs)
    answered: dict[str, list[float]] = {}
    if given.rounds:
        answered = asyncio.run(on_uvicorn(url, given.rounds, given.seconds, given.clients))
        figures += rates(answered)
    if own:
        own.close()
    for figure in figures:
        print(figure)
    micros = {name: round(statistics.median(each), 1) for name, each in costs.items()}
    a_second = {name: round(statistics.median(each)) for name, each in answered.items()}
    print("microseconds a request, in process:", micros)
    print("requests a second, one worker:", a_second)
    if given.json:
        everything = {"figures": [each.as_dict() for each in figures], "microseconds": micros, "a_second": a_second}
        given.json.write_text(json.dumps(everything, indent=2) + "\n")


if __name__ == "__main__":
    main()
