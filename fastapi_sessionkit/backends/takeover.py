"""Taking over the sessions that another library has given out, so that nobody is signed out by switching."""

import json
import logging
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol, cast, runtime_checkable

from fastapi import HTTPException
from itsdangerous import BadData, TimestampSigner
from pydantic import SecretStr
from starlette.datastructures import Secret

from .._settings import CLOCK_SKEW, Duration, in_seconds, offers, require_text, takes
from ..errors import ConfigurationError, StoreUnavailable
from ..stores.base import SessionRecord
from .base import Loaded

logger: logging.Logger = logging.getLogger(__name__)

Vouch = Callable[[Any], Awaitable[Any] | Any]
"""A function of the application's that gives the session behind what another library gave out, or ``None``."""

_SHORTEST = 32


@dataclass(frozen=True, slots=True)
class Vouched:
    """A session that the application vouches for.

    Attributes:
        session: of the kit's model.
        began_at: when it was given out, in Unix seconds, where that is known: its absolute lifetime counts from there.
    """

    session: Any
    began_at: float | None = None


class Takeover(Protocol):
    """What leads from the old library's cookie to a session of the kit's, once.

    Attributes:
        cookie: the name of the old cookie.
    """

    cookie: str

    async def session_of(self, value: bytes) -> Vouched | Loaded | None:
        """What the old cookie stands for; what it has become where it was taken over a moment ago; ``None`` for nothing."""
        ...

    async def begin(self, value: bytes, record: SessionRecord, *, grace: float) -> str | None:
        """Keep the session, and give its token; ``None`` where another request was quicker, or signed out.

        The old cookie then still serves requests under way for ``grace`` seconds, as far as the backend can say.
        """
        ...

    async def end(self, value: bytes) -> None:
        """The old cookie leads nowhere any more, as far as the backend can say."""
        ...


@runtime_checkable
class SessionAdopter(Protocol):
    """What a backend offers besides, when it can take over another library's sessions."""

    def takeover(self) -> Takeover | None:
        """How; ``None`` where it was not asked to."""
        ...


def takeover_of(backend: object) -> Takeover | None:
    """What takes over another library's sessions, where the backend was asked to."""
    return cast("SessionAdopter", backend).takeover() if offers(backend, SessionAdopter) else None


def checked_vouch(vouch: Any, setting: str) -> Vouch:
    """The function, or ``ConfigurationError`` where it can't be called with one argument."""
    if not takes(vouch, 1):
        raise ConfigurationError(
            f"{setting} needs a function of one argument that gives a session or None, not {vouch!r}"
        )
    return cast("Vouch", vouch)


async def vouched(vouch: Vouch, given: Any) -> Any:
    """The application's answer. What does not fit it is nobody's; what it can't find out is an outage.

    Raises:
        StoreUnavailable: it failed with anything but a value that it does not understand.
    """
    try:
        answer = vouch(given)
        return await answer if isawaitable(answer) else answer
    except HTTPException:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # a ValidationError is a ValueError
        _log_failure("A session of another library was not taken over", vouch, error)
        return None
    except Exception as error:
        _log_failure("Nobody can say whose session it is", vouch, error)
        raise StoreUnavailable from error


def _log_failure(what: str, vouch: Vouch, error: Exception) -> None:
    """Log it without its text, which may hold values."""
    name = getattr(vouch, "__qualname__", type(vouch).__name__)
    logger.error("%s: %s raised %s", what, name, type(error).__name__)


class StarletteCookies:
    """The cookies that Starlette's ``SessionMiddleware`` has signed, as a ``Takeover`` without anything on the server.

    Args:
        accepted: the secret that it signed with, and the function of its data.
        cookie: its ``session_cookie``.
        max_age: its ``max_age``.
    """

    def __init__(self, accepted: object, cookie: object, max_age: Duration) -> None:
        if not isinstance(accepted, tuple) or len(accepted) != 2:
            raise ConfigurationError(
                "CookieBackend(accept_starlette=...) takes two things, the key that SessionMiddleware signs with and a function of "
                "what it kept: (OLD_KEY, session_of)"
            )
        key = _text_of(accepted[0])
        if len(key.strip()) < _SHORTEST:
            raise ConfigurationError(
                f"CookieBackend(accept_starlette=...) takes no key of fewer than {_SHORTEST} characters: who guesses it could sign "
                "in as anybody. Leave it out, and let people sign in again"
            )
        self.cookie: str = checked_cookie(cookie, "CookieBackend(old_cookie=...)")
        self._vouch = checked_vouch(accepted[1], "CookieBackend(accept_starlette=...)")
        self._max_age = in_seconds(max_age, "CookieBackend(old_max_age=...)")
        self._signer = TimestampSigner(key)
        self._clock: Callable[[], float]
        self._token: Callable[[SessionRecord], str]

    def bind(self, clock: Callable[[], float], token: Callable[[SessionRecord], str]) -> None:
        """Take the kit's clock, and what makes a token of a record."""
        self._clock, self._token = clock, token

    async def session_of(self, value: bytes) -> Vouched | Loaded | None:
        """What the function makes of the data that was signed, if that is not too long ago."""
        try:
            signed, when = self._signer.unsign(value, return_timestamp=True)
            data = json.loads(b64decode(signed))
        except (BadData, ValueError):
            return None
        signed_at = when.timestamp()
        if not isinstance(data, dict) or not -CLOCK_SKEW <= self._clock() - signed_at <= self._max_age:
            return None
        session = await vouched(self._vouch, data)
        return None if session is None else Vouched(session, min(signed_at, self._clock()))

    async def begin(self, value: bytes, record: SessionRecord, *, grace: float) -> str | None:  # noqa: ARG002
        """The record as a token."""
        return self._token(record)

    async def end(self, value: bytes) -> None:
        """Nothing is kept, so a copy serves until ``max_age``."""


def checked_cookie(name: object, setting: str) -> str:
    """The name of a cookie, or ``ConfigurationError``."""
    require_text(name, setting)
    if not isinstance(name, str) or not name or not name.isascii() or any(c in ' \t"(),/:;<=>?@[\\]{}' for c in name):
        raise ConfigurationError(f"{setting} is the name of the old library's cookie, not {name!r}")
    return name


def _text_of(key: object) -> str:
    if isinstance(key, SecretStr):
        return key.get_secret_value()
    if isinstance(key, str | Secret):
        return str(key)
    raise ConfigurationError(
        f"CookieBackend(accept_starlette=...) takes the key as a string, not a {type(key).__name__}"
    )
