"""The secrets of a kit, as its backend uses them: keys for a purpose, ids, and the sealing of records into tokens."""

import binascii
import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from itsdangerous import BadData, BadSignature, Signer, want_bytes

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.base import SessionRecord

_HEAD = struct.Struct(">4dI")
_URL_SAFE, _STANDARD = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class BackendContext:
    """What a kit gives to its backend.

    Attributes:
        secret_keys: the first signs, all verify.
        salt: names the kit and the cookie, so that no token passes for another's.
        clock: Unix seconds.
        new_id: makes an id of 43 URL-safe characters, 256 random bits.
        cookie_size: bytes that a token takes as a cookie, name included.
        cookie_limit: bytes that a cookie may take.
        max_sessions_per_user: how many sessions a user may have; ``None``: any number.
    """

    secret_keys: tuple[str, ...]
    salt: str
    clock: Callable[[], float]
    new_id: Callable[[], str]
    cookie_size: Callable[[str], int]
    cookie_limit: int
    max_sessions_per_user: int | None = None

    def signer(self, purpose: str) -> Signer:
        """HMAC-SHA256 under a key derived for this purpose."""
        newest_last = self.secret_keys[::-1]
        return _Signer(newest_last, f"{self.salt}.{purpose}")


class _Signer(Signer):
    """The signer of itsdangerous, except that it takes in its keys once, and not anew for every signature."""

    def __init__(self, secret_keys: Iterable[str], salt: str) -> None:
        super().__init__(secret_keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        keys = map(self.derive_key, reversed(self.secret_keys))
        self._keyed = [hmac.new(key, digestmod=hashlib.sha256) for key in keys]

    def get_signature(self, value: str | bytes) -> bytes:
        return _signature(self._keyed[0], want_bytes(value))

    def unsign(self, signed_value: str | bytes) -> bytes:
        """What was signed. The signature is compared as text, so that a token has one spelling only."""
        value, _, signature = want_bytes(signed_value).rpartition(self.sep)
        if any(hmac.compare_digest(_signature(keyed, value), signature) for keyed in self._keyed):
            return value
        msg = "The signature does not match"
        raise BadSignature(msg)


def _signature(keyed: hmac.HMAC, value: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(value)
    return _encoded(mac.digest())


def _encoded(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return binascii.a2b_base64(text.translate(_STANDARD) + b"==")


def new_session_id() -> str:
    """256 random bits as 43 URL-safe characters (OWASP Session Management asks for 64 bits of entropy at least)."""
    return secrets.token_urlsafe(32)


def packed(record: SessionRecord) -> bytes:
    """The times, the version, then the data."""
    times = record.created_at, record.authenticated_at, record.last_seen_at, record.expires_at
    return _HEAD.pack(*times, record.version) + record.data


def unpacked(payload: bytes) -> SessionRecord:
    """The record again; raises ``struct.error`` for what is too short to be one."""
    created_at, authenticated_at, last_seen_at, expires_at, version = _HEAD.unpack_from(payload)
    return SessionRecord(payload[_HEAD.size :], None, version, created_at, authenticated_at, last_seen_at, expires_at)


Seal = Callable[[bytes], str]
Unseal = Callable[[bytes], bytes]


def signing(context: BackendContext) -> tuple[Seal, Unseal]:
    signer = context.signer("session")
    return (
        lambda payload: signer.sign(_encoded(payload)).decode(),
        lambda token: _decoded(signer.unsign(token)),
    )


def encryption(context: BackendContext) -> tuple[Seal, Unseal]:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        msg = "CookieBackend(encrypt=True) needs the extra: pip install 'fastapi-sessionkit[encryption]'"
        raise ConfigurationError(msg) from error
    salt = context.salt.encode()
    signer = context.signer("encrypted-session")
    ciphers = [AESGCM(signer.derive_key(key)) for key in context.secret_keys]

    def seal(payload: bytes) -> str:
        nonce = os.urandom(12)
        return _encoded(nonce + ciphers[0].encrypt(nonce, payload, salt)).decode()

    def unseal(token: bytes) -> bytes:
        sealed = _decoded(token)
        if _encoded(sealed) != token:
            msg = "A token has one spelling only"
            raise BadData(msg)
        for cipher in ciphers:
            try:
                return cipher.decrypt(sealed[:12], sealed[12:], salt)
            except InvalidTag:
                continue
        msg = "No key opens this token"
        raise BadData(msg)

    return seal, unseal
