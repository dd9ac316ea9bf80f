"""The cookie reader: it finds what stands in the header, and whatever stands there, nobody becomes somebody by it."""

import asyncio
from collections.abc import Iterator

from fastapi_sessionkit.cookie import LIMIT, CookieSettings, OldCookie, SessionCookie
from tests.cookie.support import NAME, Site

_SITE = Site()
_TOKEN = _SITE.token("ada")
_COOKIE = SessionCookie(CookieSettings())
_OLD = OldCookie("session", _COOKIE)

# One line is one ``Cookie`` header.
SEEDS = [
    NAME + b"=" + _TOKEN,
    b"a=b; " + NAME + b"=" + _TOKEN + b"; c=d",
    NAME + b"=" + _TOKEN + b"\n" + NAME + b"=x",
    NAME + b'="' + _TOKEN + b'"',
    b'a="' + b"\\" * 200 + b'"; ' + NAME + b"=x",
    b"x" + NAME + b"=x; " + NAME + b" =x; " + NAME.lower() + b"=x;" + NAME + b"= x ",
    b"session=" + _TOKEN + b"; session=x; =" + NAME + b"=x",
    b"\xa0" + NAME + b"=x; \t" + NAME + b"=x\x00",
]


def check(data: bytes) -> None:
    """The values are those of a plain reader; the request is answered, with what its token says."""
    headers = data.split(b"\n")
    scope = {"type": "http", "headers": [(b"cookie", header) for header in headers]}

    assert list(_COOKIE.read(scope)) == list(_expected(headers, NAME))
    assert all(len(value) <= LIMIT and value.isascii() for value in _OLD.read(scope))

    status, body = asyncio.run(_SITE.answer(*headers))
    if max(map(len, headers)) > _COOKIE.header_limit:
        assert status == 431
    else:
        assert status == 200
        assert body == b"nobody" or (body == b"ada" and _TOKEN in data)


def _expected(headers: list[bytes], name: bytes) -> Iterator[bytes]:
    """What a server finds by RFC 6265, section 4.2, and nothing else: no quotes taken off, no other white space."""
    for pair in (pair for header in headers for pair in header.split(b";")):
        key, equals, value = pair.strip(b" \t").partition(b"=")
        if equals and key == name:
            value = value.lstrip(b" \t")
            yield value if len(value) <= LIMIT else b""
