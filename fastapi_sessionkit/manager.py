"""``kit.sessions``: the sessions of a user, seen and ended from outside the request that made them."""

import builtins
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Generic

from starlette.requests import HTTPConnection

from ._request.codec import M, Misfit, SessionCodec, is_storable
from ._request.envelope import opened
from ._request.lookup import request_session_of_kit
from ._request.request_session import SCOPE_KEY, RequestSession
from ._request.saving import SomebodyElses, announce_of_record, privileges_of, user_id_of
from ._request.services import Services
from .backends.base import Loaded, SessionDirectory, Written, checked_answer, directory_of
from .errors import ConfigurationError
from .events import EventName
from .stores.base import SessionRecord

logger: logging.Logger = logging.getLogger(__name__)

_HANDLE = re.compile("[0-9a-f]{64}")


def _can_be(user_id: object) -> bool:
    """Whether a user can have that id. What a client made up must not reach a store, where it may be an error."""
    if not isinstance(user_id, str):
        raise TypeError(f"kit.sessions takes a user_id as text, as str() gives it, not {user_id!r}")
    return is_storable(user_id)


@dataclass(frozen=True, slots=True)
class ActiveSession(Generic[M]):
    """One live session of a user; all times are aware, in UTC.

    Attributes:
        handle: names the session to ``revoke``. It is not the session's id and opens nothing; it changes when the
            session moves to a new id.
        session: the session itself, with whatever the application noted about the device.
        created_at: when it was signed in.
        last_seen_at: when it was last used, to a tenth of its idle lifetime.
        expires_at: when it ends if it is not used before.
        current: whether it is the session of the request that was given as ``current``.
    """

    handle: str
    session: M
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool


