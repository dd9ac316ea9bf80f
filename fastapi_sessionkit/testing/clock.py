"""A clock that a test moves."""

from datetime import timedelta

from .._settings import Duration


class FakeClock:
    """Unix seconds that move only when told to: ``SessionKit(clock=clock)``, and the kit's store follows.

    Args:
        now: where it stands at first.

    Attributes:
        now: where it stands. Set it to any time, an earlier one too.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now: float = now

    def __call__(self) -> float:
        """Unix seconds."""
        return self.now

    def advance(self, by: Duration) -> None:
        """Move it on by a ``timedelta``, or by a number of seconds."""
        self.now += by.total_seconds() if isinstance(by, timedelta) else by
