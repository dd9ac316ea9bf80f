"""What a backend implements: ``SessionBackend``, and ``SessionDirectory`` where sessions can be listed and ended."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, TypeVar, cast, get_args, runtime_checkable

from itsdangerous import Signer

from .._settings import CLOCK_SKEW as CLOCK_SKEW  # noqa: PLC0414 - whoever implements a backend finds it here
from .._settings import offers
from ..errors import ConfigurationError, StoreUnavailable
from ..reasons import Reason
from ..stores.base import SessionFeed, SessionRecord
from ..transport import Transport
from .keys import KeyedSigner

logger: logging.Logger = logging.getLogger(__name__)

T = TypeVar("T")

Change = Callable[[SessionRecord], SessionRecord]
"""Gives the record that shall stand instead. May be called again, on what is there by then. What it raises is passed on."""


def _no_model(session: Any) -> NoReturn:  # noqa: ARG001
    raise ConfigurationError("This BackendContext has no model: a SessionKit gives one that has")


def _untold(record: SessionRecord) -> None:
    """A context that no kit has made tells nobody."""


@dataclass(frozen=True, slots=True)
class BackendContext:
    """What a kit gives to its backend. Its ``repr`` shows no secret.

    Attributes:
        secret_keys: the first signs, all verify.
        salt: names the kit and the cookie, so that no token passes for another's.
        clock: Unix seconds.
        new_id: makes an id of 43 URL-safe characters, 256 random bits.
        token_limit: bytes that a token may take.
        max_sessions_per_user: how many sessions a user may have; ``None``: any number.
        data_of: the data of a record for a session that the backend has made itself. ``TypeError`` or
            ``pydantic.ValidationError`` where it is none of the kit's model, or would not be read back.
        evicted: to be called with the record of a session that ``max_sessions_per_user`` has ended: the event ``revoked``.
    """

    secret_keys: tuple[str, ...] = field(repr=False)
    salt: str
    clock: Callable[[], float]
    new_id: Callable[[], str]
    token_limit: int
    max_sessions_per_user: int | None = None
    data_of: Callable[[Any], bytes] = _no_model
    evicted: Callable[[SessionRecord], None] = _untold

    def signer(self, purpose: str) -> Signer:
        """HMAC-SHA256 under a key derived for this purpose."""
        newest_last = self.secret_keys[::-1]
        return KeyedSigner(newest_last, f"{self.salt}.{purpose}")


@dataclass(slots=True)
class Loaded:
    """What a token led to. Made on each request, so it is not frozen: that costs three times as much.

    Attributes:
        record: the live record.
        key: where the backend keeps it, which opens nothing and is the handle that ``kit.sessions`` gives: 64 lower-case
            hexadecimal digits; empty where the token is the record.
        superseded: the token was rotated away and is in its grace: its bearer is served, and gets no new token.
        before: the session's data when the token was rotated away: the token keeps no more than the roles and permissions
            in it. ``None`` where it was not.
        authenticated_before: when the user had last proved who they are by then (Unix seconds): the token gets no fresher.
            ``None`` where it was not rotated away.
    """

    record: SessionRecord
    key: str = ""
    superseded: bool = False
    before: bytes | None = field(default=None, repr=False)
    authenticated_before: float | None = None

    @property
    def authenticated_at(self) -> float:
        """When the user last proved who they are, as far as this token goes; Unix seconds."""
        now, before = self.record.authenticated_at, self.authenticated_before
        return now if before is None else min(now, before)


@dataclass(frozen=True, slots=True)
class Written:
    """What was saved, and the token that the client must have from now on; ``None``: the one it has.

    Its ``repr`` shows no token.
    """

    record: SessionRecord
    token: str | None = field(default=None, repr=False)


@runtime_checkable
class SessionBackend(Protocol):
    """Turns the client's token into a record and back. One instance belongs to one kit.

    Tokens come as raw bytes from the client: anything may be in them. A token that is unknown, expired, tampered with
    or made up is an answer, ``None``; never adopted, never an error. ``StoreUnavailable`` is raised only when the
    world is broken.

    A backend that wraps another passes every call on, and offers the methods of ``SessionDirectory`` and
    ``SessionExplainer`` where the other does. Prove an implementation with ``fastapi_sessionkit.testing.SessionBackendContract``.
    """

    def bind(self, context: BackendContext) -> None:
        """Called once by the kit, before anything else. ``ConfigurationError`` when bound already."""
        ...

    def overflow(self, record: SessionRecord) -> int:
        """How many bytes over the limit a record would be; at most zero when it can be kept. Writes nothing."""
        ...

    async def load(self, token: bytes) -> Loaded | None:
        """The live record behind a token.

        The kit holds the record's lifetimes against its clock on every request, so what is expired does no harm.
        """
        ...

    async def create(self, record: SessionRecord, *, replaces: Loaded | None = None) -> str:
        """Keep a new record under a new token, end the session that it replaces, and give the token.

        A token is of letters, digits and ``-._~+/``, perhaps with ``=`` at its end: what every header takes.
        """
        ...

    async def update(self, loaded: Loaded, change: Change) -> Written | None:
        """Change a record where it is. ``None`` when it is gone: nothing is written, it never comes back."""
        ...

    async def rotate(self, loaded: Loaded, change: Change, *, grace: float) -> Written | None:
        """Change a record and move it to a new token; the old one still serves for ``grace`` seconds.

        A session that has moved before, by this token or meanwhile, is changed where it is and gives no token. With
        ``grace=0`` it moves again, and no token serves but the new one: who has the others may be a thief.
        """
        ...

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
        """Note that the session was used; gives the token to send where the token carries the time."""
        ...

    async def delete(self, loaded: Loaded) -> None:
        """End a session, wherever it has moved to meanwhile."""
        ...

    async def aclose(self) -> None:
        """Let go of connections; a later call opens them again."""
        ...


@runtime_checkable
class SessionDirectory(Protocol):
    """What a backend offers besides, when its sessions are kept where they can be found: listing and ending them.

    ``kit.sessions``, ``max_sessions_per_user`` and the purge need it. They ask for these methods, never for a class, so
    a wrapper that passes them on keeps every ability. Each raises ``StoreUnavailable`` when the world is broken.
    """

    async def of_user(self, user_id: str) -> list[Loaded]:
        """The live sessions of a user, oldest first."""
        ...

    async def end(self, key: str, *, user_id: str | None = None) -> bool:
        """End the session of a key, wherever it has moved to; ``False`` when there is none, or not of that user."""
        ...

    async def end_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """End every session of a user but those of the keys in ``keep``; says how many ended."""
        ...

    async def purge(self) -> int:
        """Drop what has expired; says how many records that were."""
        ...


@runtime_checkable
class SessionExplainer(Protocol):
    """What a backend offers besides, when it can tell why a token leads to nobody.

    ``session_reason`` and the debug log ask for it. Without it they say ``unknown_id``.
    """

    def absence(self, token: bytes) -> Reason:
        """Why ``load`` has just given ``None`` for a token. Waits for nothing, and asks no store."""
        ...


@runtime_checkable
class SessionsElsewhere(Protocol):
    """What a backend offers besides, when another service begins, changes and ends its sessions.

    The kit then has no cookie of its own: it reads what the backend says. Helpers that would change a session refuse.
    """

    def session_service(self) -> str:
        """Where sessions are begun, changed and ended; it is shown in errors."""
        ...

    def session_transports(self, header_limit: int) -> tuple[Transport, ...]:
        """What brings the service's tokens, one or two; ``issued``, for no response of this application changes them."""
        ...


