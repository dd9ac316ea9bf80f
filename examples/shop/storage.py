"""Where sessions are kept, and what signs them: from the word in ``SHOP_STORE`` to a backend and a key."""

import os
import secrets
from pathlib import Path

from examples.shop.key import kept_key
from fastapi_sessionkit import ConfigurationError, CookieBackend, MemoryStore, SessionBackend, SessionStore

REDIS = ("redis", "valkey", "unix")
KEY = ".secret"
CHOICES = "memory, cookie, a file such as shop.sqlite3, or a URL: sqlite:///…, postgresql+asyncpg://…, redis://…"


def make_backend(store: str) -> SessionBackend | SessionStore:
    """What keeps the sessions. Nothing else in the shop changes with it.

    ``memory``: in this process; a restart forgets them. ``cookie``: signed, in the browser, and nothing can be ended
    from here. A file: SQLite. A URL: SQLite, PostgreSQL, Redis or Valkey.

    Raises:
        ConfigurationError: it is none of these, it can't be written, or what it needs is not installed.
    """
    if store == "memory":
        return MemoryStore()
    if store == "cookie":
        return CookieBackend()
    if (file := sqlite_file(store)) is not None:
        return on_sql(f"sqlite:///{writable(file)}")
    return on_redis(store) if store.startswith(REDIS) else on_sql(store)


def secret_key_for(store: str) -> str:
    """The key that is kept beside SQLite's file; for every other store one that lasts as long as this run."""
    file = key_file(store)
    return secrets.token_urlsafe(48) if file is None else kept_key(file)


def key_file(store: str) -> Path | None:
    """``shop.secret`` beside ``shop.sqlite3``; ``None`` for what is no file of SQLite's."""
    file = sqlite_file(store)
    return None if file is None else file.with_suffix(KEY)


def described(store: str) -> str:
    """Where sessions are kept, for people. A URL may hold a password, so only its kind is shown."""
    scheme, is_url, _ = store.partition("://")
    if is_url:
        return f"the {scheme} database that SHOP_STORE names"
    return {"memory": "this process", "cookie": "the browsers' cookies"}.get(store) or str(sqlite_file(store))


def sqlite_file(store: str) -> Path | None:
    """The whole path of the file that SHOP_STORE names; ``None`` for a URL, ``memory`` and ``cookie``."""
    if store in {"memory", "cookie"} or "://" in store:
        return None
    if Path(store).suffix in {"", KEY}:
        raise ConfigurationError(f"SHOP_STORE is {CHOICES}; not {store!r}")
    return Path(store).expanduser().absolute()


def on_sql(url: str) -> SessionStore:
    try:
        from fastapi_sessionkit.stores.sql import SQLStore
    except ImportError as error:
        raise lacking("sql") from error
    return SQLStore(url)


def on_redis(url: str) -> SessionStore:
    try:
        from fastapi_sessionkit.stores.redis import RedisStore
    except ImportError as error:
        raise lacking("redis") from error
    return RedisStore(url, prefix="shop:")


def lacking(extra: str) -> ConfigurationError:
    return ConfigurationError(
        f"This SHOP_STORE needs packages that are not installed: pip install -e '.[demo,{extra}]'"
    )


def writable(file: Path) -> Path:
    """The same file, once it is clear that SQLite can work there: it keeps files beside this one."""
    places = [file.parent, file] if file.exists() else [file.parent]
    if not file.parent.is_dir() or file.is_dir() or not all(os.access(place, os.W_OK) for place in places):
        raise ConfigurationError(f"The shop can't keep its sessions in {file}: SHOP_STORE chooses another place")
    return file
