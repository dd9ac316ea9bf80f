"""Sessions in Redis, Valkey or a Redis Cluster, for several processes and machines (extra ``redis``)."""

try:
    import hiredis  # noqa: F401 - to say which extra is missing
    import redis.asyncio  # noqa: F401 - the same
except ImportError as _missing:
    raise ImportError(
        f"RedisStore needs more packages: pip install 'fastapi-sessionkit[redis]' ({_missing})"
    ) from _missing

from .store import RedisStore

__all__ = ["RedisStore"]
