"""From the URLs that people have to what the drivers take: ``postgres://``, ``sslmode``, ``pgbouncer`` and their like."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import ConfigurationError
from .mistaken import refuse_file, refuse_foreign, refuse_parameter, refuse_port, refuse_several_hosts

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+pysqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgres+asyncpg": "postgresql+asyncpg",
    "postgres+psycopg": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+asyncpg",
    "postgres+psycopg2": "postgresql+asyncpg",
}
"""The asynchronous driver for what names none, or one that can't be used here for the same database."""

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSION_ATTRIBUTES = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")

_KNOWN_TO_BOTH = frozenset(
    [
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslcrl",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "target_session_attrs",
        "passfile",
        "krbsrvname",
        "gsslib",
        "service",
        "application_name",
        "options",
    ]
)
"""What asyncpg reads from a URL as libpq does."""

_NUMBERS: Mapping[str, tuple[str, Callable[[str], float]]] = {
    "connect_timeout": ("timeout", float),
    "timeout": ("timeout", float),
    "command_timeout": ("command_timeout", float),
    "statement_cache_size": ("statement_cache_size", int),
    "prepared_statement_cache_size": ("prepared_statement_cache_size", int),
    "max_cached_statement_lifetime": ("max_cached_statement_lifetime", int),
    "max_cacheable_statement_size": ("max_cacheable_statement_size", int),
}

_NEEDLESS = {
    "channel_binding": {"disable", "prefer"},
    "gssencmode": {"disable", "prefer"},
    "client_encoding": {"utf8", "utf-8"},
    "sslcompression": {"0"},
    "sslsni": {"1"},
}
"""What asks asyncpg for what it does anyway, or for what may be left out."""

_SQLITE = frozenset({"uri", "timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"})

_UNREADABLE = "its port is no number, or its password has characters that must be percent-encoded (urllib.parse.quote)"

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


@dataclass(frozen=True, slots=True)
class Target:
    """A database as SQLAlchemy and the driver take it.

    Attributes:
        url: with an asynchronous driver, and no parameter but those of the driver's.
        connect_args: what the driver's ``connect`` gets besides.
        behind_pgbouncer: another statement may run on another connection, so nothing prepared outlives a transaction.
    """

    url: URL
    connect_args: dict[str, Any] = field(default_factory=dict)
    behind_pgbouncer: bool = False


def target(given: str | URL | Path) -> Target:
    """What is meant by a URL, or by the path of an SQLite file.

    Raises:
        ConfigurationError: it can't be used; says what to write. The text shows no password.
    """
    url = _url(given)
    _check_ports(url)
    match url.drivername:
        case "sqlite+aiosqlite":
            return Target(_checked_sqlite(url))
        case "postgresql+asyncpg":
            return _for_asyncpg(url)
        case "postgresql+psycopg" | "postgresql+psycopg_async":
            return _for_psycopg(url)
    refuse_foreign(url.drivername)
    return Target(url)


def _url(given: object) -> URL:
    if isinstance(given, Path):
        return URL.create("sqlite+aiosqlite", database=str(given))
    if isinstance(given, Engine):
        raise ConfigurationError(
            "SQLStore takes an asynchronous engine, and this one is not: make it with create_async_engine (from "
            "sqlalchemy.ext.asyncio) and an asynchronous driver, sqlite+aiosqlite or postgresql+asyncpg, or give its URL"
        )
    if not isinstance(given, (str, URL)) or not str(given).strip():
        raise ConfigurationError(
            "SQLStore takes a URL such as sqlite:///sessions.db, a Path, or an engine from create_async_engine, not "
            f"{type(given).__name__ if given else repr(given)}. Is an environment variable not set?"
        )
    text = given.strip() if isinstance(given, str) else given
    try:
        url = make_url(text)
    except ArgumentError:
        refuse_file(str(text))
        raise unusable("it is no URL") from None
    except ValueError:  # whose text may be a part of the password
        refuse_several_hosts(str(text))
        raise unusable(_UNREADABLE) from None
    if "," in (url.host or ""):
        refuse_several_hosts(str(text))
    if "@" in (url.host or ""):  # what stands before it is a part of the password
        raise unusable(_UNREADABLE)
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def unusable(reason: object) -> ConfigurationError:
    """The error for a URL of a kind that can't be used."""
    return ConfigurationError(
        "SQLStore needs the URL of SQLite or PostgreSQL, or of an asynchronous driver that is installed, such as "
        "sqlite+aiosqlite:///sessions.db or postgresql+asyncpg://user:password@host/database "
        f"(pip install 'fastapi-sessionkit[sql]'): {reason}"
    )


def _check_ports(url: URL) -> None:
    """In the URL itself, and where several hosts stand in its parameters."""
    for name in ("host", "port"):
        values = url.query.get(name, ())
        for value in (values,) if isinstance(values, str) else values:
            for each in value.split(","):
                port = each if name == "port" else each.rpartition(":")[2] if ":" in each else ""
                if port.isdigit():
                    refuse_port(int(port))
    if url.port is not None:
        refuse_port(url.port)


# SQLite


def _checked_sqlite(url: URL) -> URL:
    if url.host:
        raise ConfigurationError(
            f"SQLStore: an SQLite URL has three slashes before a relative path and four before an absolute one. "
            f"Write sqlite:///{url.host}{'/' + url.database if url.database else ''}"
        )
    database = url.database or ":memory:"
    if ":memory:" in database or url.query.get("mode") == "memory":
        refuse_memory()
    unknown = sorted(url.query.keys() - _SQLITE)
    if unknown and _parameter(url, "uri") not in _TRUE:
        raise ConfigurationError(
            f"SQLStore: {unknown[0]!r} is a parameter of SQLite's own URIs. Write "
            f"sqlite:///file:{database}?{unknown[0]}=…&uri=true, or leave it out."
        )
    for name, kind in (("timeout", float), ("detect_types", int), ("cached_statements", int)):
        _number(url, name, kind)
    return url


