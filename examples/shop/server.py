"""The shop's server: it takes its address first, and says that the shop is open once it is."""

import errno
import socket
import sys
from contextlib import suppress
from typing import Any

import uvicorn

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown as an address that a browser can open


class Server(uvicorn.Server):
    """Prints a welcome as soon as it answers."""

    def __init__(self, app: Any, welcome: str) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning"))
        self.welcome = welcome

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.welcome, flush=True)


def taken_address(host: str, port: int) -> socket.socket:
    """A socket at that address; ends the program, saying why, where there can be none."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(f"The shop can't open. Port {port} is taken: --port chooses another one")
        sys.exit(f"The shop can't open at {host}, port {port}. {error.strerror}")


def shown_address(door: socket.socket) -> str:
    """What to type into a browser."""
    host, port, *_ = door.getsockname()
    host = EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Any, door: socket.socket, welcome: str) -> None:
    """Serve until interrupted."""
    with suppress(KeyboardInterrupt):
        Server(app, welcome).run(sockets=[door])
