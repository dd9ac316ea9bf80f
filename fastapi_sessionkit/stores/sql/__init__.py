"""Sessions in a table of any database that SQLAlchemy's asynchronous engines speak (extra ``sql``)."""

try:
    import sqlalchemy.ext.asyncio  # noqa: F401 - to say which extra is missing
except ImportError as _missing:
    raise ImportError(f"SQLStore needs more packages: pip install 'fastapi-sessionkit[sql]' ({_missing})") from _missing

from .store import SQLStore

__all__ = ["SQLStore"]
