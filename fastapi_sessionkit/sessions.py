"""``kit.sessions``: the sessions of a user, seen and ended from outside the request that made them."""

import builtins
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic

from pydantic import ValidationError
from starlette.requests import HTTPConnection

from fastapi_sessionkit._codec import M
from fastapi_sessionkit._handle import Services, user_id_of
from fastapi_sessionkit.backends import Loaded, StoreBackend
from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.base import SessionRecord

_HANDLE = re.compile("[0-9a-f]{64}")


class _SomebodyElses(Exception):
    """The session belongs to another user by now."""


def _can_be(user_id: object) -> bool:
    """Whether a user can have that id. What a client made up must not reach a store, where it may be an error."""
    if not isinstance(user_id, str):
        raise TypeError(f"kit.sessions takes a user_id as text, as str() gives it, not {user_id!r}")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in user_id


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
        key = await self._key(current)
        return [
            self._active(loaded, session, is_current=loaded.key == key)
            for loaded, session in await self._sessions(user_id)
        ]

    async def revoke(self, handle: str, *, user_id: str | None = None) -> bool:
        """End one session at once. ``False`` when there is none of that handle, or not of that user.

        Args:
            handle: from ``list``.
            user_id: whose session it must be. Give it whenever the handle comes from a client.
        """
        backend = self._backend()
        # Whatever a client sends: what can't be a key of a store must not reach one, where it may be an error.
        return _HANDLE.fullmatch(handle) is not None and await backend.end(handle, user_id=user_id)

    async def revoke_user(self, user_id: str, *, keep_current: HTTPConnection | None = None) -> int:
        """End every session of a user at once, but for the one of a request if given; says how many ended."""
        backend, key = self._backend(), await self._key(keep_current)
        return await backend.end_user(user_id, keep=() if key is None else (key,)) if _can_be(user_id) else 0

    async def update_user(self, user_id: str, /, **changes: Any) -> int:
        """Change fields in every session of a user at once; says in how many.

        Raises:
            pydantic.ValidationError: one of the sessions would not fit the model; nothing is changed.
        """
        backend, codec = self._backend(), self._services.codec
        found = await self._sessions(user_id)
        for _, session in found:
            codec.patched(session, changes)

        def change(record: SessionRecord) -> SessionRecord:
            if record.user_id != user_id:
                raise _SomebodyElses
            session = codec.patched(codec.load(record.data), changes)
            return replace(record, data=codec.dump(session), user_id=user_id_of(session))

        changed = 0
        for loaded, _ in found:
            with suppress(_SomebodyElses):  # signed in as another user meanwhile
                changed += await backend.update(loaded, change) is not None
        return changed

    async def purge(self) -> int:
        """Drop what has expired from the store; says how many records that were. Safe to run at any time, anywhere."""
        return await self._backend().purge()

    async def _sessions(self, user_id: str) -> builtins.list[tuple[Loaded, M]]:
        """The live sessions that fit the model."""
        backend = self._backend()
        found = await backend.of_user(user_id) if _can_be(user_id) else []
        live = [loaded for loaded in found if self._lives(loaded.record)]
        return [(loaded, session) for loaded in live for session in self._fitting(loaded.record)]

    def _lives(self, record: SessionRecord) -> bool:
        return self._services.lifetimes.clock() < self._services.lifetimes.ends_at(record)

    def _fitting(self, record: SessionRecord) -> Iterator[M]:
        try:
            yield self._services.codec.load(record.data)
        except ValidationError:
            return

    def _active(self, loaded: Loaded, session: M, *, is_current: bool) -> ActiveSession[M]:
        record = loaded.record
        times = (record.created_at, record.last_seen_at, record.expires_at)
        created, seen, expires = (datetime.fromtimestamp(time, UTC) for time in times)
        return ActiveSession(loaded.key, session, created, seen, expires, is_current)

    async def _key(self, connection: HTTPConnection | None) -> str | None:
        backend = self._backend()
        if connection is None:
            return None
        token = self._services.cookie.read(connection.scope)
        loaded = None if token is None else await backend.load(token)
        return None if loaded is None else loaded.key

    def _backend(self) -> StoreBackend:
        backend = self._services.backend
        if isinstance(backend, StoreBackend):
            return backend
        msg = (
            f"kit.sessions needs sessions that are kept on the server; {type(backend).__name__} keeps none, so it can "
            "neither list nor end them. Use SessionKit(backend=StoreBackend(store)), for example with SQLStore"
        )
        raise ConfigurationError(msg)
