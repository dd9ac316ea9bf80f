"""One request's session: read at most once, marked by the mutation helpers, saved once.

It lives in the ASGI scope and dies with its request. No global and no context variable holds a session.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Generic

import anyio
from starlette.types import Scope

from ..access import Subject
from ..backends.base import Loaded
from ..errors import Forbidden, NotAuthenticated, SessionKitError
from ..session import SessionInfo
from ..transport import Headers
from .changes import Action, Changes
from .codec import FieldPatch, M, Misfit, SessionCodec, Update
from .origin import SAFE_METHODS, refusal
from .reading import Known
from .revalidation import Revalidation
from .rights import restricted
from .saving import (
    PRIVILEGES,
    privileges_of,
    require_room,
    save_changes,
    save_sign_in,
    save_sign_out,
    save_touch,
    unbroken,
    user_id_of,
)
from .services import Services
from .sharing import is_as_lent, shell

Judge = Callable[["RequestSession[Any]"], Awaitable[object]]
"""Takes a decision about a request's session; raises what the request is answered with where that is no."""

logger: logging.Logger = logging.getLogger(__name__)

SCOPE_KEY = "fastapi_sessionkit"
"""Where the scope keeps the innermost request's session; ``outer`` leads to the others."""

_PATIENCE = 5.0
"""Seconds for which a decision holds while the request's body, or a dependency, takes its time."""


