"""Sessions in a table of any database that SQLAlchemy's asynchronous engines speak (extra ``sql``)."""

try:
    from .store import SQLStore
except ImportError as error:
    raise ImportError(f"SQLStore needs more packages: pip install 'fastapi-sessionkit[sql]' ({error})") from error

__all__ = ["SQLStore"]
