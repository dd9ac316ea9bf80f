"""By which clock the cases go, and how what they look at is made for them."""

from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest

from ...backends.base import BackendContext, SessionBackend, SessionDirectory, directory_of
from ...backends.keys import new_session_id
from ...stores.base import SessionStore
from .tools import ContractClock

LIMIT = 4_000
"""Bytes that a token may take here."""


class ContractCases:
    """What every group of cases needs."""

    can_set_clock: ClassVar[bool] = True
    purges: ClassVar[bool] = True

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Asyncio, which is what FastAPI's servers run on."""
        return "asyncio"

    @pytest.fixture
    def clock(self) -> ContractClock:
        return ContractClock(real=not self.can_set_clock)

    def needs_an_exact_clock(self) -> None:
        if not self.can_set_clock:
            pytest.skip("the engine goes by its own clock")


class StoreCases(ContractCases):
    """What the cases for stores need."""

    async def make_store(self, clock: Callable[[], float]) -> SessionStore:
        """An empty store that goes by ``clock``."""
        raise NotImplementedError(f"{type(self).__name__}.make_store must return an empty store.")

    @pytest.fixture
    async def store(self, clock: ContractClock) -> AsyncIterator[SessionStore]:
        store = await self.make_store(clock)
        yield store
        await store.aclose()


class BackendCases(ContractCases):
    """What the cases for backends need."""

    is_stateless: ClassVar[bool] = False

    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        """A backend without sessions that goes by ``clock`` and belongs to no kit yet."""
        raise NotImplementedError(f"{type(self).__name__}.make_backend must return a backend without sessions.")

    async def bound(self, clock: Callable[[], float], **settings: Any) -> SessionBackend:
        """A backend that belongs to a kit with these settings, as ``BackendContext`` has them."""
        backend = await self.make_backend(clock)
        backend.bind(kit_context(clock, **settings))
        return backend

    @pytest.fixture
    async def backend(self, clock: ContractClock) -> AsyncIterator[SessionBackend]:
        backend = await self.bound(clock)
        yield backend
        await backend.aclose()

    def needs_a_directory(self, backend: SessionBackend) -> SessionDirectory:
        directory = directory_of(backend)
        if directory is None:
            pytest.skip("the backend can neither list nor end sessions")
        return directory

    def needs_sessions_that_end(self) -> None:
        if self.is_stateless:
            pytest.skip("the token is the record, so nothing ends it")


def kit_context(clock: Callable[[], float], **settings: Any) -> BackendContext:
    """What a kit would give to its backend."""
    usual = {
        "secret_keys": ("the first secret of a kit that is not there",),
        "salt": "fastapi_sessionkit:contract",
        "clock": clock,
        "new_id": new_session_id,
        "token_limit": LIMIT,
    }
    return BackendContext(**{**usual, **settings})
