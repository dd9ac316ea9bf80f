"""How statements reach a database: the protocol, and the way that works for every dialect."""

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from .statements import Row, Statement, Values


class Connections(Protocol):
    """Runs statements, each as a transaction of its own.

    Attributes:
        key_taken: what ``count`` raises for an insert whose key exists.
        shared: whether every event loop can use these, and not only the one that opened them.
    """

    key_taken: type[Exception]
    shared: bool

    def fetch(self, statement: Statement, values: Values) -> Coroutine[Any, Any, Sequence[Row]]:
        """Run it and return its rows."""
        ...

    async def count(self, statement: Statement, values: Values) -> int:
        """Run it and say how many rows it wrote."""
        ...

    def are_usable(self) -> bool:
        """Whether a statement can be sent on them."""
        ...

    async def settle(self) -> None:
        """Wait until nothing is under way that was begun before. Asked of what several event loops use."""
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
    shared: bool = False

    def __init__(self, engine: AsyncEngine, *, owned: bool) -> None:
        self._engine = engine
        self._owned = owned

    async def fetch(self, statement: Statement, values: Values) -> Sequence[Row]:
        """See ``Connections.fetch``."""
        async with self._engine.begin() as connection:
            return (await connection.execute(statement.core, values)).all()

    async def count(self, statement: Statement, values: Values) -> int:
        """See ``Connections.count``."""
        async with self._engine.begin() as connection:
            return (await connection.execute(statement.core, values)).rowcount

    def are_usable(self) -> bool:
        """See ``Connections.are_usable``."""
        return True

    async def settle(self) -> None:
        """See ``Connections.settle``. Each event loop has its own."""

    def abandon(self) -> None:
        """See ``Connections.abandon``."""
        self._engine.sync_engine.dispose(close=False)

    async def aclose(self) -> None:
        """See ``Connections.aclose``. The pool of an engine of the application's own stays."""
        if self._owned:
            await self._engine.dispose()
