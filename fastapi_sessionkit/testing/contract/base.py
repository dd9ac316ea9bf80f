"""How a store is made for the cases, and by which clock they go."""

from collections.abc import AsyncIterator, Callable
from typing import ClassVar

import pytest

from ...stores.base import SessionStore
from .tools import ContractClock


class StoreCases:
    """What every group of cases needs."""

    can_set_clock: ClassVar[bool] = True
    purges: ClassVar[bool] = True

    async def make_store(self, clock: Callable[[], float]) -> SessionStore:
        """An empty store that goes by ``clock``."""
        raise NotImplementedError(f"{type(self).__name__}.make_store must return an empty store.")

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Asyncio, which is what FastAPI's servers run on."""
        return "asyncio"

    @pytest.fixture
    def clock(self) -> ContractClock:
        return ContractClock(real=not self.can_set_clock)

    @pytest.fixture
    async def store(self, clock: ContractClock) -> AsyncIterator[SessionStore]:
        store = await self.make_store(clock)
        yield store
        await store.aclose()

    def needs_an_exact_clock(self) -> None:
        if not self.can_set_clock:
            pytest.skip("the engine goes by its own clock")
