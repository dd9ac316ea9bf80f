"""What people give to ``SQLStore`` that is meant for something else: each is refused with what to write.

No text here shows a password.
"""

import re

from ...errors import ConfigurationError

_ASYNCHRONOUS = {
    "mysql": ("MySQL", "mysql+aiomysql", "aiomysql"),
    "mariadb": ("MariaDB", "mariadb+aiomysql", "aiomysql"),
    "oracle": ("Oracle", "oracle+oracledb_async", "oracledb"),
    "mssql": ("SQL Server", "mssql+aioodbc", "aioodbc"),
}
"""By SQLAlchemy's name of a database: its own, a driver that is asynchronous, and the package of that."""

_DRIVERS = frozenset({"aiomysql", "asyncmy", "oracledb_async", "aioodbc"})

_REDIS = frozenset({"redis", "rediss", "unix", "valkey", "valkeys"})

_PARAMETERS = {
    "connection_limit": "how many connections are kept is said to the store: SQLStore(url, max_connections={value})",
    "pool_size": "how many connections are kept is said to the store: SQLStore(url, max_connections={value})",
    "pool_timeout": "how long a call waits for a connection is said to the store: SQLStore(url, connection_timeout={value})",
    "socket_timeout": "how long a call waits for an answer is said to the store: SQLStore(url, answer_timeout={value})",
    "schema": "PostgreSQL finds the schema by its search path: options=-c%20search_path%3D{value}",
    "search_path": "PostgreSQL takes it as an option: options=-c%20search_path%3D{value}",
    "currentSchema": "PostgreSQL finds the schema by its search path: options=-c%20search_path%3D{value}",
    "sslaccept": "whether the certificate is checked is said by sslmode=verify-full or sslmode=require",
}
"""Parameters of other clients (Prisma, JDBC, SQLAlchemy's engine), and what to write instead."""

_HARMLESS = re.compile(r"[A-Za-z0-9_.\-]{1,63}")
_FILE = re.compile(r"[^:@?]+\.(db|db3|sqlite|sqlite3|sqlitedb)", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9_.\-]+(:[0-9]+)?")

_HIGHEST_PORT = 65_535


def refuse_foreign(driver: str) -> None:
    """Refuse the URL of another kind of database, of which there is no asynchronous driver in it."""
    name, _, given = driver.partition("+")
    if name in _REDIS:
        raise ConfigurationError(
            f"SQLStore keeps sessions in SQLite or PostgreSQL, and {name}:// is another store's: write RedisStore(url), from "
            "fastapi_sessionkit.stores.redis"
        )
    if name in _ASYNCHRONOUS and given not in _DRIVERS:
        database, driver, package = _ASYNCHRONOUS[name]
        raise ConfigurationError(
            f"SQLStore needs an asynchronous driver for {database}: write {driver}://… (pip install {package}). This library's "
            "tests cover SQLite and PostgreSQL"
        )


def refuse_parameter(name: str, value: str) -> None:
    """Refuse a parameter that another client of PostgreSQL reads."""
    if name in _PARAMETERS:
        shown = value if _HARMLESS.fullmatch(value) else "…"
        raise ConfigurationError(
            f"SQLStore doesn't know the parameter {name!r} of this PostgreSQL URL: take it out, because "
            f"{_PARAMETERS[name].format(value=shown)}"
        )


def refuse_port(port: int) -> None:
    """Refuse a port that no server can have."""
    if not 1 <= port <= _HIGHEST_PORT:
        raise ConfigurationError(f"SQLStore: the port of a database URL is 1 to {_HIGHEST_PORT}, not {port}")


def refuse_file(text: str) -> None:
    """Refuse the name of a file, or an SQLite URL of too few slashes."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme.partition("+")[0] == "sqlite":
        raise ConfigurationError(
            "SQLStore: an SQLite URL has three slashes before a relative path and four before an absolute one: "
            f"sqlite:///{rest.lstrip('/') if not rest.startswith('/') else rest}"
        )
    if text == ":memory:":
        raise ConfigurationError("An SQLite database in memory ends with its connection: use MemoryStore, or a file.")
    if _FILE.fullmatch(text):
        raise ConfigurationError(
            f'SQLStore takes the URL of an SQLite file, or a Path, and {text!r} is its name: write SQLStore("sqlite:///{text}") '
            f'or SQLStore(Path("{text}"))'
        )


def refuse_several_hosts(text: str) -> None:
    """Refuse several hosts as libpq writes them; SQLAlchemy takes them as parameters."""
    behind_password = text.rpartition("@")[2].rpartition("://")[2]
    hosts = re.split(r"[/?#]", behind_password)[0].split(",")
    if len(hosts) < 2 or not all(map(_HOST.fullmatch, hosts)):
        return
    raise ConfigurationError(
        "SQLStore: several hosts of PostgreSQL are parameters of the URL. Write "
        f"postgresql://user:password@/database?{'&'.join(f'host={_with_port(each)}' for each in hosts)}"
    )


def _with_port(host: str) -> str:
    return host if ":" in host else f"{host}:5432"


def missing_driver(driver: str, error: ModuleNotFoundError) -> ConfigurationError | None:
    """The error for the driver of a database that this library has no extra for; ``None`` for one that it has."""
    if driver.partition("+")[0] in {"sqlite", "postgresql"}:
        return None
    return ConfigurationError(f"SQLStore: {driver}:// needs a package that is not installed: pip install {error.name}")