class SessionManager(Generic[M]):
    """Lists, changes and ends sessions. Works on server-side sessions only: a signed cookie can't be called back.

    Every method raises ``ConfigurationError`` with a stateless backend and ``StoreUnavailable`` when the store fails.
    """

    def __init__(self, services: Services[M]) -> None:
        self._services = services

    async def list(self, user_id: str, *, current: HTTPConnection | None = None) -> builtins.list[ActiveSession[M]]:
        """The live sessions of a user, oldest first.

        Args:
            user_id: whose sessions.
            current: the request whose own session shall be marked as such.
        """
        own = await self._current(current)
        return [
            self._active(loaded, session, is_current=own is not None and loaded.key == own.key)
            for loaded in await self._live(user_id)
            for session in self._fitting(loaded.record)
        ]

    async def revoke(self, handle: str, *, user_id: str | None = None) -> bool:
        """End one session at once. ``False`` when there is none of that handle, or not of that user.

        Args:
            handle: from ``list``.
            user_id: whose session it must be. Give it whenever the handle comes from a client.
        """
        directory = self._directory()
        # Whatever a client sends: what can't be a key of a store must not reach one, where it may be an error.
        if _HANDLE.fullmatch(handle) is None:
            return False
        record = await self._record_to_tell(handle, user_id)
        ended = checked_answer(await directory.end(handle, user_id=user_id), (bool,), "end")
        if ended:
            self._tell("revoked", record)
            await self._services.events.flush()
        return ended

    async def revoke_user(self, user_id: str, *, keep_current: HTTPConnection | None = None) -> int:
        """End every session of a user at once, but for the one of a request if given; says how many ended.

        The session of a request under an id that was moved away from ends too: somebody else may have moved it.
        """
        directory, own = self._directory(), await self._current(keep_current)
        key = None if own is None or own.superseded else own.key
        if not _can_be(user_id):
            return 0
        there = await _of_user(directory, user_id) if self._services.events.wants("revoked") else []
        ended = checked_answer(
            await directory.end_user(user_id, keep=() if key is None else (key,)), (int,), "end_user"
        )
        for loaded in there:
            if loaded.key != key:
                self._tell("revoked", loaded.record)
        await self._services.events.flush()  # a program that does nothing else may be over at once
        return ended

    async def _record_to_tell(self, handle: str, user_id: str | None) -> SessionRecord | None:
        """The session of a handle, where somebody wants to be told of its end, and it is said whose it is."""
        if user_id is None or not self._services.events.wants("revoked") or not _can_be(user_id):
            return None
        live = await _of_user(self._directory(), user_id)
        return next((loaded.record for loaded in live if loaded.key == handle), None)

    def _tell(self, name: EventName, record: SessionRecord | None) -> None:
        announce_of_record(self._services, name, None, record)

    async def update_user(self, user_id: str, /, **changes: Any) -> int:
        """Change fields in every session of a user at once; says in how many.

        It holds at the next request of each session, which moves to a new id where rights have changed. A bearer token
        stays the same.

        A session that does not fit the model can't be changed, so it ends: no right stays in it.

        Raises:
            pydantic.ValidationError: one of the sessions would not fit the model; nothing is changed.
            TypeError: a field would not be read back; nothing is changed.
        """
        self._directory()
        patch = _Patch(self._services.codec, user_id, changes)
        live = await self._live(user_id)
        for loaded in live:
            with suppress(Misfit):
                patch(loaded.record)
        changed = 0
        refused: Exception | None = None
        for loaded in live:
            try:
                changed += await self._changed(loaded, patch)
            except (ValueError, TypeError) as error:  # it changed meanwhile; that keeps no other one from its change
                refused = error
        await self._services.events.flush()
        if refused is not None:
            raise refused
        return changed

    async def _changed(self, loaded: Loaded, patch: "_Patch[M]") -> bool:
        try:
            written = checked_answer(await self._services.backend.update(loaded, patch), (Written, NoneType), "update")
        except SomebodyElses:  # signed in as another user meanwhile
            return False
        except Misfit as misfit:
            logger.warning("A session that does not fit the model (%s) can't be changed: ended", misfit)
            ended = await self._directory().end(loaded.key, user_id=loaded.record.user_id)
            if checked_answer(ended, (bool,), "end"):
                self._tell("revoked", loaded.record)
            return False
        if written is not None:
            self._tell("updated", written.record)
        return written is not None

    async def purge(self) -> int:
        """Drop what has expired from the store; says how many records that were. Safe to run at any time, anywhere."""
        return checked_answer(await self._directory().purge(), (int,), "purge")

    async def _live(self, user_id: str) -> builtins.list[Loaded]:
        directory, lifetimes = self._directory(), self._services.lifetimes
        found = await _of_user(directory, user_id) if _can_be(user_id) else []
        return [loaded for loaded in found if lifetimes.clock() < lifetimes.ends_at(loaded.record)]

    def _fitting(self, record: SessionRecord) -> Iterator[M]:
        with suppress(Misfit):
            yield self._services.codec.read(record.data)

    def _active(self, loaded: Loaded, session: M, *, is_current: bool) -> ActiveSession[M]:
        record = loaded.record
        times = (record.created_at, record.last_seen_at, record.expires_at)
        created, seen, expires = (datetime.fromtimestamp(time, UTC) for time in times)
        return ActiveSession(loaded.key, session, created, seen, expires, is_current)

    async def _current(self, connection: HTTPConnection | None) -> Loaded | None:
        """The session of a request, whose response depends on it from now on."""
        self._directory()
        if connection is None:
            return None
        own = request_session_of_kit(connection.scope.get(SCOPE_KEY), self._services.kit)
        own = own or RequestSession(self._services, connection.scope)
        return await own.look_up()

    def _directory(self) -> SessionDirectory:
        backend = self._services.backend
        directory = directory_of(backend)
        if directory is None:
            raise ConfigurationError(
                f"kit.sessions needs sessions that are kept on the server; {type(backend).__name__} keeps none, so it can "
                "neither list nor end them. Use SessionKit(backend=StoreBackend(store)), for example with SQLStore"
            )
        return directory


async def _of_user(directory: SessionDirectory, user_id: str) -> list[Loaded]:
    return checked_answer(await directory.of_user(user_id), (list,), "of_user")


class _Patch(Generic[M]):
    """Some fields of one user's session, laid over whatever is stored."""

    def __init__(self, codec: SessionCodec[M], user_id: str, changes: Mapping[str, Any]) -> None:
        self._codec = codec
        self._user_id = user_id
        self._changes = changes

    def __call__(self, record: SessionRecord) -> SessionRecord:
        if record.user_id != self._user_id:
            raise SomebodyElses
        data = self._codec.apply(record.data, lambda _: self._changes)
        before, after = self._codec.read(record.data), self._codec.read(data)
        envelope = opened(data)
        if privileges_of(before) != privileges_of(after) and not envelope.issued:
            switches = user_id_of(before) != user_id_of(after)
            data = envelope._replace(moves=True, switches=switches).data()
        return replace(record, data=data, user_id=user_id_of(after))
