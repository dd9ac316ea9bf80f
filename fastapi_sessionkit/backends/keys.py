"""The secrets of a kit as its backend uses them: a signer for each purpose, and ids."""

import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from itsdangerous import BadSignature, Signer, want_bytes

_SIGNED = re.compile(rb".+\.[A-Za-z0-9_-]{43}", re.DOTALL)  # 43: a SHA-256 in Base64
_URL_SAFE, _STANDARD = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")


class KeyedSigner(Signer):
    """The signer of itsdangerous, except that it takes in its keys once, and not anew for every signature."""

    def __init__(self, secret_keys: Iterable[str], salt: str) -> None:
        super().__init__(secret_keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        keys = map(self.derive_key, reversed(self.secret_keys))
        self._keyed = [hmac.new(key, digestmod=hashlib.sha256) for key in keys]

    def get_signature(self, value: str | bytes) -> bytes:
        """The signature under the newest key."""
        return _signature(self._keyed[0], want_bytes(value))

    def unsign(self, signed_value: str | bytes) -> bytes:
        """What was signed. The signature is compared as text, so that a token has one spelling only."""
        value, _, signature = want_bytes(signed_value).rpartition(self.sep)
        if any(hmac.compare_digest(_signature(keyed, value), signature) for keyed in self._keyed):
            return value
        raise BadSignature("The signature does not match")


def is_signed(token: bytes) -> bool:
    """Whether a token looks like what a signer has signed, whoever that was."""
    return _SIGNED.fullmatch(token) is not None


def _signature(keyed: hmac.HMAC, value: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(value)
    return encode(mac.digest())


def encode(data: bytes) -> bytes:
    """URL-safe Base64 without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """What was encoded; raises ``binascii.Error`` for what was not."""
    return binascii.a2b_base64(text.translate(_STANDARD) + b"==")


def new_session_id() -> str:
    """256 random bits as 43 URL-safe characters (OWASP Session Management asks for 64 bits of entropy at least)."""
    return secrets.token_urlsafe(32)
