"""What the Redis connection of our own leans on in redis-py, name by name.

redis-py documents its clients. That its connections, pools and topology may be used directly it does not promise, so the
extra has an upper bound, and an upgrade that drops or changes one of these names fails here and says which.
"""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, Connection
from redis.exceptions import AskError

from fastapi_sessionkit.stores.redis import line, wire


def cluster() -> RedisCluster:
    return RedisCluster(host="127.0.0.1", port=1)


# Who has it, the name, and the arguments that it is called with.
METHODS = [
    (AbstractConnection, "connect", {}),
    (AbstractConnection, "disconnect", {"nowait": True}),
    (AbstractConnection, "send_packed_command", {"command": b"", "check_health": False}),
    (AbstractConnection, "read_response", {"disable_decoding": True, "timeout": 1.0}),
    (ConnectionPool, "from_url", {"url": "redis://x", "protocol": 2, "socket_connect_timeout": 1.0}),
    (ConnectionPool, "make_connection", {}),
    (RedisCluster, "from_url", {"url": "redis://x", "socket_connect_timeout": 1.0, "socket_timeout": 1.0}),
    (RedisCluster, "initialize", {}),
    (RedisCluster, "get_node_from_key", {"key": "x"}),
    (RedisCluster, "get_node", {"host": "x", "port": 1}),
    (RedisCluster, "get_nodes", {}),
    (RedisCluster, "aclose", {}),
]

# What makes one, the name, and what it is; nothing here connects.
ATTRIBUTES = [
    (Connection, "socket_timeout", (float, int)),
    (Redis, "connection_pool", ConnectionPool),
    (ConnectionPool, "connection_kwargs", dict),
    (cluster, "nodes_manager", object),
    (lambda: ClusterNode("127.0.0.1", 1), "name", str),
    (lambda: ClusterNode("127.0.0.1", 1), "connection_class", type),
    (lambda: ClusterNode("127.0.0.1", 1), "connection_kwargs", dict),
    (lambda: AskError("1 127.0.0.1:2"), "host", str),
    (lambda: AskError("1 127.0.0.1:2"), "port", int),
]

ON_NODES_MANAGER = [("move_slot", {"e": None}), ("initialize", {"last_failed_node_name": "x"})]


@pytest.mark.parametrize(("owner", "name", "arguments"), METHODS)
def test_redis_py_has_the_method_with_these_arguments(owner: type, name: str, arguments: dict[str, Any]) -> None:
    method = getattr(owner, name)
    itself = () if inspect.ismethod(method) else (object(),)

    inspect.signature(method).bind(*itself, **arguments)


@pytest.mark.parametrize(("name", "arguments"), ON_NODES_MANAGER)
def test_redis_pys_topology_has_the_method_with_these_arguments(name: str, arguments: dict[str, Any]) -> None:
    inspect.signature(getattr(cluster().nodes_manager, name)).bind(**arguments)


@pytest.mark.parametrize(("make", "name", "kind"), ATTRIBUTES)
def test_redis_py_has_the_attribute(make: Any, name: str, kind: Any) -> None:
    assert isinstance(getattr(make(), name), kind)


@pytest.mark.parametrize("module", [line, wire])
def test_nothing_else_of_redis_pys_objects_is_used(module: Any) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    taken = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    used = {
        node.attr
        for node in taken
        if ast.unparse(node.value).endswith(("._connection", "._client", "node", "_manager"))
    }
    named = {name for _, name, _ in (*METHODS, *ATTRIBUTES)} | {name for name, _ in ON_NODES_MANAGER}

    assert used
    assert used - named == set()