def refuse_memory() -> None:
    """For a database that each connection would have to itself."""
    raise ConfigurationError("An SQLite database in memory ends with its connection: use MemoryStore, or a file.")


# PostgreSQL


def _for_asyncpg(url: URL) -> Target:
    parameters = {name: _parameter(url, name) for name in url.query if name not in {"host", "port"}}
    behind_pgbouncer = _yes(parameters.pop("pgbouncer", "false"), "pgbouncer")
    dsn: dict[str, str] = {}
    connect_args: dict[str, Any] = _unprepared() if behind_pgbouncer else {}
    for name, value in _in_libpqs_words(parameters).items():
        if name in _NUMBERS:
            translated, kind = _NUMBERS[name]
            number = _number(url, name, kind)
            connect_args[translated] = None if translated == "timeout" and not number else number
        elif name in _KNOWN_TO_BOTH:
            dsn[name] = value
        elif value.lower() not in _NEEDLESS.get(name, ()):
            refuse_parameter(name, value)
            raise ConfigurationError(
                f"SQLStore doesn't know the parameter {name!r} of this PostgreSQL URL: leave it out, or give SQLStore an "
                "engine of your own (create_async_engine), which takes everything that the driver takes."
            )
    _check_values(dsn)
    if _trusts_the_system(dsn):
        connect_args["ssl"] = True  # checks the certificate against the system's, and the host's name
        dsn = {name: value for name, value in dsn.items() if name not in {"sslmode", "sslrootcert"}}
    if dsn:
        connect_args["dsn"] = f"postgresql://?{urlencode(dsn, quote_via=quote)}"
    hosts = {name: value for name, value in url.query.items() if name in {"host", "port"}}
    return Target(url.set(query=hosts), connect_args, behind_pgbouncer)


def _in_libpqs_words(parameters: Mapping[str, str]) -> dict[str, str]:
    """``ssl`` and ``channel_binding=require`` in words that asyncpg reads."""
    translated = dict(parameters)
    ssl = translated.pop("ssl", None)
    if ssl is not None:
        mode = "require" if ssl.lower() in _TRUE else "disable" if ssl.lower() in _FALSE else ssl
        translated.setdefault("sslmode", mode)
    if translated.get("channel_binding") == "require":
        # It proves to whom one speaks. asyncpg can't do it, so the certificate has to prove that.
        del translated["channel_binding"]
        translated["sslmode"] = "verify-full"
    return translated


def _check_values(dsn: Mapping[str, str]) -> None:
    _one_of(dsn, "sslmode", _SSL_MODES)
    _one_of(dsn, "target_session_attrs", _SESSION_ATTRIBUTES)
    _one_of(dsn, "sslnegotiation", ("postgres", "direct"))
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        file = dsn.get(name)
        if file and not (name == "sslrootcert" and file == "system") and not Path(file).is_file():
            raise ConfigurationError(f"SQLStore: {name} of this PostgreSQL URL names a file that isn't there: {file}")


def _trusts_the_system(dsn: Mapping[str, str]) -> bool:
    """Whether the certificate is checked and no authority of its own is named, as libpq looks for one."""
    if dsn.get("sslrootcert") == "system":
        return True
    named = dsn.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    own = Path.home() / ".postgresql" / "root.crt"
    return dsn.get("sslmode", "").startswith("verify-") and not named and not own.is_file()


def _unprepared() -> dict[str, Any]:
    """For PgBouncer in transaction mode: statements without names, which end with their transaction."""
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: "",
    }


def _for_psycopg(url: URL) -> Target:
    """Libpq reads the parameters itself."""
    query = dict(url.query)
    behind_pgbouncer = _yes(_parameter(url, "pgbouncer") or "false", "pgbouncer")
    query.pop("pgbouncer", None)
    plain = {name: _parameter(url, name) for name in query}
    for name, value in plain.items():
        refuse_parameter(name, value)
    _check_with_libpq(plain)
    _check_values(plain)
    connect_args: dict[str, Any] = {"prepare_threshold": None} if behind_pgbouncer else {}
    return Target(url.set(query=query), connect_args, behind_pgbouncer)


def _check_with_libpq(parameters: Mapping[str, str]) -> None:
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import make_conninfo
    except ImportError as error:
        raise unusable(error) from error
    try:
        make_conninfo(**parameters)
    except ProgrammingError as error:
        raise ConfigurationError(f"SQLStore: libpq refuses a parameter of this PostgreSQL URL: {error}") from None


# Values


def _parameter(url: URL, name: str) -> str:
    """The parameter's value; the last one, where it is given more than once."""
    value = url.query.get(name, "")
    return value if isinstance(value, str) else value[-1]


def _one_of(parameters: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> None:
    value = parameters.get(name)
    if value is not None and value not in allowed:
        raise ConfigurationError(f"SQLStore: {name} of a PostgreSQL URL is one of {', '.join(allowed)}, not {value!r}")


def _yes(value: str, name: str) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise ConfigurationError(f"SQLStore: {name} of a database URL is true or false, not {value!r}")
    return value.lower() in _TRUE


def _number(url: URL, name: str, kind: Callable[[str], float]) -> float:
    text = _parameter(url, name)
    try:
        number = kind(text or "0")
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise ConfigurationError(f"SQLStore: {name} of a database URL is a number, 0 or more, not {text!r}")
    return number
