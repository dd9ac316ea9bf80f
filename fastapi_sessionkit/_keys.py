"""The secrets of a kit, as its backend uses them: keys for a purpose, ids, and the sealing of records into tokens."""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import SigningAlgorithm

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.base import SessionRecord


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


class _HMACSHA256(SigningAlgorithm):
    """The algorithm of itsdangerous, except that it takes in each key once: that is half of the work."""

    def __init__(self) -> None:
        self._keyed = cache(lambda key: hmac.new(key, digestmod=hashlib.sha256))

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        mac = self._keyed(key).copy()
        mac.update(value)
        return mac.digest()


class _Signer(Signer):
    """The signer of itsdangerous, except that it derives its keys once and not anew for every signature."""

    def __init__(self, secret_keys: Iterable[str], salt: str) -> None:
        super().__init__(
            secret_keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256, algorithm=_HMACSHA256()
        )
        self._derived = cache(super().derive_key)

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        return self._derived(secret_key)


def new_session_id() -> str:
    """256 random bits as 43 URL-safe characters (OWASP Session Management asks for 64 bits of entropy at least)."""
    return secrets.token_urlsafe(32)


def packed(record: SessionRecord) -> bytes:
    """Times in milliseconds, the later three counted from the first, then the data."""
    start = round(record.created_at * 1_000)
    later = (record.authenticated_at, record.last_seen_at, record.expires_at)
    times = ",".join(str(round(time * 1_000) - start) for time in later)
    return f"{start},{times},{record.version}|".encode() + record.data


def unpacked(payload: bytes) -> SessionRecord:
    head, _, data = payload.partition(b"|")
    start, authenticated, seen, expires, version = map(int, head.split(b","))
    return SessionRecord(
        data=data,
        user_id=None,
        version=version,
        created_at=start / 1_000,
        authenticated_at=(start + authenticated) / 1_000,
        last_seen_at=(start + seen) / 1_000,
        expires_at=(start + expires) / 1_000,
    )


Seal = Callable[[bytes], str]
Unseal = Callable[[bytes], bytes]


def signing(context: BackendContext) -> tuple[Seal, Unseal]:
    signer = context.signer("session")
    return (
        lambda payload: signer.sign(base64_encode(payload)).decode(),
        lambda token: base64_decode(signer.unsign(token)),
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
        return base64.urlsafe_b64encode(nonce + ciphers[0].encrypt(nonce, payload, salt)).rstrip(b"=").decode()

    def unseal(token: bytes) -> bytes:
        sealed = base64_decode(token)
        for cipher in ciphers:
            try:
                return cipher.decrypt(sealed[:12], sealed[12:], salt)
            except InvalidTag:
                continue
        msg = "No key opens this token"
        raise BadData(msg)

    return seal, unseal
