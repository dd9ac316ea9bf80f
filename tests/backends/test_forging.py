"""Tokens can't be forged, planted, guessed, or used where they were not issued."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from itsdangerous import Signer

from fastapi_sessionkit import (
    CookieBackend,
    CookieSettings,
    MemoryStore,
    SessionKit,
    SessionRecord,
    StoreBackend,
)
from fastapi_sessionkit.backends import BackendContext
from fastapi_sessionkit.backends.keys import decode, encode
from fastapi_sessionkit.testing import session_of
from tests.backends.support import Make, browser, browser_with, every_backend, every_cookie_backend, make, opened
from tests.support import ADA, COOKIE, SECRET, AppSession, Clock, RecordingStore


def spoiled(token: str) -> Iterator[str]:
    """A token with each of its characters changed, and with pieces missing, added and moved."""
    for place, character in enumerate(token):
        yield token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
    yield from (
        token[1:],
        token[:-10],
        "",
        ".",
        token.split(".", maxsplit=1)[0],
        token + "A" * 8,
        token * 2,
        token[::-1],
    )


@every_backend
def test_a_token_that_was_tampered_with_opens_nothing_new(backend: Make, store: RecordingStore, clock: Clock) -> None:
    """The last characters of base64 hold unused bits, so a few spellings are the same token."""
    kit = make(backend(store), clock)
    token = browser(kit).cookies[COOKIE]
    found = [opened(kit, other) for other in spoiled(token)]

    assert found.count(None) >= len(found) - 3
    assert [session for session in found if session not in (None, ADA)] == []


def test_content_with_somebody_elses_signature_opens_nothing(clock: Clock) -> None:
    kit = make(CookieBackend(), clock)
    content, signature = browser(kit).cookies[COOKIE].split(".")
    raw = base64.urlsafe_b64decode(content + "==")
    forged = base64.urlsafe_b64encode(raw.replace(b"ada", b"eve")).rstrip(b"=").decode()

    assert b"ada" in raw
    assert opened(kit, f"{forged}.{signature}") is None
    assert opened(kit, f"{forged}.") is None
    assert opened(kit, forged) is None


@every_backend
@pytest.mark.parametrize(
    "token",
    ["x", "null", "a.b.c", "=", "%00", '"quoted"', "e30.e30", "A" * 4_000, "." * 4_000, "\xff\xfe", "A" * 10_000],
    ids=lambda token: f"{token[:8]}-{len(token)}",
)
def test_nonsense_in_the_cookie_is_nobody_and_no_error(
    backend: Make, store: RecordingStore, clock: Clock, token: str
) -> None:
    client = browser(make(backend(store), clock), None)

    response = client.get("/", headers={b"cookie": f"{COOKIE}={token}".encode("latin-1")})

    assert (response.status_code, response.json()) == (200, None)
    assert store.calls == []


@every_cookie_backend
def test_the_content_is_readable_unless_it_is_encrypted(encrypt: bool, clock: Clock) -> None:
    token = browser(make(CookieBackend(encrypt=encrypt), clock)).cookies[COOKIE]
    content = base64.urlsafe_b64decode(token.split(".")[0] + "===")

    assert (b"ada" in content) is not encrypt


def test_encryption_never_gives_the_same_token_twice(clock: Clock) -> None:
    kit = make(CookieBackend(encrypt=True), clock)

    assert browser(kit).cookies[COOKIE] != browser(kit).cookies[COOKIE]


def test_a_session_id_invented_by_the_client_is_not_adopted(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock)
    invented = "A" * 43
    by_another_key = Signer("x" * 32, salt="fastapi_sessionkit", digest_method=hashlib.sha256).sign(invented).decode()

    for token in (invented, f"{invented}.", by_another_key):
        client = browser_with(kit, token)
        assert client.get("/").json() is None
        assert store.calls == []
        client.post("/in")
        assert invented not in client.cookies[COOKIE]
        store.calls.clear()


def test_a_session_planted_before_the_sign_in_is_not_the_session_after_it(store: RecordingStore, clock: Clock) -> None:
    """Session fixation: the attacker's own valid cookie in the victim's browser."""
    kit = make(store, clock)
    planted = browser(kit, AppSession(user_id="mallory")).cookies[COOKIE]
    victim = browser_with(kit, planted)

    victim.post("/in")

    assert victim.cookies[COOKIE] != planted
    assert opened(kit, planted) is None


def test_stores_see_the_hash_of_an_id_and_never_the_id(store: RecordingStore, clock: Clock) -> None:
    client = browser(make(store, clock))
    ids = [client.cookies[COOKIE].split(".")[0]]
    for path in ("/rotate", "/promote", "/set/note"):
        client.post(path)
        ids.append(client.cookies[COOKIE].split(".")[0])
    client.post("/out")
    keys = {arguments[0] for arguments in store.arguments}

    assert {hashlib.sha256(each.encode()).hexdigest() for each in ids} <= keys
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
    assert not any(each in repr(store.arguments) for each in ids)


def test_ids_have_256_random_bits(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock)
    ids = {browser(kit).cookies[COOKIE].split(".")[0] for _ in range(20)}

    assert len(ids) == 20
    assert {len(base64.urlsafe_b64decode(each + "=")) for each in ids} == {32}


def test_an_id_source_that_repeats_itself_opens_nobody_elses_session(store: RecordingStore, clock: Clock) -> None:
    kit = make(store, clock, new_id=lambda: "A" * 43)
    token = browser(kit).cookies[COOKIE]

    with pytest.raises(RuntimeError, match="256 random bits"):
        browser(kit, None).post("/in/as-grace")
    assert opened(kit, token) == ADA


def kits(clock: Clock) -> dict[str, SessionKit[AppSession]]:
    """All with one secret."""
    plain = CookieSettings(name="c", https_only=False)
    return {
        "plain": make(CookieBackend(), clock, cookie=plain),
        "encrypted": make(CookieBackend(encrypt=True), clock, cookie=plain),
        "store": make(MemoryStore(), clock, cookie=plain),
        "another name": make(CookieBackend(), clock, cookie=plain, name="staff"),
        "another cookie": make(CookieBackend(), clock, cookie=CookieSettings(name="d", https_only=False)),
        "a Secure cookie": make(CookieBackend(), clock, cookie=CookieSettings(name="c")),
        "another name, encrypted": make(CookieBackend(encrypt=True), clock, cookie=plain, name="staff"),
        "another name, store": make(MemoryStore(), clock, cookie=plain, name="staff"),
        "a name that runs into the cookie's": make(
            CookieBackend(), clock, cookie=CookieSettings(name="b.c", https_only=False), name="a"
        ),
        "the same text, cut elsewhere": make(CookieBackend(), clock, cookie=plain, name="a.b"),
    }


def test_a_token_of_one_kit_cookie_or_purpose_is_nobody_for_every_other(clock: Clock) -> None:
    every = kits(clock)
    for issuer, kit in every.items():
        token = browser(kit).cookies[kit.cookie_name]

        assert {name for name, other in every.items() if opened(other, token) is not None} == {issuer}


def test_each_purpose_signs_with_a_key_of_its_own() -> None:
    context = BackendContext((SECRET,), "salt", lambda: 0.0, lambda: "", 4_096)
    purposes = ("session", "id", "encrypted-session")
    signed = {context.signer(purpose).sign("the same") for purpose in purposes}

    assert len(signed) == len(purposes)


@pytest.mark.anyio
@pytest.mark.parametrize(("make", "purpose"), [(CookieBackend, "session"), (lambda: StoreBackend(MemoryStore()), "id")])
async def test_tokens_are_signed_as_those_given_out_by_older_releases(make: Any, purpose: str) -> None:
    backend = make()
    backend.bind(BackendContext((SECRET,), "salt", lambda: 0.0, lambda: "an-id", 4_096))
    token = await backend.create(SessionRecord(b"content", "ada", 1, 0.0, 0.0, 0.0, 1.0))
    signer = Signer(SECRET, salt=f"salt.{purpose}", key_derivation="hmac", digest_method=hashlib.sha256)

    assert signer.validate(token)


@pytest.mark.parametrize("value", ["", "value", "a.value.with.dots", "."])
def test_a_backend_may_sign_what_has_dots_in_it(value: str) -> None:
    signer = BackendContext((SECRET,), "salt", lambda: 0.0, lambda: "", 4_096).signer("own")

    assert signer.unsign(signer.sign(value)) == value.encode()


def test_a_token_keeps_what_is_in_it_whatever_it_ends_with() -> None:
    contents = [start + bytes([last]) for start in (b"", b"-", b"--") for last in range(256)]

    assert [decode(encode(content)) for content in contents] == contents


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("purpose", "salt", "opens"),
    [
        ("encrypted-session", b"salt", True),
        ("session", b"salt", False),
        ("id", b"salt", False),
        ("encrypted-session", b"other", False),
        ("encrypted-session", b"", False),
    ],
)
async def test_an_encrypted_token_is_sealed_for_its_purpose_and_its_kit(purpose: str, salt: bytes, opens: bool) -> None:
    """A key that also signs what is public, or that another kit has too, is no key to what is secret."""
    context = BackendContext((SECRET,), "salt", lambda: 0.0, lambda: "", 4_096)
    backend = CookieBackend(encrypt=True)
    backend.bind(context)
    token = decode((await backend.create(SessionRecord(b"content", "ada", 1, 0.0, 0.0, 0.0, 1.0))).encode())
    key = AESGCM(context.signer(purpose).derive_key(SECRET))

    if opens:
        assert key.decrypt(token[:12], token[12:], salt).endswith(b"content")
    else:
        with pytest.raises(InvalidTag):
            key.decrypt(token[:12], token[12:], salt)


def test_a_token_of_another_store_with_the_same_secret_opens_nothing(clock: Clock) -> None:
    one, two = make(MemoryStore(), clock), make(MemoryStore(), clock)

    assert opened(two, browser(one).cookies[COOKIE]) is None


def test_after_a_key_rotation_sessions_live_on_and_new_ids_use_the_new_key(clock: Clock) -> None:
    store, new_key = MemoryStore(), "a newer secret of more than thirty-two characters"
    old = make(store, clock)
    both = make(StoreBackend(store), clock, secret_key=[new_key, SECRET])
    new = make(StoreBackend(store), clock, secret_key=new_key)
    client = browser_with(both, browser(old).cookies[COOKIE])

    assert session_of(client, both) == ADA
    assert session_of(client, new) is None
    client.post("/rotate")
    assert session_of(client, new) == ADA


@every_cookie_backend
def test_a_token_has_one_spelling_only(encrypt: bool, clock: Clock) -> None:
    kit = make(CookieBackend(encrypt=encrypt), clock)
    token = browser(kit).cookies[COOKIE]

    assert opened(kit, token) is not None
    for spelling in (f"{token}=", f"{token}==", f"!{token}", f"{token[:9]}~{token[9:]}", f"{token[:9]}.{token[9:]}"):
        assert opened(kit, spelling) is None
