"""Where a database is and why it failed, in words that may be logged."""

import os
import sqlite3
import ssl
from collections.abc import Iterator

from sqlalchemy import URL

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}

_SPEAKABLE = frozenset({"08", "25", "26", "28", "3D", "3F", "40", "42", "53", "55", "57", "58"})
"""Classes of SQLSTATE whose messages are about the server, the sign-in or the table, never about a value: connection,
transaction, authorization, names, rollback, syntax and access, resources, state, operator, system
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


def place(url: URL) -> str:
    """Which database that is, without a password: ``PostgreSQL at db.internal:5432/shop``."""
    backend = url.get_backend_name()
    name = _NAMES.get(backend, backend)
    if backend == "sqlite":
        return f"{name} file {url.database}"
    host = url.host or url.query.get("host") or "its default address"
    hosts = host if isinstance(host, str) else ", ".join(host)
    port = "" if url.port is None else f":{url.port}"
    return f"{name} at {hosts}{port}/{url.database or ''}"


def reason(error: Exception) -> str:
    """What of an error may be logged: its text where that can't hold a value, and what it is otherwise."""
    texts = [text for each in _chain(error) if (text := _speakable_text(each))]
    return texts[-1] if texts else type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from, down to the driver's own."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def _speakable_text(error: BaseException) -> str | None:
    if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
        return str(error)
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str):
        return _server_text(error) if sqlstate[:2] in _SPEAKABLE else f"{type(error).__name__} ({sqlstate})"
    if isinstance(error, OSError):
        return _system_text(error)
    # libpq's own, about the connection; and asyncpg's, about a setting.
    if type(error).__module__ == "psycopg" or type(error).__name__ == "ClientConfigurationError":
        return str(error).partition("\n")[0] if type(error).__name__ != "DataError" else None
    return None


def _server_text(error: BaseException) -> str:
    """The message alone: the detail below it may name a row."""
    message = getattr(error, "message", None) or getattr(getattr(error, "diag", None), "message_primary", None)
    return str(message or error).partition("\n")[0]


def _system_text(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) or error.errno is None:
        return str(error) or "no answer in time"
    if isinstance(error, ConnectionError) or error.strerror is None:
        return os.strerror(error.errno)
    return error.strerror