class RequestSession(Subject, Generic[M]):
    """The session of one request, for one kit, and whom the request's requirements are asked of.

    Attributes:
        session: the session as this request sees it, its own changes included, once somebody has asked.
        loaded: what that stands on; ``None`` after a sign-in or a sign-out.
        asked: whether the response depends on the session.
        closed: whether the response has started or the request has failed, so that nothing is saved any more.
        replaced: whether the commit failed and another response went out.
        judges: what has let this request in, so that it can be asked once more.
    """

    __slots__ = (
        "_changes",
        "_handed",
        "_lent",
        "_loading",
        "_presented",
        "_read_at",
        "_settled",
        "_tokens",
        "_touch_due",
        "_waiting",
        "app",
        "asked",
        "closed",
        "judges",
        "loaded",
        "outer",
        "replaced",
        "scope",
        "services",
    )  # fmt: skip

    def __init__(
        self, services: Services[M], scope: Scope, app: object = None, outer: "RequestSession[Any] | None" = None
    ) -> None:
        self.services: Services[M] = services
        self.access = services.access
        self.scope: Scope = scope
        self.app: object = app
        self.outer: RequestSession[Any] | None = outer
        self.session: M | None = None
        self.before = None
        self.loaded: Loaded | None = None
        self.asked: bool = False
        self.closed: bool = False
        self.replaced: bool = False
        self.judges: Sequence[Judge] = ()
        self._tokens: Sequence[bytes] | None = None
        self._presented: Loaded | None = None  # what the client's token led to, even if its session has moved on since
        self._settled: bool = False  # whether ``session`` says who is signed in
        self._loading: bool = False
        self._waiting: anyio.Event | None = None
        self._touch_due: bool = False
        self._changes: Changes | None = None
        # Sessions that code may change in place, and how each was written then.
        self._handed: Sequence[tuple[M, bytes]] = ()
        # A session of its own, and the one that it has its values from.
        self._lent: tuple[M, M] | None = None

    # Reading

    @property
    def tokens(self) -> Sequence[bytes]:
        """What the client sent as its token, read once: more than one where two have its name."""
        if self._tokens is None:
            self._tokens = self.services.transport.read(self.scope)
        return self._tokens

    @property
    def token(self) -> bytes | None:
        """The client's token; ``None`` if there is none, or more than one, of which one may be planted."""
        tokens = self.tokens
        return tokens[0] or None if len(tokens) == 1 else None

    async def load(self) -> M | None:
        """The session as this request sees it, its own changes included; ``None`` when nobody is signed in.

        Of several tasks of the request that ask at once one loads, and if it fails the next one tries.

        Raises:
            StoreUnavailable: the store can't say.
        """
        self.asked = True
        if self._settled:
            return self.session
        if self._loading:
            return await self._load_after_others()
        self._loading = True
        try:
            services, tokens = self.services, self._tokens
            if tokens is None:
                tokens = self._tokens = services.transport.read(self.scope)
            token = tokens[0] if len(tokens) == 1 else None
            if token:
                self._presented = loaded = await services.backend.load(token)
                if loaded is not None and not self._settled:  # signed in or out while it was loading: that stands
                    known, now = services.reader.known(token, loaded.record), services.lifetimes.clock()
                    self._read_at, shared = now, known.shared
                    if shared is not None and now < known.quiet_until and not loaded.superseded and not self._changes:
                        self.session = own = shell(shared)
                        self.loaded, self._lent = loaded, (own, shared)
                    elif now < known.ends_at:
                        await self._take(known, loaded, token)
            self._settled = True
        finally:
            self._loading = False
            if self._waiting is not None:
                self._waiting.set()
                self._waiting = None
        return self.session

    async def _load_after_others(self) -> M | None:
        self._waiting = self._waiting or anyio.Event()  # made only for those who wait; a lock would be for everybody
        await self._waiting.wait()
        return await self.load()

    async def _take(self, known: Known[M], loaded: Loaded, token: bytes) -> None:
        """Take a live record as this request's session, if it fits, and the application agrees."""
        services = self.services
        session = services.reader.read(known)
        if session is not None and loaded.before is not None:
            session = restricted(services.codec, session, loaded.before)
        if session is None:
            self._reject(loaded)
        elif services.revalidation is None:
            self._adopt(session, known, loaded)
        else:
            await self._take_revalidated(services.revalidation, session, known, loaded, token)

    def _adopt(self, session: M, known: Known[M], loaded: Loaded) -> None:
        self.loaded, self.session = loaded, session
        if self._read_at >= known.touch_due_at and not loaded.superseded:
            self._touch_due = True
        if known.moves and not loaded.superseded:
            self._mark_move()
        if loaded.before is not None:
            self.before = self.services.codec.read(loaded.before)
        if known.shared is not None and loaded.before is None:
            self._lent = (session, known.shared)
        else:
            self._handed = [*self._handed, (session, self.services.codec.dump(session))]
        if self._changes is not None:
            self._catch_up()

    async def _take_revalidated(
        self, revalidation: Revalidation[M], session: M, known: Known[M], loaded: Loaded, token: bytes
    ) -> None:
        answer, patch = await self._revalidated(revalidation, session, loaded, token)
        if self._settled:  # signed in or out while it was asked: that stands
            return
        if answer is None:
            unread = self._marks().unread
            self._start_over(Action.SIGN_OUT, None)
            self._marks().unread = unread  # the commit says that nobody is signed in any more
            return
        if patch is not None:
            self._mark_patch(patch)
            self._marks().settles = True
            self._handed = [(answer, patch.data)]
        self._adopt(answer, known, loaded)

    async def _revalidated(
        self, revalidation: Revalidation[M], session: M, loaded: Loaded, token: bytes
    ) -> tuple[M | None, FieldPatch | None]:
        """What the application makes of the session, ``None`` when it shall end; and what that changes."""
        codec, key = self.services.codec, loaded.key or token
        if not revalidation.is_due(key):
            return session, None
        before = codec.dump(session)
        answer = await revalidation.ask(session, codec.model)
        if answer is None:
            logger.info("A session was ended by the revalidate hook")
            return None, None
        after = revalidation.written(answer, codec)
        if before == after:
            revalidation.settle(key)
            return answer, None
        return answer, FieldPatch(codec.changed_fields(answer, before, after), after)

    def _reject(self, loaded: Loaded) -> None:
        """Remove what does not fit the model."""
        if not loaded.superseded and self._marks().action is Action.KEEP:
            self._marks().action = Action.SIGN_OUT

    def _catch_up(self) -> None:
        """Apply what was marked before anything was loaded."""
        unread, self._marks().unread = self._marks().unread, []
        for update in unread:
            if self.session is not None:
                self._apply(self.session, update)

    # Deciding

    async def current(self) -> M | None:
        """The session to decide on: as ``load`` gives it, but read once more where that was long ago."""
        if not self._settled:
            return await self.load()
        if self._is_stale():
            await self._reload()
        return self.session

    def _is_stale(self) -> bool:
        """Whether a decision would stand on what was read more than five seconds ago."""
        return self.loaded is not None and not 0 <= self.services.lifetimes.clock() - self._read_at <= _PATIENCE

    async def _reload(self) -> None:
        """Read the session once more: decisions are taken on what the store says then.

        What this request has marked stays, and with it what it sees, unless nobody is signed in any more.
        """
        again = RequestSession(self.services, self.scope)
        await again.load()
        self._read_at = self.services.lifetimes.clock()
        if self._changes is None:
            self.loaded, self.session, self._changes = again.loaded, again.session, again._changes
            self._handed, self._lent = [*self._lent_and_handed(), *again._handed], again._lent
        elif again.session is None:
            self.session = None

    async def judge_again(self) -> bool:
        """Take the decisions about this request once more, where they stand on what was read long ago.

        Says whether they did.

        Raises:
            HTTPException: one of them is another now.
        """
        if not self._is_stale():
            return False
        await self._reload()
        for judge in self.judges:
            await judge(self)
        return True

    async def look_up(self) -> Loaded | None:
        """What the client's token leads to now, nothing of this request included."""
        self.asked = True
        if self.token is not None:
            self._presented = await self.services.backend.load(self.token)
        return self._presented

    @property
    def is_somebodys(self) -> bool:
        """Whether the response may hold what is one person's alone."""
        return self.session is not None or self._presented is not None

    def subject(self) -> Subject:
        """Whom to ask requirements of, once it is loaded, for one decision."""
        self._answers = None
        return self

    @property
    def age(self) -> float | None:
        """Seconds since the user signed in. A sign-in that this very request made is as fresh as can be."""
        return 0.0 if self.loaded is None else self.services.lifetimes.clock() - self.loaded.record.authenticated_at

    async def info(self) -> SessionInfo | None:
        """The session's clocks; ``None`` when nobody is signed in."""
        session = await self.load()
        if session is None:
            return None
        if self.loaded is not None:
            return SessionInfo.of(self.loaded.record)
        return SessionInfo.of(self.services.lifetimes.new_record(b"", user_id_of(session), self._marks().ttl))

    # Marking

    def sign_in(self, session: M, ttl: float | None) -> None:
        """Mark a sign-in: a new id, and the end of the session there was."""
        self._require_open("set_session")
        services = self.services
        model = services.codec.model
        if not isinstance(session, model):
            raise TypeError(
                f"set_session takes a {model.__name__}, the model of this SessionKit, not a {type(session).__name__}"
            )
        services.lifetimes.checked_idle(ttl)
        self._require_same_origin()
        data = services.codec.dump(session)
        services.codec.check_readable(session, data)
        require_room(services, services.lifetimes.new_record(data, user_id_of(session), ttl))
        self._start_over(Action.SIGN_IN, session)
        self._marks().ttl = ttl
        self._handed = [(session, data)]

    def update(self, update: Update) -> None:
        """Mark a patch of named fields, or a function that computes one."""
        self._require_open("update_session")
        if self.session is not None:
            self._apply(self.session, update)
        elif self._settled or self.token is None:
            raise NotAuthenticated
        else:  # not loaded yet, and only an await could: the commit will
            if not callable(update):
                self.services.codec.check_patch(update)
            self._marks().unread.append(update)

    def sign_out(self) -> None:
        """Mark the end of the session."""
        self._require_open("clear_session")
        self._start_over(Action.SIGN_OUT, None)

    def rotate(self) -> None:
        """Mark a move to a new id."""
        self._require_open("regenerate_session")
        if self.session is None and (self._settled or self.token is None):
            raise NotAuthenticated
        self._mark_move()

    def reopen(self) -> None:
        """Forget every mark: what was to be saved could not be, and another response is on its way."""
        self._start_over(Action.KEEP, None)
        self._settled = self.closed = False

    def _start_over(self, action: Action, session: M | None) -> None:
        self._changes = Changes(action)
        self.session, self.loaded = session, None
        self._settled, self._touch_due, self._handed, self._lent, self.before = True, False, (), None, None

    def _marks(self) -> Changes:
        if self._changes is None:
            self._changes = Changes()
        return self._changes

    def _mark_move(self) -> None:
        if self._marks().action is Action.KEEP:
            self._marks().action = Action.ROTATE

    def _mark_patch(self, patch: FieldPatch) -> None:
        """Keep a patch that was found by comparison, so that each of its names did change."""
        self._marks().patches.append(patch)
        if not set(PRIVILEGES).isdisjoint(patch.names):
            self._mark_move()
        if "user_id" in patch.names:
            self._marks().switches_user = True

    def _apply(self, session: M, update: Update) -> None:
        codec = self.services.codec
        fields = update(session) if callable(update) else update
        changed = codec.patched(session, fields)
        data = codec.dump(changed)
        codec.check_readable(changed, data)
        self._require_room(data, changed)
        self._notice_changes_in_place()  # now, so that what is said later wins
        marks = self._marks()
        # A function is run again on what the store holds by then; on a session that only begins now, nobody else works.
        marks.patches.append(
            update if callable(update) and self.loaded is not None else FieldPatch(tuple(fields), data)
        )
        if privileges_of(changed) != privileges_of(session):
            self._mark_move()
        if user_id_of(changed) != user_id_of(session):
            marks.switches_user = True
        self._handed = [*self._handed, (changed, data)]
        self.session = changed

    def _notice_changes_in_place(self) -> None:
        """Mark what changed, since the last time, inside a value of any session that was handed out."""
        codec, handed = self.services.codec, self._lent_and_handed()
        self._lent = None
        for place, (session, before) in enumerate(handed):
            after = codec.dump(session)
            if after != before:
                _require_fit(codec, session, after)
                handed[place] = (session, after)
                self._mark_patch(FieldPatch(codec.changed_fields(session, before, after), after))
        self._handed = handed

    def _lent_and_handed(self) -> list[tuple[M, bytes]]:
        if self._lent is None or is_as_lent(*self._lent):
            return list(self._handed)
        session, shared = self._lent
        return [*self._handed, (session, self.services.codec.dump(shared))]

    def _require_open(self, helper: str) -> None:
        self.asked = True
        if self.closed:
            raise SessionKitError(
                f"{helper} came too late: the response has started, or the request has failed, so nothing is saved any more. "
                "Call it before the response is returned."
            )

    def _require_same_origin(self) -> None:
        if self.scope.get("method") not in SAFE_METHODS and not self.services.origins.allows(self.scope):
            raise Forbidden(refusal(self.scope, "sign-in"))

    def _require_room(self, data: bytes, session: M) -> None:
        if self.loaded is None:
            record = self.services.lifetimes.new_record(data, user_id_of(session), self._marks().ttl)
        else:
            record = replace(self.loaded.record, data=data)
        require_room(self.services, record)

    # Saving

    @property
    def is_pending(self) -> bool:
        """Whether there may be something to save."""
        if self._changes is not None or self._touch_due or self._handed:
            return True
        lent = self._lent
        return lent is not None and not is_as_lent(*lent)

    @property
    def action(self) -> Action:
        """What is to be done to the session itself."""
        return Action.KEEP if self._changes is None else self._changes.action

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
        marks = self._changes
        if marks is not None and (marks.unread or marks.action is Action.ROTATE) and self.loaded is None:
            await self.load()
            if self.loaded is None:
                raise NotAuthenticated
        self._notice_changes_in_place()
        if not self._touch_due and (self._changes is None or self._changes.is_empty):
            return []
        return await unbroken(self.save(may_move=may_move))

    async def save(self, *, may_move: bool = True) -> Headers:
        """Save what was marked; ``commit`` does it to the end, whatever happens to who waits."""
        marks, services, loaded = self._marks(), self.services, self.loaded
        if marks.action is Action.SIGN_IN and self.session is not None:
            return await save_sign_in(services, self.session, marks, await self._presented_session(), self.scope)
        if marks.action is Action.SIGN_OUT or loaded is None:
            return await save_sign_out(services, await self._presented_session(), came=bool(self.tokens))
        if marks.is_empty:
            return await save_touch(services, loaded, self.scope)
        return await save_changes(services, loaded, marks, self.scope, may_move=may_move)

    async def _presented_session(self) -> Loaded | None:
        """The session that the client came with."""
        if self._presented is None and self.token is not None:
            self._presented = await self.services.backend.load(self.token)
        return self._presented


def _require_fit(codec: SessionCodec[M], session: M, data: bytes) -> None:
    """Refuse a change in place that does not fit, without showing its value."""
    try:
        codec.read(data)
    except Misfit as misfit:
        raise TypeError(
            f"A change in place left a {type(session).__name__} that does not fit its model, so nothing is saved ({misfit})"
        ) from None
    codec.check_readable(session, data)
