"""Whatever bytes stand in the cookie, the answer is never an error, and never somebody else."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_sessionkit import (
    CookieBackend,
    CookieSettings,
    MemoryStore,
    Session,
    SessionKit,
)
from fastapi_sessionkit.testing import signed_in
from tests.cookie.support import NAME, Site

BACKENDS: dict[str, Callable[[], Any]] = {
    "signed": CookieBackend,
    "encrypted": lambda: CookieBackend(encrypt=True),
    "memory": MemoryStore,
}


_SITES = {kind: Site(backend=make()) for kind, make in BACKENDS.items()}
_TOKENS = {kind: {name: site.token(name) for name in ("ada", "eve")} for kind, site in _SITES.items()}
_GARBAGE = st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
_PIECES = st.sampled_from(
    [
        NAME,
        b"=",
        b";",
        b" ",
        b"__Host-",
        b"session",
        b'"',
        b"\\",
        b".",
        b"\xa0",
        b"\x00",
        b"==",
        b"-",
        b"_",
        b"eyJ",
        b"%00",
    ]
)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
@given(cookies=st.lists(st.lists(_PIECES | _GARBAGE, max_size=12).map(b"".join), max_size=3))
@example(cookies=[NAME + b"=."])
@example(cookies=[NAME + b"=..."])
@example(cookies=[NAME + b"=\xff.\xff"])
@example(cookies=[NAME + b"=" + b"A" * 4_000])
async def test_any_cookie_bytes_are_nobody_and_never_an_error(kind: str, cookies: list[bytes]) -> None:
    assert await _SITES[kind].answer(*cookies) == (200, b"nobody")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
@given(where=st.integers(0, 400), cut=st.integers(0, 3), put=_GARBAGE, other=st.booleans())
async def test_a_token_that_was_tampered_with_is_never_somebody_else(
    kind: str, where: int, cut: int, put: bytes, other: bool
) -> None:
    token = _TOKENS[kind]["eve"]
    tail = _TOKENS[kind]["ada"] if other else token
    where = 20 + where % (len(token) - 19)  # not so near the start that the other token is spliced in whole
    tampered = token[:where] + put + tail[where + cut :]

    status, body = await _SITES[kind].answer(NAME + b"=" + tampered)

    assert status == 200
    assert body in {b"nobody", b"eve"}  # some other spellings of a token are that token


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
async def test_every_single_changed_byte_is_nobody_or_the_same_person(kind: str) -> None:
    token = _TOKENS[kind]["eve"]
    for where in range(len(token)):
        for char in b"AQgw_-09.=":
            changed = token[:where] + bytes([char]) + token[where + 1 :]
            assert await _SITES[kind].who(NAME + b"=" + changed) in {"nobody", "eve"}


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(BACKENDS))
async def test_a_token_of_another_kit_another_cookie_or_another_key_opens_nothing(kind: str) -> None:
    make = BACKENDS[kind]
    foreign = [
        Site(backend=make(), name="staff"),
        Site(backend=make(), cookie=CookieSettings(name="other")),
    ]
    stolen = Site(backend=make())
    stolen.kit = SessionKit(secret_key="another-secret-that-is-long-enough-too", backend=make())
    for site in [*foreign, stolen]:
        client = signed_in(site.client(), site.kit, Session(user_id="eve"))
        token = next(iter(client.cookies.values())).encode()
        assert await _SITES[kind].who(NAME + b"=" + token) == "nobody"


@pytest.mark.anyio
async def test_kits_whose_joined_names_and_cookies_look_alike_are_still_apart() -> None:
    one = Site(name="a.b", cookie=CookieSettings(name="c", path="/x", https_only=False))
    two = Site(name="a", cookie=CookieSettings(name="b.c", path="/x", https_only=False))
    client = one.client("http://testserver")
    token = client.post("/login").headers["set-cookie"].partition("=")[2].partition(";")[0]

    assert await one.who(b"c=" + token.encode()) == "ada"
    assert await two.who(b"b.c=" + token.encode()) == "nobody"
