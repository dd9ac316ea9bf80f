"""Where sessions are kept: ``SHOP_STORE``, from the word in the environment to a backend."""

import os
from pathlib import Path

from fastapi_sessionkit import ConfigurationError, CookieBackend, MemoryStore, SessionBackend, SessionStore

REDIS = ("redis", "valkey", "unix")
CHOICES = "memory, cookie, a file such as shop.sqlite3, or a URL: sqlite:///…, postgresql+asyncpg://…, redis://…"


def make_backend(store: str) -> SessionBackend | SessionStore:
    """What keeps the sessions. Nothing else in the shop changes with it.

    ``memory``: in this process; a restart forgets them. ``cookie``: signed, in the browser; a restart does not matter,
    and nothing can be ended from here. A file: SQLite. A URL: SQLite, PostgreSQL, Redis or Valkey.

    Raises:
        ConfigurationError: it is none of these, it can't be written, or what it needs is not installed.
    """
    if store == "memory":
        return MemoryStore()
    if store == "cookie":
        return CookieBackend()
    scheme, is_url, _ = store.partition("://")
    if is_url and scheme.startswith(REDIS):
        return on_redis(store)
    if is_url:
        return on_sql(store)
    if not Path(store).suffix:
        raise ConfigurationError(f"SHOP_STORE is {CHOICES}; not {store!r}")
    return on_sql(f"sqlite:///{writable(Path(store))}")


def described(store: str) -> str:
    """The same for people. A URL may hold a password, so only its kind is shown."""
    scheme, is_url, _ = store.partition("://")
    if is_url:
        return f"the {scheme} database that SHOP_STORE names"
    return {"memory": "this process", "cookie": "the browsers' cookies"}.get(store) or str(absolute(Path(store)))


def on_sql(url: str) -> SessionStore:
    try:
        from fastapi_sessionkit.stores.sql import SQLStore
    except ModuleNotFoundError as error:
        raise lacking("sql", error) from error
    return SQLStore(url)


def on_redis(url: str) -> SessionStore:
    try:
        from fastapi_sessionkit.stores.redis import RedisStore
    except ModuleNotFoundError as error:
        raise lacking("redis", error) from error
    return RedisStore(url, prefix="shop:")


def lacking(extra: str, error: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(
        f"This SHOP_STORE needs {error.name}, which is not installed: pip install -e '.[demo,{extra}]'"
    )


def absolute(file: Path) -> Path:
    return file.expanduser().absolute()


def writable(file: Path) -> Path:
    """The whole path, once it is clear that SQLite can work there: it keeps files beside this one."""
    file = absolute(file)
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK) or file.is_dir():
        raise ConfigurationError(f"The shop can't keep its sessions in {file}: SHOP_STORE chooses another place")
    return file
