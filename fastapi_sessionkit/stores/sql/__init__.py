"""Sessions in a table of any database that SQLAlchemy's asynchronous engines speak (extra ``sql``)."""

from .store import SQLStore

__all__ = ["SQLStore"]
