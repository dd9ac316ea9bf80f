"""Sessions in Redis, Valkey or a Redis Cluster, for several processes and machines (extra ``redis``)."""

try:
    from .store import RedisStore
except ImportError as error:
    raise ImportError(f"RedisStore needs more packages: pip install 'fastapi-sessionkit[redis]' ({error})") from error

__all__ = ["RedisStore"]
