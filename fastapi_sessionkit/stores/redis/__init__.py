"""Sessions in Redis, Valkey or a Redis Cluster, for several processes and machines (extra ``redis``)."""

from .store import RedisStore

__all__ = ["RedisStore"]
