"""The ways to Redis: which connection a command takes, and when it may be sent a second time."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from redis import Redis as BlockingRedis
from redis import RedisCluster as BlockingCluster
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, MovedError, RedisClusterException, RedisError
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import TimeoutError as TimedOut

from ...errors import ConfigurationError
from .line import Line

_SCHEMES = {"redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss"}

_DATABASES = {"postgres", "postgresql", "sqlite", "mysql", "mariadb", "oracle", "mssql"}

ASKING = b"*1\r\n$6\r\nASKING\r\n"

_REDIRECTIONS = 5
"""How often a cluster may send one command elsewhere; more means that its nodes disagree."""


class Wire(Protocol):
    """The way to one Redis, whatever its shape, for one event loop."""

    async def ask(self, key: str, payload: bytes, *, again: bool) -> Any:
        """Send a packed command about ``key`` and give its reply.

        When the connection breaks, a command is repeated once on a new one if it had not left yet or if ``again``
        says that repeating does no harm. A timeout is never repeated: the caller has waited long enough.

        Raises:
            redis.exceptions.RedisError: no connection, no reply in time, or an error reply.
            redis.exceptions.RedisClusterException: no node of the cluster can be reached, or a slot has no node.
        """
        ...

    async def connection(self, key: str) -> AbstractConnection:
        """A connection of one's own, not open yet, to a server that tells of a key by pub/sub."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Server:
    """One server: Redis, Valkey, or the primary that Sentinel names."""

    def __init__(self, connect: Callable[[], AbstractConnection], name: str, timeout: float) -> None:
        self._connect = connect
        self._name = name
        self._timeout = timeout
        self._line: Line | None = None

    async def ask(self, key: str, payload: bytes, *, again: bool) -> Any:  # noqa: ARG002 - one server has every key
        """See ``Wire.ask``."""
        call = self._open().submit(payload)
        try:
            return await call.reply
        except ConnectionLost:
            if call.sent and not again:
                raise
        return await self._open().submit(payload).reply

    async def connection(self, key: str) -> AbstractConnection:  # noqa: ARG002 - one server has every key
        """See ``Wire.connection``."""
        return self._connect()

    async def aclose(self) -> None:
        """See ``Wire.aclose``."""
        if self._line is not None:
            await self._line.aclose()

    def _open(self) -> Line:
        if self._line is None or not self._line.usable:
            self._line = Line(self._connect(), self._name, self._timeout)
        return self._line


class Cluster:
    """The primaries of a Redis Cluster. redis-py knows who holds which slot; each node has a line."""

    def __init__(self, client: RedisCluster, timeout: float, *, owned: bool) -> None:
        self._client = client
        self._timeout = timeout
        self._owned = owned
        self._lines: dict[str, Line] = {}
        self._known = False
        self._suspect: str | None = None
        self._finding_out = asyncio.Lock()

    async def ask(self, key: str, payload: bytes, *, again: bool) -> Any:
        """See ``Wire.ask``. Follows redirections while slots move."""
        repeated = False
        for _ in range(_REDIRECTIONS):
            node = await self._primary(key)
            call = self._open(node).submit(payload)
            try:
                return await call.reply
            except MovedError as error:
                await self._client.nodes_manager.move_slot(error)
            except AskError as error:
                return await self._ask_importer(error, payload)
            except (ConnectionLost, TimedOut) as error:
                self._known, self._suspect = False, node.name
                if repeated or isinstance(error, TimedOut) or (call.sent and not again):
                    raise
                repeated = True
        raise RedisError("the cluster's nodes send a command to each other: its slots are not settled")

    async def connection(self, key: str) -> AbstractConnection:
        """See ``Wire.connection``. Every node tells what is published on any."""
        try:
            return _new_connection(await self._primary(key))
        except (ConnectionLost, TimedOut, RedisClusterException):
            self._known = False
            raise

    async def aclose(self) -> None:
        """See ``Wire.aclose``. The topology connections of a client of the user's own stay."""
        await asyncio.gather(*(line.aclose() for line in self._lines.values()))
        if self._owned:
            await self._client.aclose()

    async def _primary(self, key: str) -> ClusterNode:
        if not self._known:
            try:
                async with asyncio.timeout(self._timeout), self._finding_out:
                    await self._find_out()
            except TimeoutError as error:
                raise TimedOut(
                    f"the cluster's nodes did not say within {self._timeout} seconds who they are"
                ) from error
        node = self._client.get_node_from_key(key)
        if node is None:
            raise RedisError("the cluster has no primary for a slot")
        return node

    async def _find_out(self) -> None:
        if self._known:
            return
        if self._suspect is None:
            await self._client.initialize()
        else:
            # What redis-py does after a failure, without closing connections that others may be using.
            await self._client.nodes_manager.initialize(last_failed_node_name=self._suspect)
        self._known = True
        current = {node.name for node in self._client.get_nodes()}
        for name in self._lines.keys() - current:
            await self._lines.pop(name).aclose()

    async def _ask_importer(self, error: AskError, payload: bytes) -> Any:
        """Ask the node a slot is moving to. Two commands given at once stay neighbours on a line."""
        node = self._client.get_node(error.host, error.port)
        if node is None:
            raise RedisError("a slot is moving to a node that the cluster does not name")
        line = self._open(node)
        _, reply = await asyncio.gather(line.submit(ASKING).reply, line.submit(payload).reply)
        return reply

    def _open(self, node: ClusterNode) -> Line:
        line = self._lines.get(node.name)
        if line is None or not line.usable:
            line = self._lines[node.name] = Line(_new_connection(node), node.name, self._timeout)
        return line


