"""What a request wants of its session, carried out; each function gives the response headers that the client needs."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from types import NoneType
from typing import Any, TypeVar

import anyio
from starlette.types import Scope

from ..access import origin_of
from ..backends.base import Loaded, Written, checked_answer
from ..errors import StoreUnavailable
from ..events import EventName
from ..stores.base import SessionRecord
from ..transport import Headers
from .changes import Action, Changes, OldSession
from .codec import M, Misfit
from .envelope import opened
from .services import OldSessions, Services

logger: logging.Logger = logging.getLogger(__name__)

T = TypeVar("T")

_WRITTEN = (Written, NoneType)
_HARDLY_ANY = sys.float_info.min
"""Seconds of a grace that no clock tells from none. None at all says more: nobody else keeps the session."""

ISSUED = "fastapi_sessionkit.issued"
"""Where the scope says which token the response carries."""


class SomebodyElses(Exception):
    """The session belongs to another user by now."""


class MustMove(Exception):
    """The change is one of rights, so the session moves to a new id."""


async def save_sign_in(
    services: Services[M], session: M, changes: Changes, replaces: Loaded | None, scope: Scope
) -> Headers:
    """Begin a session, and end the one that it replaces."""
    data = _apply_patches(
        services, changes, services.codec.noted(services.codec.dump(session), transient=changes.transient)
    )
    record = new_record(services, data, user_id_of(session), changes)
    require_room(services, record)
    token = checked_answer(await services.backend.create(record, replaces=replaces), (str,), "create")
    given = _write(services, token, record, scope)
    name: EventName = "updated" if services.anonymous else "signed_in"
    services.events.announce(name, scope, record.user_id, record.created_at)
    return given


async def save_takeover(
    services: Services[M], session: M, changes: Changes, scope: Scope, *, old: OldSession, sessions: OldSessions
) -> Headers:
    """Begin a session that comes from another library's, and remove its cookie; once, whoever else does it at the same time."""
    data = _apply_patches(services, changes, services.codec.noted(services.codec.dump(session)))
    record = new_record(services, data, user_id_of(session), changes)
    require_room(services, record)
    token = await sessions.takeover.begin(old.value, record, grace=services.rotation_grace)
    if token is not None:
        services.events.announce(
            "signed_in", scope, record.user_id, record.created_at, "taken over from another library"
        )
        return [*_write(services, token, record, scope), *sessions.cookie.remove()]
    found = await sessions.takeover.session_of(
        old.value
    )  # another request was quicker, and its response has the cookie
    if not isinstance(found, Loaded):
        return []
    if not changes.patches:
        return []
    return await save_changes(services, found, Changes(patches=changes.patches), scope, may_move=False)


def new_record(services: Services[Any], data: bytes, user_id: str | None, changes: Changes) -> SessionRecord:
    """The record of a session that begins. Of one that comes from another library nobody knows when its user signed in."""
    record = services.lifetimes.new_record(data, user_id, changes.ttl)
    if changes.takes_over is None:
        return record
    began_at = changes.takes_over.began_at
    created_at = record.created_at if began_at is None else began_at
    return replace(
        record,
        created_at=created_at,
        authenticated_at=record.authenticated_at if changes.reauthenticates else 0.0,
        expires_at=min(record.expires_at, created_at + services.lifetimes.absolute),
    )


async def save_sign_out(services: Services[Any], ended: Loaded | None, *, came: bool) -> Headers:
    """End a session; what did not come with the request is not removed, for another site may have sent it."""
    if ended is not None:
        delete: Callable[[Loaded], Awaitable[object]] = services.backend.delete
        checked_answer(await delete(ended), (NoneType,), "delete")
    return services.transport.remove() if came else []


async def save_changes(
    services: Services[M], loaded: Loaded, changes: Changes, scope: Scope, *, may_move: bool
) -> Headers:
    """Lay patches over what is stored by then; to a new id if that was marked, and the response can carry it.

    An issued token never moves: nobody can plant one, so there is nothing to fix.
    """
    change = _Change(services, loaded, changes, may_move=may_move and not services.transport.issued)
    try:
        written = await _carried_out(services, loaded, change)
    except SomebodyElses:
        logger.warning("A change came after its session had become another user's: dropped")
        return []
    except Misfit as misfit:
        logger.error("A session could not be changed, for it no longer fits the model (%s)", misfit)  # noqa: TRY400
        raise StoreUnavailable from misfit
    if written is None:
        logger.warning("A change came after its session had ended: dropped")
        return [] if loaded.superseded else services.transport.remove()
    if changes.answer is not None and services.revalidation is not None:
        services.revalidation.settle(loaded.key or (written.token or "").encode())
    moved = written.token is not None and change.moves
    record = written.record
    if moved:
        services.events.announce("rotated", scope, record.user_id, record.created_at)
    if changes.all_patches:
        services.events.announce("updated", scope, record.user_id, record.created_at)
    if written.token is None or (loaded.superseded and not change.ends_others):
        return []
    return _write(services, written.token, record, scope)


async def _carried_out(services: Services[M], loaded: Loaded, change: "_Change") -> Written | None:
    """Carry a change out; to a new id where it was marked, or where it turns out to change rights of what is stored."""
    backend = services.backend
    if not change.moves:
        try:
            return checked_answer(await backend.update(loaded, change), _WRITTEN, "update")
        except MustMove:
            change.moves = True
    try:
        return checked_answer(await backend.rotate(loaded, change, grace=change.grace), _WRITTEN, "rotate")
    except MustMove:  # it is another user's only now
        return checked_answer(await backend.rotate(loaded, change, grace=0.0), _WRITTEN, "rotate")


