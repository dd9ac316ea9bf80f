"""Telling handlers what happened to sessions: after the fact, and so that no request waits for them or fails by them."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import get_args

import anyio
from itsdangerous import Signer
from starlette.types import Scope

from .._settings import is_asynchronous, takes
from ..errors import ConfigurationError
from ..events import EventName, Handler, SessionEvent
from .lines import Line, TaskLine, ThreadLine

logger: logging.Logger = logging.getLogger(__name__)

_NAMES: tuple[str, ...] = get_args(EventName)
_MOMENT = 0.1
"""Seconds that a request which is over stays for handlers, so that they are told also where its event loop ends with it."""

_POLLS = 0.001, 0.016
"""Seconds from one look at a handler to the next: at first, and at most."""
ANNOUNCED = "fastapi_sessionkit.announced"
"""Where the scope of a request says that somebody is told of it."""


class Announcer:
    """Who wants to be told of what, in one kit.

    Args:
        signer: what fingerprints are made with.
        clock: Unix seconds.

    Attributes:
        lines: what each handler is still to be told; empty where there is none.
        is_instrumented: whether OpenTelemetry is told.
    """

    def __init__(self, signer: Signer, clock: Callable[[], float]) -> None:
        self.lines: list[Line] = []
        self.is_instrumented: bool = False
        self._signer = signer
        self._clock = clock
        self._wanted: dict[str, list[Callable[[SessionEvent], None]]] = {}

    def add(self, names: Sequence[str], handler: Handler) -> None:
        """Tell a handler of events of these names from now on.

        Raises:
            ConfigurationError: there is no such event, or it is no function of one.
        """
        if not takes(handler, 1):
            raise ConfigurationError(f"@kit.on(...) takes a function of one event, not {handler!r}")
        line: Line = TaskLine(handler) if is_asynchronous(handler) else ThreadLine(handler)
        self.observe(names, line.put)
        self.lines.append(line)

    def observe(self, names: Sequence[str], observer: Callable[[SessionEvent], None]) -> None:
        """Call a function at once, in the midst of the request: it must be quick, and what it raises is logged."""
        require_names(names)
        for name in dict.fromkeys(names):
            self._wanted.setdefault(name, []).append(observer)

    def wants(self, name: EventName) -> bool:
        """Whether anybody wants to be told of it."""
        return name in self._wanted

    def announce(
        self,
        name: EventName,
        scope: Scope | None,
        user_id: str | None = None,
        began_at: float | None = None,
        reason: str | None = None,
    ) -> None:
        """Tell whoever wants to be told; nobody waits for them.

        Args:
            name: what happened.
            scope: the request that it happened in; ``None``: in none.
            user_id: whose session it is.
            began_at: when the session began, in Unix seconds; ``None``: no session is known.
            reason: why.
        """
        observers = self._wanted.get(name)
        if observers is None:
            return
        method, path = (None, None) if scope is None else (scope.get("method", "GET"), scope["path"])
        mark = None if began_at is None else self._fingerprint(user_id, began_at)
        event = SessionEvent(name, datetime.fromtimestamp(self._clock(), UTC), user_id, mark, method, path, reason)
        if scope is not None:
            scope[ANNOUNCED] = True
        for observer in observers:
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001 - no request fails by it
                logger.error("What was told of %s raised %s", name, type(error).__name__)  # noqa: TRY400

    def _fingerprint(self, user_id: str | None, began_at: float) -> str:
        """The same for one session: it is found by when it began and whose it is, which no move to a new id changes."""
        return self._signer.get_signature(f"{began_at:.6f} {user_id}").decode()[:16]

    async def flush(self, patience: float = _MOMENT) -> None:
        """Wait until all handlers have been told, but no longer than so many seconds."""
        for line in self.lines:
            await line.catch_up()
        delay, longest = _POLLS
        with anyio.move_on_after(patience):
            # Threads and other event loops can't set an event of this one's.
            while not all(line.is_idle for line in self.lines):
                await anyio.sleep(delay)
                delay = min(2 * delay, longest)


def require_names(names: Sequence[str]) -> None:
    """``ConfigurationError`` for what is no event."""
    if not names or not all(name in _NAMES for name in names):
        given = ", ".join(map(repr, names)) or "nothing"
        raise ConfigurationError(f"@kit.on(...) takes names of events, {', '.join(map(repr, _NAMES))}, not {given}")