def _new_connection(node: ClusterNode) -> AbstractConnection:
    return node.connection_class(**{**node.connection_kwargs, "retry": Retry(NoBackoff(), 0)})


@dataclass(frozen=True, slots=True)
class Way:
    """How to get to a Redis.

    Attributes:
        place: where that is, without a password.
        open: opens a wire, once for each event loop.
    """

    place: str
    open: Callable[[], Wire]


def way_to(server: str | Redis | RedisCluster, timeout: float) -> Way:
    """How to get to that Redis.

    Raises:
        ConfigurationError: it is no URL and no client, or one that can't work.
    """
    if isinstance(server, Redis):
        return _way_by_pool(server.connection_pool, timeout)
    if isinstance(server, RedisCluster):
        return Way("Redis Cluster", lambda: Cluster(server, timeout, owned=False))
    if isinstance(server, (BlockingRedis, BlockingCluster)):
        raise ConfigurationError(
            "RedisStore takes an asynchronous client, and this one is not: make it with redis.asyncio.Redis or "
            "redis.asyncio.RedisCluster, or give its URL."
        )
    if not isinstance(server, str):
        raise ConfigurationError(
            f"RedisStore takes a URL, a redis.asyncio.Redis or a redis.asyncio.RedisCluster, not {type(server).__name__}."
        )
    return _way_by_url(server.strip(), timeout)


def _way_by_url(url: str, timeout: float) -> Way:
    scheme, separator, rest = url.partition("://")
    family, _, shape = scheme.partition("+")
    if separator and family in _DATABASES:
        raise ConfigurationError(
            f"RedisStore keeps sessions in Redis, and {family}:// is another store's: write SQLStore(url), from "
            "fastapi_sessionkit.stores.sql."
        )
    if not separator or not rest or family not in _SCHEMES or shape not in {"", "cluster"}:
        # The messages never show the URL, which may hold a password.
        raise ConfigurationError(
            "RedisStore can't use a URL of this kind: write redis://host:6379/0, or one of rediss://, unix://, "
            "valkey://, valkeys://, redis+cluster://, rediss+cluster://."
        )
    plain = f"{_SCHEMES[family]}://{rest}"
    _check_place(plain)
    try:
        return _way_to_cluster(plain, timeout) if shape else _way_to_server(plain, timeout)
    except (TypeError, ValueError, RedisClusterException):
        raise ConfigurationError(
            f"RedisStore can't read this {scheme}:// URL: its port, its database (a cluster has none but 0) or an "
            "option is wrong, or the password has characters that must be percent-encoded."
        ) from None


def _way_to_server(url: str, timeout: float) -> Way:
    # Protocol 2 saves a round trip on connecting; nothing here needs version 3.
    pool = ConnectionPool.from_url(url, protocol=2, socket_connect_timeout=timeout)
    pool.make_connection()  # type: ignore[no-untyped-call] # opens nothing, and knows the options
    return _way_by_pool(pool, timeout)


def _check_place(url: str) -> None:
    """Refuse what redis-py would pass over, to take its default: a database that is no number, port 0."""
    parsed = urlsplit(url)
    on_network = parsed.scheme != "unix"
    databases = [*parse_qs(parsed.query).get("db", []), *([parsed.path.strip("/")] if on_network else [])]
    if not all(re.fullmatch("[0-9]*", each) for each in databases):
        raise ConfigurationError("RedisStore: the database of a Redis URL is a number, as in redis://host:6379/0.")
    if on_network and re.search(r":0+$", parsed.netloc):
        raise ConfigurationError("RedisStore: the port of a Redis URL is 1 to 65535, as in redis://host:6379/0.")
    if on_network and "," in (parsed.hostname or ""):
        raise ConfigurationError(
            "RedisStore: a Redis URL has one host. Of a cluster name any node, redis+cluster://host:6379; for a Sentinel give "
            "RedisStore a client of it."
        )


def _way_by_pool(pool: ConnectionPool, timeout: float) -> Way:
    place = _place(pool)
    return Way(f"Redis at {place}", lambda: Server(pool.make_connection, place, timeout))


def _place(pool: ConnectionPool) -> str:
    service = getattr(pool, "service_name", None)
    if service is not None:
        return f"the primary {service!r} of a Sentinel"
    options = pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


def _way_to_cluster(url: str, timeout: float) -> Way:
    def client() -> RedisCluster:
        return RedisCluster.from_url(url, socket_connect_timeout=timeout, socket_timeout=timeout)

    client()  # opens nothing, and knows the options
    return Way("Redis Cluster", lambda: Cluster(client(), timeout, owned=True))
