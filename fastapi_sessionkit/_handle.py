"""One request's session: loaded at most once, marked by the mutation helpers, committed once.

A handle lives in the ASGI scope and dies with its request. No global and no context variable holds a session.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Generic

import anyio
from pydantic import ValidationError
from starlette.types import Scope

from fastapi_sessionkit._codec import M, SessionCodec
from fastapi_sessionkit._cookie import LIMIT, SessionCookie
from fastapi_sessionkit._lifetimes import Lifetimes, View
from fastapi_sessionkit._origin import SAFE_METHODS, OriginPolicy
from fastapi_sessionkit._revalidation import Revalidation
from fastapi_sessionkit.backends import Loaded, SessionBackend
from fastapi_sessionkit.errors import Forbidden, NotAuthenticated, SessionKitError, SessionTooLarge, StoreUnavailable
from fastapi_sessionkit.requirements import Access, Subject
from fastapi_sessionkit.session import SessionInfo
from fastapi_sessionkit.stores.base import SessionRecord

logger: logging.Logger = logging.getLogger(__name__)

SCOPE_KEY = "fastapi_sessionkit"
"""Where the scope keeps the innermost handle; ``outer`` leads to the others."""

_PRIVILEGES = ("user_id", "role", "roles", "permissions")
_UNREAD = object()

Step = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]
"""A change of the session: named fields, or a function of the session that gives them."""


class Action(Enum):
    """What the commit will do to the session itself; changes of fields are kept beside it."""

    KEEP = "keep"
    ROTATE = "rotate"
    SIGN_IN = "sign in"
    SIGN_OUT = "sign out"


@dataclass(frozen=True, slots=True)
class Services(Generic[M]):
    """What a handle needs of its kit. ``rotation_grace`` is in seconds."""

    kit: object
    codec: SessionCodec[M]
    backend: SessionBackend
    cookie: SessionCookie
    origins: OriginPolicy
    access: Access
    lifetimes: Lifetimes
    rotation_grace: float
    revalidation: Revalidation[M] | None = None


class SessionHandle(Generic[M]):
    """The session of one request, for one kit."""

    __slots__ = (
        "_action",
        "_answered",
        "_fetched",
        "_fetching",
        "_first",
        "_handed",
        "_steps",
        "_token",
        "_touch_due",
        "_ttl",
        "_unseen",
        "_waiting",
        "app",
        "asked",
        "closed",
        "loaded",
        "outer",
        "pending",
        "replaced",
        "scope",
        "services",
        "session",
    )  # fmt: skip

    def __init__(self, services: Services[M], scope: Scope, app: object, outer: "SessionHandle[Any] | None") -> None:
        self.services: Services[M] = services
        self.scope: Scope = scope
        self.app: object = app
        self.outer: SessionHandle[Any] | None = outer
        self.asked: bool = False
        self.closed: bool = False
        self.pending: bool = False  # whether the commit may have something to do
        self.replaced: bool = False  # whether the commit failed, and another response went out
        self.loaded: Loaded | None = None
        self._action = Action.KEEP
        self.session: M | None = None  # as far as this request has asked
        # The changeable sessions that code got hold of, and what each stood for.
        self._handed: list[tuple[M, bytes]] = []
        self._steps: list[Step] = []  # what to do to the record's data, in order
        self._unseen: list[Step] = []  # the same, while the session is not loaded
        self._touch_due = False
        self._answered = False  # whether the revalidate hook changed something that is not saved yet
        self._first: Loaded | None = None
        self._fetched = False
        self._fetching = False
        self._waiting: anyio.Event | None = None
        self._token: Any = _UNREAD
        self._ttl = services.lifetimes.idle

    # Reading

    @property
    def token(self) -> bytes | None:
        """The client's token, read from the cookie once."""
        if self._token is _UNREAD:
            self._token = self.services.cookie.read(self.scope)
        token: bytes | None = self._token
        return token

    async def load(self) -> M | None:
        """The session as this request sees it, its own changes included; ``None`` when nobody is signed in.

        Of several tasks of the request that ask at once one loads, and if it fails the next one tries.

        Raises:
            StoreUnavailable: the store can't say.
        """
        self.asked = True
        if self._fetched:
            return self.session
        if self._fetching:
            return await self._load_after_others()
        self._fetching = True
        try:
            if self._token is _UNREAD:
                self._token = self.services.cookie.read(self.scope)
            if self._token is not None:
                self._first = loaded = await self.services.backend.load(self._token)
                if loaded is not None and not self._fetched:  # signed in or out while it was loading: that stands
                    view = loaded.view
                    if view is not None and self.services.lifetimes.clock() < view.quiet_until and not self._unseen:
                        self.loaded, self.session = loaded, view.session
                    else:
                        await self._accept(loaded)
            self._fetched = True
        finally:
            self._fetching = False
            if self._waiting is not None:
                self._waiting.set()
                self._waiting = None
        return self.session

    async def _load_after_others(self) -> M | None:
        self._waiting = self._waiting or anyio.Event()  # made only for those who wait; a lock would be for everybody
        await self._waiting.wait()
        return await self.load()

    def subject(self) -> Subject:
        """Whom to ask requirements of, once it is loaded."""
        # A sign-in that this very request made is as fresh as can be.
        age = 0.0 if self.loaded is None else self.services.lifetimes.clock() - self.loaded.record.authenticated_at
        return Subject(self.session, self.services.access, age)

    async def info(self) -> SessionInfo | None:
        """The session's clocks; ``None`` when nobody is signed in."""
        session = await self.load()
        if session is None:
            return None
        if self.loaded is not None:
            return SessionInfo.of(self.loaded.record)
        return SessionInfo.of(self.services.lifetimes.begun(b"", user_id_of(session), self._ttl))

    async def _accept(self, loaded: Loaded) -> None:
        """Take the record as this request's session, if it is alive and fits, and the application agrees."""
        services, view = self.services, loaded.view
        if view is None:
            view = loaded.view = services.lifetimes.view(loaded.record)
        if services.lifetimes.clock() >= view.ends_at:
            return
        session = view.session or self._opened(loaded, view)
        if session is None:
            return
        answer = session
        if services.revalidation is not None:
            answer = await self._revalidated(services.revalidation, loaded, session)
            if self._fetched:  # signed in or out while it was asked: that stands
                return
        if answer is None:
            self._start_over(Action.SIGN_OUT, None)
            self.pending = True
            return
        self.loaded, self.session = loaded, session
        if view.session is None:
            self._handed, self.pending = [(session, loaded.record.data)], True
        if services.lifetimes.clock() >= view.touch_due_at and not loaded.superseded:
            self._touch_due = self.pending = True
        if answer is not session or self._unseen:
            self._catch_up(session, answer, loaded.record)

    def _opened(self, loaded: Loaded, view: View) -> M | None:
        """The session in a record, kept for the next request if nothing in it can change; ``None`` if it does not fit."""
        try:
            session, shared = self.services.codec.open(loaded.record.data)
        except ValidationError as error:
            self._reject(loaded, error)
            return None
        if shared:
            view.session = session
            if self.services.revalidation is None:
                view.quiet_until = min(view.ends_at, view.touch_due_at)
        return session

    def _catch_up(self, session: M, answer: M, record: SessionRecord) -> None:
        """Apply what the application answered, and what was marked before anything was loaded."""
        self.pending = True
        changed = self.services.codec.changed_in_place(answer, record.data)
        if changed:
            self._apply(session, {name: getattr(answer, name) for name in changed})
            self._answered = True
        unseen, self._unseen = self._unseen, []
        for step in unseen:
            if self.session is not None:
                self._apply(self.session, step)

    async def _revalidated(self, revalidation: Revalidation[M], loaded: Loaded, session: M) -> M | None:
        """What the application makes of the session; ``None`` when it shall end."""
        key = loaded.key or self.token
        if not revalidation.is_due(key):
            return session
        answer = await revalidation.ask(session)
        if answer is None:
            logger.info("A session was ended by the revalidate hook")
        elif not self.services.codec.changed_in_place(answer, loaded.record.data):
            revalidation.settle(key)
            return session
        return answer

    def _reject(self, loaded: Loaded, error: ValidationError) -> None:
        details = [f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['type']}" for item in error.errors()]
        logger.warning(
            "A stored session no longer fits %s (%s): removed", self.services.codec.model.__name__, "; ".join(details)
        )
        if not loaded.superseded and self._action is Action.KEEP:
            self._action, self.pending = Action.SIGN_OUT, True

    # Marking

    def sign_in(self, session: M, ttl: float | None) -> None:
        """Mark a sign-in: a new id, and the end of the session there was."""
        self._require_open("set_session")
        model = self.services.codec.model
        if not isinstance(session, model):
            msg = f"set_session takes a {model.__name__}, the model of this SessionKit, not a {type(session).__name__}"
            raise TypeError(msg)
        if self.scope.get("method") not in SAFE_METHODS and not self.services.origins.allows(self.scope):
            raise Forbidden(
                "Cross-origin sign-in refused. An identity provider that posts back belongs in "
                "SessionKit(trusted_origins=[...])"
            )
        data = self.services.codec.dump(session)
        self.services.codec.check_readable(session, data)
        ttl = self.services.lifetimes.idle if ttl is None else ttl
        self._require_room(self.services.lifetimes.begun(data, user_id_of(session), ttl))
        self._start_over(Action.SIGN_IN, session)
        self._handed = [(session, data)]
        self._ttl = ttl

    def update(self, step: Step) -> None:
        """Mark a patch of named fields, or a function that computes one."""
        self._require_open("update_session")
        if self.session is not None:
            self._apply(self.session, step)
        elif self._fetched or self.token is None or self._action is Action.SIGN_OUT:
            raise NotAuthenticated
        else:  # not loaded yet, and only an await could: the commit will
            if not callable(step):
                self.services.codec.check_patch(step)
            self._unseen.append(step)

    @property
    def needs_cookie(self) -> bool:
        """Whether what the commit saves is of no use without its cookie."""
        return self._action is Action.SIGN_IN or self._action is Action.ROTATE

    def reopen(self) -> None:
        """Forget every mark: what was to be saved could not be, and another response is on its way."""
        self._start_over(Action.KEEP, None)
        self._fetched = self.closed = False

    def sign_out(self) -> None:
        """Mark the end of the session."""
        self._require_open("clear_session")
        self._start_over(Action.SIGN_OUT, None)

    def rotate(self) -> None:
        """Mark a move to a new id."""
        self._require_open("regenerate_session")
        if self._action is Action.SIGN_OUT or (self.session is None and (self._fetched or self.token is None)):
            raise NotAuthenticated
        if self._action is Action.KEEP:
            self._action = Action.ROTATE

    def _start_over(self, action: Action, session: M | None) -> None:
        self._action, self.session, self._fetched = action, session, True
        self.loaded, self._handed, self._steps, self._unseen = None, [], [], []
        self._touch_due = False

    def _apply(self, session: M, step: Step) -> None:
        codec = self.services.codec
        changes = step(session) if callable(step) else step
        changed = codec.patched(session, changes)
        data = codec.dump(changed)
        codec.check_readable(changed, data)
        if self.loaded is None:
            self._require_room(self.services.lifetimes.begun(data, user_id_of(changed), self._ttl))
        else:
            self._require_room(replace(self.loaded.record, data=data))
        if self._action is Action.KEEP and _privileges(changed) != _privileges(session):
            self._action = Action.ROTATE
        self._notice_changes_in_place()  # now, so that what is said later wins
        # A function is run again on what the store holds by then; on a session that only begins now, nobody else works.
        self._steps.append(step if callable(step) and self.loaded is not None else codec.patch(changed, changes))
        self._handed.append((changed, data))
        self.session = changed

    def _require_open(self, helper: str) -> None:
        self.asked = self.pending = True
        if self.closed:
            msg = (
                f"{helper} came too late: the response has started, or the request has failed, so nothing is saved any more. "
                "Call it before the response is returned."
            )
            raise SessionKitError(msg)

    def _require_room(self, record: SessionRecord) -> None:
        overflow = self.services.backend.overflow(record)
        if overflow > 0:
            raise SessionTooLarge(LIMIT + overflow, LIMIT, self.services.codec.sizes(record.data))

    # Committing

    async def commit(self) -> bytes | None:
        """Save what was marked; gives the ``Set-Cookie`` value that the response needs.

        Cancelling it leaves the old state or the new one: what is being written is written to the end.

        Raises:
            StoreUnavailable: nothing that anybody was told of was saved.
            NotAuthenticated: a session that was changed unseen turned out to be nobody's.
            SessionTooLarge: the session outgrew the cookie.
        """
        if self._unseen or (self._action is Action.ROTATE and self.loaded is None):
            await self._load_unseen()
        if self._handed:
            self._notice_changes_in_place()
        if self._action is Action.KEEP and not self._steps and not self._touch_due:
            return None
        cookie = None  # for those who take a CancelScope for something that swallows exceptions
        with anyio.CancelScope(shield=True):
            cookie = await _unbroken(self.save())
        return cookie  # noqa: RET504

    async def save(self) -> bytes | None:
        """Save what was marked; ``commit`` does it to the end, whatever happens to who waits."""
        if self._action is Action.SIGN_IN and self.session is not None:
            return await self._save_sign_in(self.session)
        if self._action is Action.SIGN_OUT or self.loaded is None:
            return await self._save_sign_out()
        if self._action is Action.ROTATE or self._steps:
            return await self._save_change(self.loaded)
        return await self._save_touch(self.loaded)

    async def _load_unseen(self) -> None:
        await self.load()
        if self.loaded is None:
            raise NotAuthenticated

    def _notice_changes_in_place(self) -> None:
        """Add to the patch what changed, since the last time, inside a value of any session that was handed out."""
        codec = self.services.codec
        for place, (session, data) in enumerate(self._handed):
            noticed = codec.changed_in_place(session, data)
            if noticed:
                self._handed[place] = (session, codec.dump(session))
                self._steps.append(noticed)
            if self._action is Action.KEEP and not noticed.keys().isdisjoint(_PRIVILEGES):
                self._action = Action.ROTATE

    async def _save_sign_in(self, session: M) -> bytes:
        services = self.services
        data = self._stepped(services.codec.dump(session))
        record = self.services.lifetimes.begun(data, user_id_of(session), self._ttl)
        self._require_room(record)
        token = await services.backend.create(record, replaces=await self._there_was())
        return services.cookie.write(token, self.services.lifetimes.remaining(record), self.scope)

    async def _save_sign_out(self) -> bytes:
        there_was = await self._there_was()
        if there_was is not None:
            await self.services.backend.delete(there_was)
        return self.services.cookie.remove()

    async def _there_was(self) -> Loaded | None:
        """The session that the client came with: what was loaded, even if its id has moved on since."""
        if self._first is None and self.token is not None:
            self._first = await self.services.backend.load(self.token)
        return self._first

    async def _save_change(self, loaded: Loaded) -> bytes | None:
        backend, superseded = self.services.backend, loaded.superseded
        if self._action is Action.ROTATE:
            written = await backend.rotate(loaded, self._changed, grace=self.services.rotation_grace)
        else:
            written = await backend.update(loaded, self._changed)
        if written is None:
            logger.warning("A change came after its session had ended: dropped")
            return None if superseded else self.services.cookie.remove()
        if self._answered and self.services.revalidation is not None:
            self.services.revalidation.settle(loaded.key or (written.token or "").encode())
        return None if superseded else self._cookie(written.token, written.record)

    async def _save_touch(self, loaded: Loaded) -> bytes | None:
        record, now = loaded.record, self.services.lifetimes.clock()
        try:
            token = await self.services.backend.touch(
                loaded, last_seen_at=now, expires_at=self.services.lifetimes.extended(record, now)
            )
        except StoreUnavailable:  # logged where it happened; nobody was told that this was saved
            return None
        return self._cookie(token, record)

    def _cookie(self, token: str | None, record: SessionRecord) -> bytes | None:
        if token is None:
            return None
        return self.services.cookie.write(token, self.services.lifetimes.remaining(record), self.scope)

    def _stepped(self, data: bytes) -> bytes:
        codec = self.services.codec
        for step in self._steps:
            patch = codec.computed(data, step) if callable(step) else step
            data = codec.merged(data, patch)
        return data

    def _changed(self, record: SessionRecord) -> SessionRecord:
        data, now = self._stepped(record.data), self.services.lifetimes.clock()
        user_id = user_id_of(self.services.codec.load(data))
        changed = replace(
            record,
            data=data,
            user_id=user_id,
            last_seen_at=max(now, record.last_seen_at),  # another server's clock may be ahead
            expires_at=self.services.lifetimes.extended(record, now),
        )
        self._require_room(changed)
        return changed


async def _unbroken(work: Coroutine[Any, Any, bytes | None]) -> bytes | None:
    """Run it to the end although whoever waits is cancelled in asyncio's own way, of which anyio's shield knows nothing."""
    try:
        task = asyncio.get_running_loop().create_task(work)
    except RuntimeError:  # on trio there is no other way than anyio's
        return await work
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # said where it happened; nobody is left to hear it
        raise


def user_id_of(session: object) -> str | None:
    """Whose session it is, as text, where the model says so."""
    user_id = getattr(session, "user_id", None)
    return None if user_id is None else str(user_id)


def _privileges(session: object) -> tuple[object, ...]:
    return tuple(getattr(session, name, None) for name in _PRIVILEGES)
