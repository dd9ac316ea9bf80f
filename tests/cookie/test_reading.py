"""The session cookie is read from raw bytes: found among others, or not taken for it."""

from typing import Any

import pytest

from fastapi_sessionkit import (
    CookieBackend,
    RouterGuard,
    Rule,
)
from tests.cookie.support import NAME, Site


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        [b"__Host-session=%b"],
        [b"theme=dark; __Host-session=%b"],
        [b"__Host-session=%b; theme=dark"],
        [b"theme=dark;__Host-session=%b;x=y"],
        [b"a=b;\t __Host-session=%b \t;x=y"],
        [b"x__Host-session=1;__Host-session= \t%b"],
        [b"; ;;__Host-session=%b;;"],
        [b"theme=dark", b"__Host-session=%b", b"x=y"],
        [b"odd; =; \xff\xfe=\x00; __Host-session=%b"],
        [b"session=mine; host-session=mine; __host-session=mine; x__Host-session=mine; __Host-session=%b"],
        [b'a="; __Host-session=%b; b="'],
    ],
)  # fmt: skip
async def test_the_cookie_is_found_among_others(site: Site, headers: list[bytes]) -> None:
    token = site.token("ada")

    assert await site.who(*[header.replace(b"%b", token) for header in headers]) == "ada"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"%b",
        b"=%b",
        b"__Host-session",
        b"__Host-session=",
        b"__Host-session= ",
        b"session=%b",
        b"__host-session=%b",
        b"__HOST-SESSION=%b",
        b"x__Host-session=%b",
        b"__Host-sessionx=%b",
        b"__Host-session =%b",
        b"__Host-session\t=%b",
        b"__Host%2Dsession=%b",
        b"a=__Host-session=%b",
        b"a=b, __Host-session=%b",
        b"a=b __Host-session=%b",
        b'"__Host-session"=%b',
        b'__Host-session="%b"',
        b"__Host-session='%b'",
        b"$__Host-session=%b",
    ],
)
async def test_what_is_not_exactly_the_cookie_is_not_taken_for_it(site: Site, header: bytes) -> None:
    assert await site.who(header.replace(b"%b", site.token("ada"))) == "nobody"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "space", [b"\xa0", b"\x85", b"\x0b", b"\x0c", b"\x1c", b"\x1f", b"\x00", b"\r", b"\n", "\u2003".encode(), "\ufeff".encode()]
)  # fmt: skip
async def test_cookie_tossing_behind_a_unicode_space_plants_nothing(site: Site, space: bytes) -> None:
    """A subdomain may set ``\\xa0__Host-session``; a parser that strips it would see the prefixed name."""
    ada, eve = site.token("ada"), site.token("eve")

    assert await site.who(space + NAME + b"=" + eve) == "nobody"
    assert await site.who(NAME + b"=" + ada + b"; " + space + NAME + b"=" + eve) == "ada"


@pytest.mark.anyio
@pytest.mark.parametrize("space", [b"\xa0", b"\x85", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f"])
@pytest.mark.parametrize("among", [NAME + b"=%b", b"a=1; " + NAME + b"=%b; b=2", b"x" + NAME + b"=1;" + NAME + b"=%b"])
async def test_what_python_takes_for_white_space_is_a_part_of_the_value(site: Site, space: bytes, among: bytes) -> None:
    """A parser that strips it would let one token be written in many ways."""
    token = site.token("ada")

    assert await site.who(among.replace(b"%b", token)) == "ada"
    assert await site.who(among.replace(b"%b", space + token)) == "nobody"
    assert await site.who(among.replace(b"%b", token + space)) == "nobody"


class Watched(CookieBackend):
    """Notes what it is asked to open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    async def load(self, token: bytes) -> Any:
        self.asked.append(token)
        return await super().load(token)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "value", [b"plain", b'"quoted\\073"', b"%41", b"a=b=c", b"\xff\x00\xa0", b"a,b", b"XaX", b"x" * 4_096]
)
async def test_the_value_reaches_the_backend_byte_for_byte(value: bytes) -> None:
    backend = Watched()

    assert await Site(backend=backend).who(NAME + b"=" + value) == "nobody"
    assert backend.asked == [value]


@pytest.mark.anyio
@pytest.mark.parametrize("value", [b"", b" \t ", b"x" * 4_097, b"x" * 16_000])
async def test_a_value_that_is_empty_or_too_long_never_reaches_the_backend(value: bytes) -> None:
    backend = Watched()

    assert await Site(backend=backend).who(NAME + b"=" + value) == "nobody"
    assert backend.asked == []


@pytest.mark.anyio
async def test_denial_of_service_by_quotes_and_backslashes_takes_no_time() -> None:
    """Unquoting is quadratic on some Pythons: a megabyte took Starlette's parser minutes there. The gate has none."""
    site = Site(guard=RouterGuard(protect=[Rule("/who")]))
    header = NAME + b'="' + b"\\" * 8_000 + b'"; ' + b" ;" * 4_000

    assert (await site.answer(header))[0] == 401
    assert (await site.answer(header * 60))[0] == 431
