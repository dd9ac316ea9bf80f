"""How statements reach a database: the protocol, and the way that works for every dialect."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from .statements import Row, Statement, Values


class Connections(Protocol):
    """Runs statements, each as a transaction of its own.

    Attributes:
        key_taken: what ``count`` raises for an insert whose key exists.
    """

    key_taken: type[Exception]

    def fetch(self, statement: Statement, values: Values) -> Coroutine[Any, Any, Sequence[Row]]:
        """Run it and return its rows."""
        ...

    async def count(self, statement: Statement, values: Values) -> int:
        """Run it and say how many rows it wrote."""
        ...

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether these connections can be used on this event loop."""
        ...

    def abandon(self) -> None:
        """Drop the connections without waiting for anything: their event loop is gone."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class CoreConnections:
    """Every statement through SQLAlchemy's Core and the engine's pool: for any dialect, and the slowest way."""

    key_taken: type[Exception] = IntegrityError

    def __init__(self, engine: AsyncEngine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop

    async def fetch(self, statement: Statement, values: Values) -> Sequence[Row]:
        """See ``Connections.fetch``."""
        async with self._engine.begin() as connection:
            return (await connection.execute(statement.core, values)).all()

    async def count(self, statement: Statement, values: Values) -> int:
        """See ``Connections.count``."""
        async with self._engine.begin() as connection:
            return (await connection.execute(statement.core, values)).rowcount

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """See ``Connections.serves``."""
        return loop is self._loop

    def abandon(self) -> None:
        """See ``Connections.abandon``."""
        self._engine.sync_engine.dispose(close=False)

    async def aclose(self) -> None:
        """Nothing: the pool is the engine's."""
