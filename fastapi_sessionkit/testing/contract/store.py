"""``SessionStoreContract``: every group of cases for stores, as one class to inherit."""

import pytest

from .interruptions import InterruptionCases
from .lifetimes import LifetimeCases
from .records import RecordCases
from .users import UserCases


@pytest.mark.anyio
class SessionStoreContract(RecordCases, LifetimeCases, UserCases, InterruptionCases):
    """Inherit this in a class whose name starts with ``Test`` and say how an *empty* store is made.

    ::

        class TestMyStore(SessionStoreContract):
            async def make_store(self, clock):
                return MyStore(clock=clock)

    Override the ``store`` fixture instead when making one needs other fixtures. Needs the pytest plugin that anyio
    brings along; nothing has to be configured.

    Attributes:
        can_set_clock: ``False`` where the engine decides by its own clock what has expired (as Redis does). The
            records are then dated around the real time, a few cases wait for a quarter of a second or for two, and
            the few that need an exact time are skipped.
        purges: ``False`` where the engine drops the expired by itself, so that ``purge`` has nothing to count.
    """
