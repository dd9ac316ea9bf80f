"""``SessionBackendContract``: every group of cases for backends, as one class to inherit."""

import pytest

from .changes import ChangeCases
from .directory import DirectoryCases
from .endings import EndingCases
from .moves import MoveCases
from .tokens import TokenCases


@pytest.mark.anyio
class SessionBackendContract(TokenCases, ChangeCases, MoveCases, EndingCases, DirectoryCases):
    """Inherit this in a class whose name starts with ``Test`` and say how a backend *without sessions* is made.

    ::

        class TestMyBackend(SessionBackendContract):
            async def make_backend(self, clock):
                return MyBackend(StoreBackend(MemoryStore()))

    Some cases make a second one. Whether the sessions can be listed and ended is asked of the backend itself: where it
    has none of the methods of ``SessionDirectory``, their cases are skipped. Needs the pytest plugin that anyio brings
    along; nothing has to be configured.

    Attributes:
        is_stateless: ``True`` where the token is the record, so that a token works until it expires, whatever became
            of its session. The cases about what has ended or moved are skipped then.
        can_set_clock: ``False`` where an engine decides by its own clock what has expired.
        purges: ``False`` where an engine drops the expired by itself, so that ``purge`` has nothing to count.
    """