async def save_touch(services: Services[Any], loaded: Loaded, scope: Scope) -> Headers:
    """Note that a session was used. Where that fails it keeps nobody out, for nobody was told that it was saved."""
    now = services.lifetimes.clock()
    expires_at = services.lifetimes.extended(loaded.record, now)
    try:
        given = await services.backend.touch(loaded, last_seen_at=now, expires_at=expires_at)
        token = checked_answer(given, (str, NoneType), "touch")
    except StoreUnavailable as error:  # logged where it happened
        announce_failure(services, scope, error)
        return []
    except Exception as error:  # noqa: BLE001 - a mistake in the backend
        logger.error("Session store failed: touch raised: %s", origin_of(error))  # noqa: TRY400
        return []
    return [] if token is None else _write(services, token, loaded.record, scope)


def announce_failure(services: Services[Any], scope: Scope | None, error: StoreUnavailable) -> None:
    """Tell that a store failed, and by what kind of error."""
    cause = error.__cause__
    services.events.announce("store_error", scope, reason=None if cause is None else type(cause).__name__)


def announce_of_record(
    services: Services[Any],
    name: EventName,
    scope: Scope | None,
    record: SessionRecord | None,
    reason: str | None = None,
) -> None:
    """Tell of a session as it is stored."""
    if not services.events.wants(name):
        return
    if record is None:
        services.events.announce(name, scope, reason=reason)
        return
    user_id = record.user_id
    if user_id is None:  # a signed cookie has it in its data only
        with suppress(Misfit):
            user_id = user_id_of(services.codec.read(record.data))
    services.events.announce(name, scope, user_id, record.created_at, reason)


def require_room(services: Services[Any], record: SessionRecord) -> None:
    """``SessionTooLarge`` for a record that its token can't hold."""
    overflow = services.backend.overflow(record)
    if overflow > 0:
        raise services.transport.too_large(overflow, services.codec.sizes(record.data))


class _Change:
    """What a request's patches make of the record that is stored by then.

    Attributes:
        moves: whether it is carried out under a new id.
        renews: whether the user has proved again who they are. Without a new id it does not: that would make the old
            one fresh.
        switches: whether it makes another user's session of it.
    """

    def __init__(self, services: Services[Any], loaded: Loaded, changes: Changes, *, may_move: bool) -> None:
        self._services = services
        self._loaded = loaded
        self._changes = changes
        self._may_move = may_move
        self.moves: bool = may_move and changes.action is Action.ROTATE
        self.renews: bool = self.moves and changes.reauthenticates
        self.switches: bool = changes.switches_user

    @property
    def ends_others(self) -> bool:
        """Whether only the client of this request goes on: no other id has a grace, nor one that the session has moved to."""
        return self.renews or self.switches

    @property
    def grace(self) -> float:
        """For how many seconds the old id still serves."""
        if self.ends_others:
            return 0.0
        return (0.0 if self._changes.switched else self._services.rotation_grace) or _HARDLY_ANY

    def __call__(self, record: SessionRecord) -> SessionRecord:
        if record.user_id != self._loaded.record.user_id:
            raise SomebodyElses
        services, now = self._services, self._services.lifetimes.clock()
        data = _apply_patches(services, self._changes, record.data)
        before, after = services.codec.read(record.data), services.codec.read(data)
        if self._may_move:
            self._require_move(before, after)
        if self.moves:
            data = opened(data)._replace(moves=False, switches=False).data()  # what was noted to be done is done
        changed = replace(
            record,
            data=data,
            user_id=user_id_of(after),
            authenticated_at=now if self.renews else record.authenticated_at,
            last_seen_at=max(now, record.last_seen_at),  # another server's clock may be ahead
            expires_at=services.lifetimes.extended(record, now),
        )
        require_room(services, changed)
        return changed

    def _require_move(self, before: object, after: object) -> None:
        """Raise ``MustMove`` where rights change and this is not the way to change them."""
        switches = user_id_of(before) != user_id_of(after)
        if (switches and not self.switches) or (not self.moves and privileges_of(before) != privileges_of(after)):
            self.switches = self.switches or switches
            raise MustMove


def _apply_patches(services: Services[Any], changes: Changes, data: bytes) -> bytes:
    for patch in changes.all_patches:
        data = services.codec.apply(data, patch)
    return data


def _write(services: Services[Any], token: str, record: SessionRecord, scope: Scope) -> Headers:
    scope[ISSUED] = token.encode()
    max_age = None if opened(record.data).transient else services.lifetimes.remaining(record)
    services.reader.expect(token.encode(), record)
    return services.transport.write(token, max_age, scope)


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end, whatever happens to whoever waits for it.

    anyio's shield knows nothing of asyncio's own cancellation (``asyncio.timeout``, a server that shuts down), so on
    asyncio the work is a task of its own.
    """
    result: list[T] = []  # for those who take a CancelScope for something that swallows exceptions
    with anyio.CancelScope(shield=True):
        result.append(await _in_a_task(work))
    return result[0]


async def _in_a_task(work: Coroutine[Any, Any, T]) -> T:
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


PRIVILEGES = ("user_id", "role", "roles", "permissions")


def privileges_of(session: object) -> tuple[object, ...]:
    """What a session lets its user do: with a change of it a session moves to a new id (OWASP, session fixation)."""
    return tuple(getattr(session, name, None) for name in PRIVILEGES)


def user_id_of(session: object) -> str | None:
    """Whose session it is, as text, where the model says so."""
    user_id = getattr(session, "user_id", None)
    return None if user_id is None else str(user_id)
