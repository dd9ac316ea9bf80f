"""What happens once an application: the check at startup, the purge every now and then, the close at shutdown."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from ..backends.base import SessionBackend, SessionDirectory, directory_of

logger: logging.Logger = logging.getLogger(__name__)


class Lifecycle:
    """One kit's on one application.

    Args:
        check: looks at the complete application; runs once, at startup or, without a lifespan, at the first request.
            Where it raises it runs again, so that what can't work never does.
        backend: closed at shutdown.
        purge_every: seconds between two purges of a server-side store; ``None``: never.
    """

    def __init__(self, check: Callable[[], None], backend: SessionBackend, purge_every: float | None) -> None:
        self.checked = False
        self._check = check
        self._backend = backend
        self._purge_every = purge_every
        self._purging: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Look at the application, once."""
        if not self.checked:
            self._check()
            self.checked = True

    def start(self) -> None:
        """The application has started: check it, and purge from now on."""
        self.check()
        directory = directory_of(self._backend)
        if self._purge_every is not None and directory is not None:
            with suppress(RuntimeError):  # no asyncio loop: on trio the purge is left to the operator
                self._purging = asyncio.get_running_loop().create_task(self._purge(directory, self._purge_every))

    async def stop(self) -> None:
        """The application has stopped: whatever happens here, it shuts down all the same."""
        if self._purging is not None:
            self._purging.cancel()
            await asyncio.wait([self._purging])
            self._purging = None
        try:
            await self._backend.aclose()
        except Exception as error:  # noqa: BLE001 - a driver's text may hold values, so only its type is logged
            logger.error("The session store did not close: %s", type(error).__name__)  # noqa: TRY400

    async def _purge(self, directory: SessionDirectory, every: float) -> None:
        while True:
            # Processes that were started together do not purge together.
            await asyncio.sleep(every * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                purged = await directory.purge()
            except Exception as error:  # noqa: BLE001 - the next round tries again
                logger.warning("Expired sessions could not be purged: %s", type(error).__name__)
            else:
                logger.debug("Purged %d expired sessions", purged)
