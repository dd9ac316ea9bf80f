"""``CookieBackend``: the token is the record itself, signed or encrypted."""

import logging
import math
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache

from itsdangerous import BadData, BadSignature
from pydantic import SecretStr
from starlette.datastructures import Secret

from .._settings import CLOCK_SKEW, Duration, require_bool
from ..errors import ConfigurationError
from ..reasons import Reason
from ..stores.base import SessionRecord
from .base import BackendContext, Change, Loaded, Written, refuse_second_kit, require_kit
from .keys import decode, encode, is_signed
from .takeover import StarletteCookies, Takeover, Vouch

logger: logging.Logger = logging.getLogger(__name__)

_SEAL = 12 + 16  # bytes of AES-GCM's nonce and tag
_HEAD = struct.Struct(">4dI")
_END_OF_TIME = 253_370_764_800.0
"""The first second of the year 9999: datetimes can hold no more."""
_QUIET = 60.0
"""Seconds between two warnings of clocks that disagree."""
_REMEMBERED = 1_024  # verified tokens, each at most a cookie long


class CookieBackend:
    """The cookie is the session: signed, stateless, nothing to run.

    What it can't do, because nothing is kept on the server: end a session before it expires (a copied cookie works
    after sign-out), list or revoke sessions, or merge changes of two requests at once (the last cookie wins). For
    these use ``StoreBackend``.

    The client can read the content unless ``encrypt`` is true: AES-256-GCM, needs the extra ``encryption``.

    Args:
        encrypt: whether the content is encrypted.
        accept_starlette: takes over sessions of Starlette's ``SessionMiddleware``: the key that it signs with, and a
            function, async or not, that gets the data it kept (a ``dict``) and gives the session, or ``None``. The session
            moves to the kit's own cookie, and the old one is removed. Nothing is kept on the server, so a copy of the old
            cookie serves until ``old_max_age``: take the setting out when that is over.
        old_cookie: what ``SessionMiddleware`` calls its cookie.
        old_max_age: how long ago it may have signed it: its ``max_age``.
    """

    def __init__(
        self,
        *,
        encrypt: bool = False,
        accept_starlette: tuple[str | SecretStr | Secret, Vouch] | None = None,
        old_cookie: str = "session",
        old_max_age: Duration = timedelta(days=14),
    ) -> None:
        require_bool(encrypt, "CookieBackend(encrypt=...)")
        self._starlette = (
            None if accept_starlette is None else StarletteCookies(accept_starlette, old_cookie, old_max_age)
        )
        self._encrypt = encrypt
        self._context: BackendContext | None = None
        self._warned_at = -math.inf

    def bind(self, context: BackendContext) -> None:
        """Take the kit's keys."""
        refuse_second_kit(self, self._context)
        self._seal, unseal = _encryption(context) if self._encrypt else _signing(context)
        self._context, self._clock = context, context.clock
        if self._starlette is not None:
            self._starlette.bind(self._clock, self._token)
        self._unsealed = lru_cache(maxsize=_REMEMBERED)(lambda token: Loaded(_unpack(unseal(token))))

    def takeover(self) -> Takeover | None:
        """What takes over the sessions of Starlette's middleware."""
        return self._starlette

    def overflow(self, record: SessionRecord) -> int:
        """The bytes over the token's limit."""
        context = require_kit(self._context)
        return len(self._token(record)) - context.token_limit

    async def load(self, token: bytes) -> Loaded | None:
        """The record in the token, when it is authentic and alive."""
        try:
            loaded = self._unsealed(token)
        except (BadData, ValueError, struct.error):
            return None
        now, record = self._clock(), loaded.record
        if record.last_seen_at > now + CLOCK_SKEW:
            self._warn_of_clocks(record.last_seen_at - now, now)
            return None
        return loaded if now < record.expires_at else None

    def absence(self, token: bytes) -> Reason:
        """Why a token leads to nobody: it says so itself."""
        try:
            record = self._unsealed(token).record
        except BadSignature:
            return "bad_signature" if self._encrypt or is_signed(token) else "malformed"
        except (BadData, ValueError, struct.error):
            return "malformed"
        return "clock_skew" if record.last_seen_at > self._clock() + CLOCK_SKEW else "expired"

    async def create(self, record: SessionRecord, *, replaces: Loaded | None = None) -> str:  # noqa: ARG002
        """The record as a token."""
        return self._token(record)

    async def update(self, loaded: Loaded, change: Change) -> Written | None:
        """The changed record as a token."""
        record = change(loaded.record)
        return Written(record, self._token(record))

    async def rotate(self, loaded: Loaded, change: Change, *, grace: float) -> Written | None:  # noqa: ARG002
        """The changed record as a token; the old one stays valid until it expires."""
        return await self.update(loaded, change)

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:
        """The record with its new times as a token."""
        return self._token(replace(loaded.record, last_seen_at=last_seen_at, expires_at=expires_at))

    async def delete(self, loaded: Loaded) -> None:
        """Nothing is kept, so there is nothing to end."""

    async def aclose(self) -> None:
        """Nothing is open."""

    def _warn_of_clocks(self, ahead: float, now: float) -> None:
        """Say that another server's clock is ahead of this one, once in a while."""
        if abs(now - self._warned_at) >= _QUIET:
            self._warned_at = now
            logger.warning(
                "A signed session was refused, because its last use lies %.0f seconds ahead of this server's clock. The clocks of "
                "all servers that sign sessions must agree to %g seconds: synchronise them (NTP)",
                ahead,
                CLOCK_SKEW,
            )

    def _token(self, record: SessionRecord) -> str:
        return self._seal(_pack(record))


