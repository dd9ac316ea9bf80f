"""What happens once an application: the check at startup, the purge every now and then, the close at shutdown.

Routes may be added at any time, to any router, so the check runs again when they have changed.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from starlette.applications import Starlette

from .._request.announcing import Announcer
from .._request.lines import PATIENCE
from ..backends.base import SessionBackend, SessionDirectory, directory_of, require_event_loop
from .routes import keepers_of_routes

logger: logging.Logger = logging.getLogger(__name__)


class _Routes:
    """The routes of an application at one time, those of all its routers."""

    def __init__(self, app: Starlette) -> None:
        self._kept = [(keeper, name, getattr(keeper, name)) for keeper, name in keepers_of_routes(app)]
        self._live = [kept for _, _, kept in self._kept if isinstance(kept, list)]
        self._known = [routes.copy() for routes in self._live]

    def are_current(self) -> bool:
        """Whether none was added, removed or replaced, nor a whole list of them. Each request asks."""
        for keeper, name, kept in self._kept:  # a loop, for all(map(is_, ...)) takes half as long again
            if getattr(keeper, name) is not kept:
                return False
        return self._live == self._known


class Lifecycle:
    """One kit's on one application.

    Args:
        app: the application.
        check: looks at the complete application, at startup or, without a lifespan, at the first request; and at the
            first request after its routes have changed. Where it raises it runs again, so that what can't work never
            does.
        report: says what is no error, once, after the first check.
        backend: closed at shutdown.
        events: what is still to be told at shutdown gets some seconds.
        purge_every: seconds between two purges of a server-side store; ``None``: never.
    """

    def __init__(
        self,
        app: Starlette,
        check: Callable[[], None],
        report: Callable[[], None],
        backend: SessionBackend,
        *,
        events: Announcer,
        purge_every: float | None,
    ) -> None:
        self._app = app
        self._checked: _Routes | None = None
        self._check = check
        self._report = report
        self._backend = backend
        self._events = events
        self._purge_every = purge_every
        self._purging: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Look at the application, unless that was done since its routes have changed."""
        if self._checked is not None and self._checked.are_current():
            return
        routes = _Routes(self._app)
        if self._checked is None:
            require_event_loop(self._backend)
        self._check()
        if self._checked is None:
            self._report()
        self._checked = routes

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
        await self._events.flush(PATIENCE)
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
