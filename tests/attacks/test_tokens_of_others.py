"""Attack: a token that something else made, under the very same secret. It is nobody's, on every backend."""

import base64
import hashlib
import hmac
import itertools
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from itsdangerous import Signer, TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer

from fastapi_sessionkit import CookieBackend, CookieSettings, MemoryStore, SessionBackend, SessionStore, StoreBackend
from tests.attacks.support import NOBODY, Site
from tests.support import COOKIE, SECRET, Clock

ADA = {"user_id": "ada", "role": "admin"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def of_starlette() -> str:
    """``SessionMiddleware``: Base64 of JSON under a ``TimestampSigner``."""
    return TimestampSigner(SECRET).sign(base64.b64encode(json.dumps(ADA).encode())).decode()


def of_flask() -> str:
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    made: str | bytes = URLSafeTimedSerializer(SECRET, salt="cookie-session", signer_kwargs=options).dumps(ADA)
    return made if isinstance(made, str) else made.decode()


def of_django(*, compress: bool = False) -> str:
    """``django.core.signing.dumps``, as of ``signed_cookies`` sessions."""
    salt, data = "django.contrib.sessions.backends.signed_cookies", json.dumps(ADA).encode()
    content = "." + b64(zlib.compress(data)) if compress else b64(data)
    value = f"{content}:{_base62(int(time.time()))}"
    key = hashlib.sha256(f"{salt}signer{SECRET}".encode()).digest()
    return f"{value}:{b64(hmac.new(key, value.encode(), hashlib.sha256).digest())}"


def _base62(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return ("" if number < 62 else _base62(number // 62)) + digits[number % 62]


def jwt(algorithm: str = "HS256") -> str:
    head = b64(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    signed = f"{head}.{b64(json.dumps({**ADA, 'sub': 'ada', 'exp': 4_000_000_000}).encode())}"
    signature = b64(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()) if algorithm != "none" else ""
    return f"{signed}.{signature}"


FOREIGN: dict[str, Callable[[], str]] = {
    "starlette": of_starlette,
    "flask": of_flask,
    "django": of_django,
    "django, compressed": lambda: of_django(compress=True),
    "jwt": jwt,
    "jwt of no algorithm": lambda: jwt("none"),
    "itsdangerous": lambda: str(URLSafeSerializer(SECRET).dumps(ADA)),
    "an id under the secret itself": lambda: Signer(SECRET).sign("A" * 43).decode(),
}


def test_attack_by_a_token_of_another_library_under_the_same_secret(site: Site, carrier: str) -> None:
    for made_by, token in FOREIGN.items():
        assert site.who(token(), carrier) == NOBODY, made_by


DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512, "md5": hashlib.md5}
DERIVATIONS = ("hmac", "concat", "django-concat", "none")


@pytest.mark.parametrize("kind", ["cookie", "memory"])
def test_attack_by_the_right_content_under_another_digest_or_derivation(kind: str, carrier: str, clock: Clock) -> None:
    site = Site(CookieBackend() if kind == "cookie" else MemoryStore(), clock=clock)
    content = site.token(carrier).rpartition(".")[0]
    salts = ("session", "id", "encrypted-session", "")
    found = {}
    for salt, digest, derivation in itertools.product(salts, DIGESTS, DERIVATIONS):
        options: dict[str, Any] = {"key_derivation": derivation, "digest_method": DIGESTS[digest]}
        made = Signer(SECRET, salt=f"fastapi_sessionkit:session:{COOKIE}.{salt}".strip("."), **options).sign(content)
        found[salt, digest, derivation] = site.who(made, carrier)

    assert [how for how, who in found.items() if who != NOBODY] == [
        ("session" if kind == "cookie" else "id", "sha256", "hmac")
    ]


def test_attack_by_a_token_for_the_other_carrier(site: Site, carrier: str) -> None:
    other = "cookie" if carrier == "bearer" else "bearer"
    token = site.token(carrier)

    site.assert_opens_nothing(token, other)
    assert site.who(token, carrier) == "ada"


@pytest.mark.parametrize(
    "settings",
    [{"name": "staff"}, {"cookie": CookieSettings(name="staff")}, {"cookie": CookieSettings(https_only=False)}],
    ids=["another kit", "another cookie", "another prefix"],
)
@pytest.mark.parametrize("carrier", ["cookie", "bearer"])
@pytest.mark.parametrize("kind", ["cookie", "encrypted", "memory"])
def test_attack_by_a_token_of_another_kit_of_the_same_secret(
    settings: dict[str, Any], kind: str, carrier: str, clock: Clock
) -> None:
    shared = MemoryStore()

    def backend() -> SessionBackend | SessionStore:
        return shared if kind == "memory" else CookieBackend(encrypt=kind == "encrypted")

    mine, other = Site(backend(), clock=clock), Site(backend(), clock=clock, **settings)

    mine.assert_opens_nothing(other.token(carrier), carrier)


OLD, NEW = "a retired secret of more than thirty-two characters", "a new secret of more than thirty-two characters"


def restarted(site: Site, clock: Clock, keys: list[str], *, encrypt: bool) -> Site:
    """The same site after a restart with other keys, on the same store."""
    used = site.kit.backend
    same = used.store if isinstance(used, StoreBackend) else CookieBackend(encrypt=encrypt)
    return Site(same, clock=clock, secret_key=keys)


def test_attack_by_a_token_under_a_retired_key(site: Site, engine: str, carrier: str, clock: Clock) -> None:
    token = site.token(carrier)

    for keys, whose in (([NEW, SECRET], "ada"), ([NEW], NOBODY), ([OLD, NEW], NOBODY)):
        later = restarted(site, clock, keys, encrypt=engine == "encrypted")
        with later.client:
            assert later.who(token, carrier) == whose


def test_attack_by_a_token_under_a_key_before_it_is_introduced(
    site: Site, engine: str, carrier: str, clock: Clock
) -> None:
    ahead = restarted(site, clock, [NEW, SECRET], encrypt=engine == "encrypted")
    with ahead.client:
        token = ahead.token(carrier)

    site.assert_opens_nothing(token, carrier)
