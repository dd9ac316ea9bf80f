"""The engine that a store works with: the application's own, or one made from a URL."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, NullPool
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .mistaken import missing_driver
from .urls import refuse_memory, target, unusable


@dataclass(frozen=True, slots=True)
class MadeEngine:
    """An engine, and what is known about it.

    Attributes:
        engine: one without a pool, which any event loop can use; or the application's own.
        new_pool: makes the same engine with a pool, which then belongs to one event loop; ``None`` for the
            application's own.
        behind_pgbouncer: statements must run in transactions, and nothing may stay prepared.
    """

    engine: AsyncEngine
    new_pool: Callable[[], AsyncEngine] | None = None
    behind_pgbouncer: bool = False


def made_engine(url_or_engine: str | URL | Path | AsyncEngine) -> MadeEngine:
    """The engine for what ``SQLStore`` is given.

    Raises:
        ConfigurationError: it can't be used, its driver isn't installed, or it is an SQLite database in memory.
    """
    if isinstance(url_or_engine, AsyncEngine):
        _refuse_memory_of(url_or_engine)
        return MadeEngine(url_or_engine)
    found = target(url_or_engine)
    # Parameters hold session data: errors and logs must not show them.
    connect_args = found.connect_args
    if found.url.drivername == "sqlite+aiosqlite":
        connect_args = {**connect_args, "async_creator_fn": _opened_file}
    make = partial(create_async_engine, found.url, hide_parameters=True, connect_args=connect_args)
    try:
        return MadeEngine(make(poolclass=NullPool), partial(make, pool_pre_ping=True), found.behind_pgbouncer)
    except NoSuchModuleError as error:
        raise unusable(f"SQLAlchemy has no database by the name of {found.url.drivername}://") from error
    except ModuleNotFoundError as error:
        raise missing_driver(found.url.drivername, error) or unusable(error) from error
    except (ArgumentError, InvalidRequestError) as error:
        raise unusable(error) from error


async def _opened_file(*args: Any, **options: Any) -> Any:
    from .sqlite import opened

    return await opened(*args, **options)


def _refuse_memory_of(engine: AsyncEngine) -> None:
    database = engine.url.database or ":memory:"
    if engine.dialect.name == "sqlite" and (":memory:" in database or engine.url.query.get("mode") == "memory"):
        refuse_memory()
