"""What the cases are written with."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ...backends.base import Change, Loaded, SessionBackend, Written
from ...stores.base import SessionRecord

Answer = TypeVar("Answer")

LIFETIME = 600.0
"""Seconds a record lives here unless a case says otherwise."""

PATIENCE = 30.0
"""Seconds that an engine may take to finish what it does in its own time: slow machines take some."""


def key(name: str) -> str:
    """A key as the library makes them: 64 hexadecimal digits."""
    return hashlib.sha256(name.encode()).hexdigest()


async def together(calls: Sequence[Awaitable[Answer]]) -> list[Answer]:
    """Run the calls at the same time and give their answers in order."""
    return await asyncio.gather(*calls)


class ContractClock:
    """The time the cases go by: set by hand, or real where an engine keeps its own.

    Attributes:
        short: seconds that a record lives which is to expire.
        tight: seconds that a record lives which is to be saved before it expires: a call arrives within them even on
            a busy machine.
    """

    def __init__(self, *, real: bool) -> None:
        self.real: bool = real
        self.short: float = 0.25 if real else 60.0
        self.tight: float = 2.0 if real else 60.0
        self._now = 1_800_000_000.25

    def __call__(self) -> float:
        # Milliseconds: a store may keep times to the microsecond, and most cases compare whole records.
        return round(time.time(), 3) if self.real else self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    async def outlast(self, seconds: float) -> None:
        """Come back when a record that was given that many seconds just now has expired."""
        if not self.real:
            self.advance(seconds)
            return
        until = time.time() + seconds + 0.05
        # More than once if the machine's clock is set back meanwhile.
        while (left := until - time.time()) > 0:  # noqa: ASYNC110 - no event says what time it is
            await asyncio.sleep(left)

    def record(
        self,
        user_id: str | None = "ada",
        data: bytes = b'{"user_id":"ada"}',
        *,
        version: int = 1,
        age: float = 0.0,
        lifetime: float = LIFETIME,
        successor: str | None = None,
    ) -> SessionRecord:
        """A record created ``age`` seconds ago that expires ``lifetime`` seconds from now."""
        now = self()
        return SessionRecord(
            data=data,
            user_id=user_id,
            version=version,
            created_at=now - age,
            authenticated_at=now - age,
            last_seen_at=now,
            expires_at=now + lifetime,
            successor=successor,
        )


async def cut_off(call: Awaitable[object], steps: int) -> None:
    """Start the call, let the event loop turn ``steps`` times, and cancel it."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def eventually(check: Callable[[], Awaitable[bool]]) -> bool:
    """Whether the check comes true, for what happens in an engine's own time."""
    deadline = time.monotonic() + PATIENCE
    while not await check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def sorted_by_key(sessions: Sequence[tuple[str, SessionRecord | None]]) -> list[tuple[str, SessionRecord | None]]:
    return sorted(sessions, key=lambda session: session[0])


Facts = tuple[bytes, float, float, float, float]


def facts(record: SessionRecord) -> Facts:
    """What every backend keeps of a record: its data, and its times to the microsecond."""
    times = record.created_at, record.authenticated_at, record.last_seen_at, record.expires_at
    created, authenticated, seen, expires = (round(time, 6) for time in times)
    return record.data, created, authenticated, seen, expires


async def begun(
    backend: SessionBackend, record: SessionRecord, *, replaces: Loaded | None = None
) -> tuple[bytes, Loaded]:
    """The token of a new session, and what it leads to."""
    token = (await backend.create(record, replaces=replaces)).encode()
    loaded = await backend.load(token)
    assert loaded is not None
    return token, loaded


def current(token: bytes, written: Written | None) -> bytes:
    """The token that the client has once it has the answer."""
    return token if written is None or written.token is None else written.token.encode()


def with_data(data: bytes) -> Change:
    """A change that puts other data into a record."""
    return lambda record: replace(record, data=data)


class Refused(Exception):
    """Raised by a change that is not to be made."""


def refusing(record: SessionRecord) -> SessionRecord:
    """A change that is not to be made."""
    raise Refused(record.version)
