"""One request's session: read at most once, marked by the mutation helpers, saved once.

It lives in the ASGI scope and dies with its request. No global and no context variable holds a session.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fastapi import HTTPException
from starlette.types import Message

from .._settings import CLOCK_SKEW
from ..backends.base import Loaded, checked_answer
from ..errors import NotAuthenticated, StoreUnavailable
from ..stores.base import SessionRecord
from ..transport import Headers
from .changes import Action
from .codec import M
from .judging import JudgedSession
from .saving import (
    ISSUED,
    announce_failure,
    announce_of_record,
    save_changes,
    save_sign_in,
    save_sign_out,
    save_takeover,
    save_touch,
    unbroken,
    user_id_of,
)
from .sharing import is_as_lent

SCOPE_KEY = "fastapi_sessionkit"
"""Where the scope keeps the innermost request's session; ``outer`` leads to the others."""


class RequestSession(JudgedSession[M]):
    """The session of one request, for one kit."""

    __slots__ = ()

    issued: bytes | None
    watches: Sequence[Any]

    @property
    def is_pending(self) -> bool:
        """Whether there may be something to save."""
        if self._changes is not None or self._touch_due or self._handed:
            return True
        own, shared = self._session, self._shared
        return own is not shared and own is not None and shared is not None and not is_as_lent(own, shared)

    async def commit(self, *, may_move: bool = True) -> Headers:
        """Save what was marked; gives the response headers that the client needs.

        Cancelling it leaves the old state or the new one: what is being written is written to the end.

        Args:
            may_move: whether the response can carry a new token; if not, a session keeps its id.

        Raises:
            StoreUnavailable: nothing that anybody was told of was saved.
            NotAuthenticated: a session that was changed unseen turned out to be nobody's.
            SessionTooLarge: the session outgrew its token.
        """
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        marks = self._changes
        if marks is not None and (marks.unread or marks.action is Action.ROTATE) and self.loaded is None:
            await self.settle()
            if self._session is None:
                raise NotAuthenticated
        self._notice_changes_in_place()
        if not self._touch_due and (self._changes is None or self._changes.is_empty):
            return []
        try:
            return await unbroken(self._save(may_move=may_move))
        except StoreUnavailable as error:
            announce_failure(self.services, self.scope, error)
            raise

    async def _save(self, *, may_move: bool) -> Headers:
        headers = await self.save(may_move=may_move)
        self.issued = self.scope.pop(ISSUED, None)
        return headers

    async def issue_token(self, session: M, ttl: float | None) -> str:
        """Begin a session whose token the application gives out; it is saved at once."""
        record = self._as_proved(self.new_token_record(session, ttl))
        try:
            token = await unbroken(self._begin(record))
        except StoreUnavailable as error:
            announce_failure(self.services, self.scope, error)
            raise
        (self.services.alternative or self.services).reader.expect(token.encode(), record)
        self.services.events.announce("signed_in", self.scope, record.user_id, record.created_at, "a token was issued")
        return token

    def _as_proved(self, record: SessionRecord) -> SessionRecord:
        """A token that somebody gets for the session that they have here says when they proved who they are for that one."""
        age = self.age
        if self.ahead or age is None or self.session is None or user_id_of(self.session) != record.user_id:
            return record
        is_known = -CLOCK_SKEW <= age < math.inf
        return replace(record, authenticated_at=min(record.created_at, record.created_at - age) if is_known else 0.0)

    async def _begin(self, record: SessionRecord) -> str:
        return checked_answer(await self.services.backend.create(record), (str,), "create")

    async def save(self, *, may_move: bool = True) -> Headers:
        """Save what was marked; ``commit`` does it to the end, whatever happens to who waits."""
        marks, services, loaded = self._marks(), self.services, self.loaded
        if marks.action is Action.SIGN_IN and self.session is not None:
            if marks.takes_over is not None and services.old is not None:
                return await save_takeover(
                    services, self.session, marks, self.scope, old=marks.takes_over, sessions=services.old
                )
            given = await save_sign_in(services, self.session, marks, await self._presented_session(), self.scope)
            return [*given, *await self._end_old()]
        if marks.action is Action.SIGN_OUT or loaded is None:
            ended = await self._presented_session()
            given = await save_sign_out(services, ended, came=bool(self.tokens))
            self._announce_end(ended)
            return [*given, *await self._end_old()]
        if marks.is_empty:
            return await save_touch(services, loaded, self.scope)
        return await save_changes(services, loaded, marks, self.scope, may_move=may_move)

    async def _end_old(self) -> Headers:
        """Whoever signs in or out is not taken over any more."""
        old = self.services.old
        values = () if old is None else self._old_values(old)
        if old is None or not values:
            return []
        for value in values:
            await old.takeover.end(value)
        return old.cookie.remove()

    def end_connection(self, refusal: HTTPException, last: Message) -> "asyncio.Task[None] | None":
        """End the connection that a watch was over: with the last message of its response, or a refusal in place of it.

        Whoever sends afterwards is told that nobody listens any more.
        """
        if not self.closed:
            self.refusal = refusal
            self._marks()  # so that there is something to commit
            return None
        self.replaced = True
        return None if self.send is None else asyncio.get_running_loop().create_task(_sent(self.send, last))

    async def stop_watching(self) -> None:
        """The request is over: nothing of it is watched any more."""
        watches, self.watches = self.watches, ()  # they lead back here
        for watch in watches:
            await watch.stop()

    def _announce_end(self, ended: Loaded | None) -> None:
        """Tell who ended the session: the user, or the application when it was asked. One that fits no model was told before."""
        if ended is None or self._reason == "model_mismatch" or self.services.anonymous:
            return
        if self._reason == "ended":
            announce_of_record(self.services, "revoked", self.scope, ended.record, "the revalidate hook ended it")
        else:
            announce_of_record(self.services, "signed_out", self.scope, ended.record)

    async def _presented_session(self) -> Loaded | None:
        """The session that the client came with."""
        return self._presented or await self._look()


async def _sent(send: Callable[[Message], Awaitable[None]], last: Message) -> None:
    with suppress(Exception):  # the client, or the application, was quicker
        await send(last)
