"""Credentials that another service knows: read from the request as one token, and taken apart again to be forwarded."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice, product

from starlette.types import Scope

from ._settings import require_list
from .errors import ConfigurationError, SessionTooLarge
from .transport import Headers

LIMIT = 8_192
"""Bytes of all forwarded values together: a JSON Web Token, or a cookie in two parts, has room."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")
_SENDABLE = re.compile(rb"[\x20-\x7e]+")  # nothing that ends a header or begins another one
_BY_THEMSELVES = re.compile(rb"[ \t]*(?:basic|digest|negotiate|ntlm)(?![^ \t])", re.IGNORECASE)
_MOST = 9  # one more than a request may bring and still be looked at
_NOT_FORWARDED = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)


class Credentials:
    """The cookies and headers that are forwarded, by name, and nothing else.

    In a token each value has the number of its name, so that a token can't bring a name of its own.
    """

    def __init__(self, cookies: Iterable[str], headers: Iterable[str]) -> None:
        self.cookies: tuple[str, ...] = _names(cookies, "cookies", '["ory_kratos_session"]')
        self.headers: tuple[str, ...] = _names(headers, "headers", '["X-Session-Token"]')
        if not self.cookies and not self.headers:
            raise ConfigurationError(
                'WhoamiBackend needs the names of what it forwards: cookies=["ory_kratos_session"], headers=["Authorization"]'
            )
        for name in self.headers:
            if name.lower() in _NOT_FORWARDED:
                hint = (
                    ": name cookies in cookies=[...]" if name.lower() == "cookie" else ", which is about the connection"
                )
                raise ConfigurationError(f"WhoamiBackend(headers=...) can't forward {name}{hint}")
        self._names = [name.encode() for name in self.cookies] + [name.lower().encode() for name in self.headers]
        self._first_header = len(self.cookies)

    def tokens(self, scope: Scope, *, with_cookies: bool) -> Sequence[bytes]:
        """Every token that a request brings with a cookie of these names, or else without any.

        Several where a cookie came twice. ``b""`` where what came can't be forwarded.
        """
        cookies, headers = self._cookies_of(scope), self._headers_of(scope)
        has_cookie = any(any(values) for values in cookies.values())
        if has_cookie is not with_cookies:
            return (b"",) if with_cookies and cookies else ()
        if any(len(values) > 1 for values in headers.values()):
            return (b"",)
        found = {**cookies, **headers}
        chosen = [[(number, value) for value in dict.fromkeys(filter(None, found[number]))] for number in sorted(found)]
        return list(map(_token, islice(product(*filter(None, chosen)), _MOST))) if any(chosen) else ()

    def to_forward(self, token: bytes) -> Headers | None:
        """The headers that a token stands for; ``None`` where it is none of these credentials."""
        cookies: list[bytes] = []
        headers: Headers = []
        for line in token.split(b"\n"):
            number, _, value = line.partition(b":")
            if not number.isdigit() or int(number) >= len(self._names) or not _SENDABLE.fullmatch(value):
                return None
            name = self._names[int(number)]
            if int(number) >= self._first_header:
                headers.append((name, value))
            elif b";" in value:
                return None
            else:
                cookies.append(name + b"=" + value)
        return [(b"cookie", b"; ".join(cookies)), *headers] if cookies else headers

    def _cookies_of(self, scope: Scope) -> dict[int, list[bytes]]:
        found: dict[int, list[bytes]] = {}
        for header in (value for name, value in scope["headers"] if name == b"cookie"):
            for pair in header.split(b";"):
                name, equals, value = pair.strip(b" \t").partition(b"=")
                if equals and name in self._names[: self._first_header]:
                    found.setdefault(self._names.index(name), []).append(value.strip(b" \t"))
        return found

    def _headers_of(self, scope: Scope) -> dict[int, list[bytes]]:
        """The named headers; not what browsers send by themselves, also when another site asks them to."""
        found: dict[int, list[bytes]] = {}
        for name, value in scope["headers"]:
            if name in self._names[self._first_header :] and not _rides_along(name, value):
                number = self._names.index(name, self._first_header)
                found.setdefault(number, []).append(value.strip(b" \t"))
        return found


class ForwardedCredentials:
    """The named cookies and headers as a ``Transport``: another service gives them out, so no response changes them.

    Args:
        credentials: what is read.
        header_limit: as in ``CookieSettings``.
        with_cookies: whether this one reads the requests that bring a cookie, or those that bring headers alone. Headers
            never ride along by themselves; what comes with a cookie does.
    """

    issued: bool = True
    limit: int = LIMIT

    def __init__(self, credentials: Credentials, header_limit: int, *, with_cookies: bool) -> None:
        self._credentials = credentials
        self.header_limit: int = header_limit
        self.rides_along: bool = with_cookies
        headers = [name.encode() for name in credentials.headers]
        self.varies_by: bytes = b"Cookie" if with_cookies else b", ".join(headers)
        self.noun: str = "cookie" if with_cookies else "header"
        self.name: str = (credentials.cookies if with_cookies else credentials.headers)[0]
        is_bearer = not with_cookies and self.name.lower() == "authorization"
        self.challenge: bytes = b"Cookie" if with_cookies else b"Bearer" if is_bearer else b""
        kind = "bearer" if is_bearer else self.noun
        self.scheme_name: str = re.sub(r"[^A-Za-z0-9_.\-]", "_", self.name) + f"_{kind}"
        self.scheme: Mapping[str, str] = {
            **(
                {"type": "http", "scheme": "bearer"} if is_bearer else {"type": "apiKey", "in": kind, "name": self.name}
            ),
            "description": f"The {'token' if is_bearer else kind} of the service that people sign in at.",
        }

    def read(self, scope: Scope) -> Sequence[bytes]:
        """What the request brings of the named credentials, in one token."""
        return self._credentials.tokens(scope, with_cookies=self.rides_along)

    def write(self, token: str, max_age: float | None, scope: Scope) -> Headers:  # noqa: ARG002
        """Nothing: the service has given it out."""
        return []

    def remove(self) -> Headers:
        """Nothing: only the service makes the client forget it."""
        return []

    def too_large(self, overflow: int, fields: Mapping[str, int]) -> SessionTooLarge:
        """The error for what would not be read."""
        return SessionTooLarge(self.limit + overflow, self.limit, fields, self.noun)


def _token(values: Collection[tuple[int, bytes]]) -> bytes:
    token = b"\n".join(b"%d:%b" % (number, value) for number, value in values)
    is_usable = len(token) <= LIMIT and all(_SENDABLE.fullmatch(value) for _, value in values)
    return token if is_usable else b""


def _rides_along(name: bytes, value: bytes) -> bool:
    return name == b"authorization" and _BY_THEMSELVES.match(value) is not None


def _names(values: Iterable[str], setting: str, example: str) -> tuple[str, ...]:
    names = require_list(values, f"WhoamiBackend({setting}=...)", example)
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(f"WhoamiBackend({setting}=...) takes names such as {example}, not {name!r}")
    if len({name.lower() if setting == "headers" else name for name in names}) < len(names):
        raise ConfigurationError(f"WhoamiBackend({setting}=...) has a name twice")
    return names
