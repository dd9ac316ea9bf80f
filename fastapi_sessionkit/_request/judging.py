"""Deciding about one request: once more, on what the store says now, where a decision would stand on what was read long ago."""

from collections.abc import Awaitable
from typing import Any

from ..backends.base import Loaded
from .changes import Action
from .codec import M
from .handed import Handed
from .loading import LoadedSession

_PATIENCE = 5.0
"""Seconds for which a decision holds while the request's body, or a dependency, takes its time."""


class JudgedSession(LoadedSession[M]):
    """A request's session as far as decisions about it go."""

    __slots__ = ()

    loaded: Loaded | None
    before: Any

    def settle_now(self) -> Awaitable[None]:
        """Find out who is signed in to decide about it: as ``settle`` does, but once more where that was long ago."""
        return self.judge_again() if self._settled else self.settle()

    async def _ask_first(self) -> None:
        await super()._ask_first()
        await self.judge_again()

    def _is_stale(self) -> bool:
        """Whether a decision would stand on what was read more than five seconds ago."""
        return self.loaded is not None and not 0 <= self.services.lifetimes.clock() - self._read_at <= _PATIENCE

    async def _reload(self) -> None:
        """Read the session once more, and take every decision about this request again on what the store says now.

        What this request has marked is laid over it. Where it has become another user's, nobody is signed in: the change
        that was meant for the first is dropped when it is saved.

        Raises:
            HTTPException: a decision is another now.
        """
        again = type(self)(self.services, self.scope)
        await again.settle()
        self._read_at = self.services.lifetimes.clock()
        if self.loaded is None or again.loaded is None or again.loaded.record.user_id != self.loaded.record.user_id:
            self._hand_over()
            self._session, self._reason = None, again._reason or "superseded"
        else:
            self._take_over(again)
        for judge, scope in self.judges:
            await judge(self, scope)

    def _take_over(self, again: "JudgedSession[M]") -> None:
        self._hand_over()
        self._handed = [*self._handed, *again._handed]
        self.loaded, self.before = again.loaded, again.before
        self._session, self._shared = again._session, again._shared
        if self._changes is None:
            self._changes = again._changes
        elif self._session is not None:
            session = self._session
            self._changes.answer = None if again._changes is None else again._changes.answer
            if again.action is Action.ROTATE:
                self._mark_move()
            for patch in self._changes.patches:
                session = self.services.codec.with_patch(session, patch)
            self._handed = [*self._handed, Handed.now(session, self.services.codec.dump(session))]
            self._session, self._shared = session, None

    async def judge_again(self) -> None:
        """Take the decisions about this request once more, where they stand on what was read long ago.

        Raises:
            HTTPException: one of them is another now.
        """
        if self._is_stale():
            await self._reload()
