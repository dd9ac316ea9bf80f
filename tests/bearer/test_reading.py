"""Reading ``Authorization: Bearer <token>`` (RFC 6750, section 2.1; RFC 9110, section 11.6.2) from its raw bytes."""

import math
import string
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_sessionkit import CookieSettings, MemoryStore, SessionTooLarge
from tests.bearer.support import Site

pytestmark = pytest.mark.anyio

SITE = Site(backend=MemoryStore())
TOKEN = SITE.token("ada").encode()
COOKIE = (b"cookie", b"__Host-session=" + SITE.cookie("grace").encode())


async def whom(*authorization: bytes) -> str:
    """Whom the site takes a browser of Grace's for that also sends these ``Authorization`` headers."""
    return await SITE.whom(COOKIE, *((b"authorization", value) for value in authorization))


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
async def test_the_scheme_may_have_any_case(scheme: bytes) -> None:
    assert await whom(scheme + b" " + TOKEN) == "ada"


@pytest.mark.parametrize("header", [b"Bearer  %s", b"Bearer %s ", b" Bearer %s\t", b"\tBearer    %s"])
async def test_spaces_that_the_grammar_allows_are_no_part_of_the_token(header: bytes) -> None:
    assert await whom(header % TOKEN) == "ada"


@pytest.mark.parametrize(
    "header",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer\t%s",
        b"Bearer,%s",
        b"Bearer, %s",
        b"Bearer=%s",
        b'Bearer "%s"',
        b"Bearer %s,",
        b"Bearer %s, Bearer %s",
        b"Bearer %s %s",
        b"Bearer token=%s",
        b"Bearer %s=",
        b"Bearer %s\x00",
        b"Bearer %s\x0b",
        b"Bearer %s\x0c",
        b"Bearer \xa0%s",
        b"Bearer %s\xff",
    ],
)
async def test_a_malformed_token_is_nobody_and_no_cookie_is_read(header: bytes) -> None:
    assert await whom(header.replace(b"%s", TOKEN)) == "nobody"


@pytest.mark.parametrize("header", [b"Basic YWRhOmRlbW8=", b"Digest x=y", b"Bearers %s", b"X-Bearer %s", b"%s", b""])
async def test_another_scheme_is_not_the_kits_and_leaves_the_cookie_alone(header: bytes) -> None:
    assert await whom(header.replace(b"%s", TOKEN)) == "grace"


@pytest.mark.parametrize("other", [b"Bearer %s", b"Bearer x", b"Basic YWRhOmRlbW8=", b""])
async def test_two_headers_are_ambiguous_and_count_as_nobody(other: bytes) -> None:
    token, other = b"Bearer " + TOKEN, other.replace(b"%s", TOKEN)

    assert await whom(token, other) == "nobody"
    assert await whom(other, token) == "nobody"


async def test_two_headers_of_other_schemes_are_nobody_too() -> None:
    assert await whom(b"Basic YWRhOmRlbW8=", b"Basic ZXZlOmRlbW8=") == "nobody"


def read_headers(*headers: bytes) -> Sequence[bytes]:
    """What reaches the backend of these headers; ``b""`` does not."""
    return SITE.kit.services.transports[1].read({"headers": [(b"authorization", header) for header in headers]})


def read(token: bytes) -> Sequence[bytes]:
    """What reaches the backend of a token."""
    return read_headers(b"Bearer " + token)


async def test_of_no_token_and_of_two_headers_nothing_reaches_the_backend() -> None:
    assert [*read_headers(b"Bearer"), *read_headers(b"Bearer a", b"Bearer b")] == [b"", b""]


async def test_a_token_may_end_with_whatever_it_may_hold() -> None:
    for last in string.ascii_letters + string.digits + "-._~+/=":
        assert read(f"a{last}".encode()) == [f"a{last}".encode()]


async def test_a_token_that_is_too_long_never_reaches_the_backend() -> None:
    assert [len(token) for token in read(b"A" * 4_096)] == [4_096]
    assert read(b"A" * 4_097) == [b""]


async def test_what_no_token_may_hold_never_reaches_the_backend() -> None:
    assert read(b"aZ09-._~+/==") == [b"aZ09-._~+/=="]
    assert [read(b"a%sb" % other) for other in (b" ", b"\t", b",", b'"', b"\x00", b"\xff", b"\r\n")] == [[b""]] * 7


@pytest.mark.parametrize("name", ["s", "session", "a" * 200])
async def test_the_largest_token_that_is_issued_is_read(name: str) -> None:
    site = Site(cookie=CookieSettings(name=name, https_only=False))
    with pytest.raises(SessionTooLarge, match=r"bearer token would take .* note \(4,002 bytes\)") as refused:
        site.token("ada", note="x" * 4_000)
    error = refused.value
    token = site.token("ada", note="x" * (4_000 - math.ceil((error.size - error.limit) * 3 / 4)))

    assert error.limit - 4 < len(token) <= error.limit
    assert site.who(token) == "ada"


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"Bearer ", b"bearer", b" ", b"=", b",", TOKEN]), max_size=6))
@example([b"Bearer ", TOKEN])
@example([b"Bearer ", TOKEN[:-1]])
async def test_any_bytes_are_ada_grace_or_nobody_and_never_an_error(parts: list[bytes]) -> None:
    header = b"".join(parts)

    assert await whom(header) in ({"ada", "nobody", "grace"} if TOKEN in header else {"nobody", "grace"})