def elsewhere_of(backend: object) -> SessionsElsewhere | None:
    """The backend, where another service keeps its sessions."""
    return cast("SessionsElsewhere", backend) if offers(backend, SessionsElsewhere) else None


def absence_of(backend: object, token: bytes) -> Reason:
    """Why a token leads to nobody, as near as the backend can say. That nobody is signed in stands, whatever it says."""
    if not offers(backend, SessionExplainer):
        return "unknown_id"
    try:
        reason: object = cast("SessionExplainer", backend).absence(token)
    except Exception as error:  # noqa: BLE001 - it is asked for the log's sake
        logger.error("%s.absence raised %s", type(backend).__name__, type(error).__name__)  # noqa: TRY400
        return "unknown_id"
    return cast("Reason", reason) if isinstance(reason, str) and reason in get_args(Reason) else "unknown_id"


def checked_answer(given: T, kinds: tuple[type, ...], method: str) -> T:
    """What a backend or a store answered; ``StoreUnavailable`` for what it never should.

    A coroutine that it forgot to await is true, and would count as done.
    """
    if not isinstance(given, kinds):
        logger.error("Session store failed: %s gave a %s", method, type(given).__name__)
        raise StoreUnavailable
    return given


def directory_of(backend: object) -> SessionDirectory | None:
    """The backend, where it can list and end sessions."""
    return cast("SessionDirectory", backend) if offers(backend, SessionDirectory) else None


def feed_of(backend: object) -> SessionFeed | None:
    """The backend, or the store, where it can tell of changes at once."""
    return cast("SessionFeed", backend) if offers(backend, SessionFeed) else None


def require_event_loop(backend: object) -> None:
    """``ConfigurationError`` where a backend, or its store, works on asyncio alone, and something else runs here.

    Which ones do says ``needs_asyncio``.
    """
    if not getattr(backend, "needs_asyncio", False):
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            f"{type(getattr(backend, 'store', backend)).__name__} needs asyncio, and the server runs another event loop: start "
            "the application with uvicorn, or with hypercorn's worker for asyncio or uvloop. On trio there are CookieBackend and "
            "MemoryStore"
        ) from None


def refuse_second_kit(backend: object, context: BackendContext | None) -> None:
    """``ConfigurationError`` where a backend is bound already."""
    if context is not None:
        raise ConfigurationError(
            f"This {type(backend).__name__} belongs to another SessionKit already: give each kit one of its own"
        )


def require_kit(context: BackendContext | None) -> BackendContext:
    """The context, or ``ConfigurationError`` where a backend has no kit yet."""
    if context is None:
        raise ConfigurationError("A backend works once it is given to a SessionKit: SessionKit(..., backend=backend)")
    return context