def _pack(record: SessionRecord) -> bytes:
    """The times, the version, then the data."""
    times = record.created_at, record.authenticated_at, record.last_seen_at, record.expires_at
    return _HEAD.pack(*times, record.version) + record.data


def _unpack(payload: bytes) -> SessionRecord:
    """The record again; raises ``struct.error`` for what is too short to be one, ``ValueError`` for times that are none.

    No session is used before it began, nor before its user signed in. One that begins in the year 9998 would never end: while a
    secret that leaked is on its way out, its holder could have it signed with the next one.
    """
    created, authenticated, seen, expires, version = _HEAD.unpack_from(payload)
    if not (0 <= created <= seen < _END_OF_TIME and 0 <= authenticated <= seen and 0 <= expires < _END_OF_TIME):
        raise ValueError("No clock says this")  # all comparisons with NaN are false
    return SessionRecord(payload[_HEAD.size :], None, version, created, authenticated, seen, expires)


_Seal = Callable[[bytes], str]
_Unseal = Callable[[bytes], bytes]


def _signing(context: BackendContext) -> tuple[_Seal, _Unseal]:
    signer = context.signer("session")
    return (
        lambda payload: signer.sign(encode(payload)).decode(),
        lambda token: decode(signer.unsign(token)),
    )


def _encryption(context: BackendContext) -> tuple[_Seal, _Unseal]:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ConfigurationError(
            "CookieBackend(encrypt=True) needs the extra: pip install 'fastapi-sessionkit[encryption]'"
        ) from error
    salt = context.salt.encode()
    signer = context.signer("encrypted-session")
    ciphers = [AESGCM(signer.derive_key(key)) for key in context.secret_keys]

    def seal(payload: bytes) -> str:
        nonce = os.urandom(12)
        return encode(nonce + ciphers[0].encrypt(nonce, payload, salt)).decode()

    def unseal(token: bytes) -> bytes:
        sealed = decode(token)
        if encode(sealed) != token or len(sealed) < _SEAL:
            raise BadData("A token has one spelling only, and room for its seal")
        for cipher in ciphers:
            try:
                return cipher.decrypt(sealed[:12], sealed[12:], salt)
            except InvalidTag:
                continue
        raise BadSignature("No key opens this token")

    return seal, unseal
