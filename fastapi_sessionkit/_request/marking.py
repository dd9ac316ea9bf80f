"""Marking what one request wants of its session; nothing here waits, and nothing is saved."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Generic

import anyio
from fastapi import HTTPException
from starlette.types import Message, Scope, Send

from ..access import NO_SEGMENTS, Access, Segments, Subject
from ..backends.base import Loaded
from ..errors import ConfigurationError, Forbidden, NotAuthenticated, SessionKitError
from ..reasons import Reason
from ..stores.base import SessionRecord
from .changes import Action, Changes
from .codec import FieldPatch, M, Update, computed
from .handed import Handed
from .origin import SAFE_METHODS, refusal, source
from .saving import (
    PRIVILEGES,
    privileges_of,
    require_room,
    user_id_of,
)
from .services import Services
from .sharing import shell

Judge = Callable[[Any, Scope], Awaitable[object]]
"""Takes a decision about a request's session, in a scope; raises what the request is answered with where that is no."""


class MarkedSession(Subject, Generic[M]):
    """What is known of one request's session and what is wanted of it; and whom the request's requirements are asked of.

    Attributes:
        loaded: what that stands on; ``None`` after a sign-in or a sign-out.
        asked: whether the response depends on the session.
        closed: whether the response has started or the request has failed, so that nothing is saved any more.
        failed: whether the store could not say who is signed in, when it was asked last.
        ahead: whether it was loaded, or could not be, before anybody asked, and nobody has read it since.
        replaced: whether the commit failed and another response went out.
        judges: what has let this request in and where, so that it can be asked once more.
        late: what marks the response where it began before the session was asked for, and its first message.
        issued: the token that the response carries, once it was made.
        refusal: what the response is answered with in place of itself, because a watch has ended before it started.
        send: sends a message to the client, past whatever waits for the commit; ``None`` when the request is over.
        watches: the watches over this session, see ``watching.py``.
        guard: the innermost guard on the way that knows where a browser authenticates again; ``None``: there is none.
    """

    __slots__ = (
        "__dict__",
        "_loading",
        "_presented",
        "_read_at",
        "_settled",
        "_shared",
        "_tokens",
        "app",
        "asked",
        "closed",
        "judges",
        "loaded",
        "outer",
        "scope",
        "send",
        "services",
    )  # fmt: skip

    # What few requests change stands here until then, which costs the others nothing.
    before: Any = None
    segments: Segments = NO_SEGMENTS
    replaced: bool = False
    failed: bool = False
    ahead: bool = False
    late: tuple[Callable[[Any, Message], None], Message] | None = None
    guard: Any = None
    issued: bytes | None = None
    refusal: HTTPException | None = None
    watches: Sequence[Any] = ()
    _reason: Reason | None = None  # why its token led to nobody
    _waiting: anyio.Event | None = None
    _touch_due: bool = False
    _changes: Changes | None = None
    _handed: Sequence[Handed[M]] = ()  # sessions that code may change in place

    def __init__(
        self,
        services: Services[M],
        scope: Scope,
        app: object = None,
        outer: Any = None,
        *,
        send: Send | None = None,
        token: bytes | None = None,
    ) -> None:
        self.services: Services[M] = services
        self._tokens: Sequence[bytes] | None = None if token is None else (token,)
        if services.alternative is not None and (tokens := services.alternative.transport.read(scope)):
            self.services, self._tokens = services.alternative, tokens
        self.access: Access = services.access
        self.scope: Scope = scope
        self.app: object = app
        self.outer: Any = outer  # the session of the kit around this one, or ``None``
        self._session: M | None = None
        self.loaded: Loaded | None = None
        self.asked: bool = False
        self.closed: bool = False
        self.judges: Sequence[tuple[Judge, Scope]] = ()
        self.send: Send | None = send
        self._presented: Loaded | None = None  # what the client's token led to, even if its session has moved on since
        self._settled: bool = False  # whether ``session`` says who is signed in
        self._loading: bool = False
        # The session whose values this request's has, where other requests share them.
        self._shared: M | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it is known who is signed in."""
        return self._settled

    @property
    def session(self) -> M | None:
        """The session as this request sees it, its own changes included, once somebody has asked.

        What is done to it no other request sees.
        """
        if self._session is not None and self._session is self._shared:
            self._session = shell(self._session)
        return self._session

    @property
    def tokens(self) -> Sequence[bytes]:
        """What the client sent as its token, read once: more than one where several have its name."""
        if self._tokens is None:
            self._tokens = self.services.transport.read(self.scope)
        return self._tokens

    @property
    def token(self) -> bytes | None:
        """The one token that was sent, or that was chosen of several; ``None`` where there is none."""
        return self.tokens[0] or None if len(self.tokens) == 1 else None

    @property
    def has_token(self) -> bool:
        """Whether the client sent anything that may be a token, verified or not."""
        return any(self.tokens) or (self.services.old is not None and bool(self.services.old.cookie.read(self.scope)))

    @property
    def action(self) -> Action:
        """What is to be done to the session itself."""
        return Action.KEEP if self._changes is None else self._changes.action

    @property
    def changes_hands(self) -> bool:
        """Whether the response may hold a token, or be the end of one."""
        return self._changes is not None and (self.action is not Action.KEEP or self._changes.gives_token)

    def sign_in(self, session: M, ttl: float | None, *, transient: bool = False) -> None:
        """Mark a sign-in: a new id, and the end of the session there was."""
        self._require_open("set_session")
        self._require_keeping("set_session")
        self._require_same_origin()
        data, _ = _new_record(self.services, session, ttl, "set_session", transient=transient)
        self._start_over(Action.SIGN_IN, session)
        self._marks().ttl, self._marks().transient = ttl, transient
        self._handed = [Handed.now(session, data)]

    def new_token_record(self, session: M, ttl: float | None) -> SessionRecord:
        """The record of a session whose token is to be given out by the application, in this response."""
        self._require_open("issue_token")
        services = self.services if self.services.transport.issued else self.services.alternative
        if services is None:
            raise ConfigurationError("kit.issue_token needs a kit for bearer tokens too: SessionKit(..., bearer=True)")
        _, record = _new_record(services, session, ttl, "issue_token")
        self._marks().gives_token = True
        return record

    def update(self, update: Update) -> None:
        """Mark a patch of named fields, or a function that computes one."""
        self._require_open("update_session")
        if self.session is not None:
            self._apply(self.session, update)
        elif self._settled or not self.has_token:
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
        self._require_keeping("regenerate_session")
        if self.session is None and (self._settled or not self.has_token):
            raise NotAuthenticated
        self._mark_move()

    def reauthenticate(self) -> None:
        """Mark that the user has proved again who they are, and a move to a new id."""
        self._require_open("reauthenticate_session")
        self._require_keeping("reauthenticate_session")
        self._require_same_origin()
        if self.session is None and (self._settled or not self.has_token):
            raise NotAuthenticated
        self._mark_move()
        self._marks().reauthenticates = True

    def reopen(self) -> None:
        """Forget every mark: what was to be saved could not be, and another response is on its way."""
        self._start_over(Action.KEEP, None)
        self._settled = self.closed = False

    def _start_over(self, action: Action, session: M | None) -> None:
        self._changes = Changes(action)
        self._session, self.loaded = session, None
        self._settled, self._touch_due, self._handed, self._shared, self.before = True, False, (), None, None

    def _marks(self) -> Changes:
        if self._changes is None:
            self._changes = Changes()
        return self._changes

    def _mark_move(self) -> None:
        if self._marks().action is Action.KEEP:
            self._marks().action = Action.ROTATE

    def _mark_patch(self, patch: FieldPatch) -> None:
        """Keep a patch that was found by comparison, so that each of its names did change."""
        self._require_changeable()
        self._marks().patches.append(patch)
        self._mark_rights(patch.names)

    def _mark_answer(self, answer: FieldPatch) -> None:
        """Keep what the application answered when it was asked about the session."""
        self._marks().answer = answer
        self._mark_rights(answer.names)

    def _mark_rights(self, names: Collection[str]) -> None:
        if not set(PRIVILEGES).isdisjoint(names):
            self._mark_move()
        if "user_id" in names:
            self._marks().switches_user = True

    def _apply(self, session: M, update: Update) -> None:
        self._require_changeable()
        codec = self.services.codec
        fields = computed(update, session) if callable(update) else update
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
        self._handed = [*self._handed, Handed.now(changed, data)]
        self._session = changed

    def _notice_changes_in_place(self) -> None:
        """Mark what changed, since the last time, inside a value of any session that was handed out."""
        self._hand_over()
        handed = list(self._handed)
        for place, each in enumerate(handed):
            patch = each.change(self.services.codec)
            if patch is not None:
                handed[place] = Handed.now(each.session, patch.data)
                self._mark_patch(patch)
        self._handed = handed

    def _hand_over(self) -> None:
        """Share nothing any more: a session that was given to code is one that it may have changed."""
        shared, own = self._shared, self.session
        self._shared = None
        if shared is not None and own is not None:
            self._handed = [*self._handed, Handed.lent(own, shared, self.services.codec.dump(shared))]

    def _require_open(self, helper: str) -> None:
        self.asked = True
        if self.closed:
            raise SessionKitError(
                f"{helper} came too late: the response has started, or the request has failed, so nothing is saved any more. "
                "Call it before the response is returned."
            )
        self._require_here(helper)

    def _require_here(self, what: str) -> None:
        """Refuse what only the service can do that people sign in at."""
        if self.services.elsewhere is not None:
            raise ConfigurationError(
                f"{what} can't be done here, and nothing is written: sessions are begun, changed and ended by "
                f"{self.services.elsewhere}. Send the browser to that service, or call its interface"
            )

    def _require_keeping(self, helper: str) -> None:
        """Refuse what needs a client that keeps the token of a response."""
        transport = self.services.transport
        if transport.issued:
            raise Forbidden(
                f"{helper} gives the client another token by itself, and this one sent a {transport.noun}, which no response "
                "can replace. Give it one with kit.issue_token, or send the request without the header "
                f"{transport.varies_by.decode()}"
            )

    def _require_changeable(self) -> None:
        self._require_here("A change of the session")
        if self.loaded is not None and self._is_final(self.loaded):
            raise ConfigurationError(
                f"This {self.services.transport.noun} is the session itself, so it can't be changed. Keep sessions on the "
                "server, SessionKit(backend=StoreBackend(store)), or give the client a new token with kit.issue_token"
            )

    def _is_final(self, loaded: Loaded) -> bool:
        """Whether nothing can be changed: the token is the record, and no response can bring another one."""
        return self.services.transport.issued and not loaded.key

    def _require_same_origin(self, what: str = "sign-in") -> None:
        if self.scope.get("method") not in SAFE_METHODS and not self.services.origins.allows(self.scope):
            self.services.events.announce("refused_origin", self.scope, reason=f"a {what} from {source(self.scope)}")
            raise Forbidden(refusal(self.scope, what))

    def _require_room(self, data: bytes, session: M) -> None:
        if self.loaded is None:
            record = self.services.lifetimes.new_record(data, user_id_of(session), self._marks().ttl)
        else:
            record = replace(self.loaded.record, data=data)
        require_room(self.services, record)


def _new_record(
    services: Services[M], session: M, ttl: float | None, helper: str, *, transient: bool = False
) -> tuple[bytes, SessionRecord]:
    """The dump of a session that begins, and its record, if it can be kept."""
    codec, lifetimes = services.codec, services.lifetimes
    codec.require_model(session, helper)
    lifetimes.checked_idle(ttl)
    data = codec.readable_dump(session)
    noted = codec.noted(data, issued=services.transport.issued, transient=transient)
    record = lifetimes.new_record(noted, user_id_of(session), ttl)
    require_room(services, record)
    return data, record
