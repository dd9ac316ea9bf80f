"""The session cookie: its settings, and the one place that reads, writes and removes it."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.types import Scope

from ._settings import require_bool, require_text, require_whole
from .errors import ConfigurationError, SessionTooLarge
from .transport import Headers

logger: logging.Logger = logging.getLogger(__name__)

LIMIT = 4_096
"""Bytes of name and value together that every browser keeps (RFC 6265bis, section 5.7)."""

SameSite = Literal["lax", "strict", "none"]
_DEFAULT_NAME = "session"
_LONGEST_NAME = 1_024
_MOST_VALUES = 8
_GONE = ("Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})*")  # browsers drop a dot in front (RFC 6265, section 5.2.3)
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]+")


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """How the session cookie is sent (RFC 6265bis). The defaults are the strictest that a login by link survives.

    Attributes:
        name: the cookie's name, without a prefix: ``__Host-`` is put before it where it applies. By default the kit's
            ``name``. That is ``session`` by default, and then ``sessionkit`` where there is no prefix: ``session`` is
            what Starlette's own middleware calls its cookie.
        path: the cookie's ``Path``.
        domain: the cookie's ``Domain``. Setting it shares the session with every subdomain, and gives up ``__Host-``.
        same_site: ``"lax"``, ``"strict"`` or ``"none"``; ``"none"`` needs ``https_only``.
        https_only: sends ``Secure`` and, without a domain and with path ``/``, names the cookie ``__Host-...``, so
            that no subdomain and no plain-http page can plant one. ``None`` means true, except when the environment
            has ``FASTAPI_ENV=development`` (``fastapi dev`` sets it) at the time the kit is made.
        partitioned: sends ``Partitioned`` (CHIPS), for a site that is embedded in others: browsers then keep a cookie
            for each site that embeds it. Needs ``https_only``, and, to be sent there at all, ``same_site="none"``.
        header_limit: bytes that the request's ``Cookie`` header may have, all of the site's cookies together. A longer
            one is answered with 431 before anything parses it: on some Pythons FastAPI takes seconds for one.
    """

    name: str | None = None
    path: str = "/"
    domain: str | None = None
    same_site: SameSite = "lax"
    https_only: bool | None = None
    partitioned: bool = False
    header_limit: int = 16_384

    def __post_init__(self) -> None:
        for given in ("" if self.name is None else self.name, self.path, "" if self.domain is None else self.domain):
            require_text(given, "CookieSettings(name=..., path=..., domain=...)")
        if self.name is not None:
            _check_name(self.name, "CookieSettings(name=...)")
        if not self.path.startswith("/") or not _ATTRIBUTE.fullmatch(self.path):
            raise ConfigurationError(
                f'CookieSettings(path=...) must start with "/" and be printable ASCII without ";", not {self.path!r}'
            )
        if self.domain is not None and not _HOST.fullmatch(self.domain):
            raise ConfigurationError(
                f'CookieSettings(domain=...) must be a host name such as "example.com", not {self.domain!r}'
            )
        if self.https_only is not None:
            require_bool(self.https_only, "CookieSettings(https_only=...)")
        require_bool(self.partitioned, "CookieSettings(partitioned=...)")
        require_whole(self.header_limit, "CookieSettings(header_limit=...)")
        if self.header_limit < LIMIT:
            raise ConfigurationError(
                f"CookieSettings(header_limit=...) is at least {LIMIT:,}, the bytes of one cookie, not {self.header_limit!r}"
            )
        if self.same_site not in get_args(SameSite):
            raise ConfigurationError(
                f'CookieSettings(same_site=...) must be "lax", "strict" or "none", not {self.same_site!r}'
            )
        if self.needs_https and self.https_only is False:
            setting = "partitioned=True" if self.partitioned else 'same_site="none"'
            raise ConfigurationError(
                f"CookieSettings({setting}) needs https_only=True: browsers drop such a cookie otherwise"
            )

    @property
    def needs_https(self) -> bool:
        """Whether browsers take such a cookie with ``Secure`` only."""
        return self.partitioned or self.same_site == "none"


def _check_name(name: str, setting: str) -> None:
    if not _TOKEN.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ConfigurationError(
            f"{setting} must be a short token of letters, digits and !#$%&'*+-.^_`|~, for it names the cookie, not {name!r}"
        )
    if name.lower().startswith(("__host-", "__secure-")):
        raise ConfigurationError(
            f"Leave the prefix out of the cookie's name, it is put there when it applies: {name!r}"
        )


class SessionCookie:
    """The cookie as a ``Transport``: read from raw headers, written and removed with the same name and attributes.

    ``kit_name`` names it where the settings don't.
    """

    rides_along: bool = True
    issued: bool = False
    varies_by: bytes = b"Cookie"
    noun: str = "cookie"
    challenge: bytes = b"Cookie"

    def __init__(self, settings: CookieSettings, kit_name: str = _DEFAULT_NAME) -> None:
        _check_name(kit_name, "SessionKit(name=...)")
        secure = settings.https_only
        if secure is None:
            secure = os.environ.get("FASTAPI_ENV") != "development" or settings.needs_https
        self.secure: bool = secure
        name = kit_name if settings.name is None else settings.name
        self.name: str = _full_name(settings, name, secure=secure)
        self.limit: int = LIMIT - len(self.name)
        self.header_limit: int = settings.header_limit
        self.scheme_name: str = re.sub(r"[^A-Za-z0-9_.\-]", "_", name) + "_cookie"
        self.scheme: Mapping[str, str] = {
            "type": "apiKey",
            "in": "cookie",
            "name": self.name,
            "description": "The session's cookie.",
        }
        flags = [f"Path={settings.path}", "HttpOnly", f"SameSite={settings.same_site.capitalize()}"]
        flags += [f"Domain={settings.domain}"] if settings.domain else []
        flags += ["Secure"] if secure else []
        flags += ["Partitioned"] if settings.partitioned else []
        self._flags = flags
        self._start = f"{self.name}=".encode()
        self._warned = False
        self._warned_of_websocket = False

    def read(self, scope: Scope) -> Sequence[bytes]:
        """Every value that the cookie has, as it came: no unquoting, no decoding. One that is too long gives ``b""``."""
        found: bytes | None = None
        for name, header in scope["headers"]:
            if name == b"cookie":
                before, start, after = header.partition(self._start)
                if start:
                    if found is not None or after.find(self._start) >= 0 or (before and before[-2:] != b"; "):
                        return self._read_carefully(scope)
                    found = after.partition(b";")[0].strip(b" \t")
        if found is None:
            if scope["type"] == "websocket":
                self._warn_of_plain_websocket(scope)
            return ()
        return (found if len(found) <= LIMIT else b"",)

    def _warn_of_plain_websocket(self, scope: Scope) -> None:
        if self.secure and not self._warned_of_websocket and scope.get("scheme", "ws") == "ws":
            self._warned_of_websocket = True
            logger.warning(
                "A WebSocket handshake over ws:// came without the session cookie, which is Secure: clients send it over "
                'wss:// only, except to localhost. In a test write client.websocket_connect("wss://testserver/..."). '
                "Behind a proxy that ends TLS, run the server with --proxy-headers."
            )

    def _read_carefully(self, scope: Scope) -> Sequence[bytes]:
        """The same where the name comes more than once, perhaps as a part of another's name or value."""
        return [value if len(value) <= LIMIT else b"" for value in _values(scope, self._start)]

    def write(self, token: str, max_age: float | None, scope: Scope) -> Headers:
        """The ``Set-Cookie`` that stores the token for ``max_age`` seconds; ``None``: until the browser is closed."""
        if len(token) > self.limit:
            raise self.too_large(len(token) - self.limit, {})
        if self.secure and not self._warned and scope.get("scheme", "http") in {"http", "ws"}:
            self._warned = True
            logger.warning(
                "The session cookie is Secure and was sent over plain http: browsers drop it, except on localhost. "
                "Behind a proxy that ends TLS, run the server with --proxy-headers; for development set "
                "CookieSettings(https_only=False) or FASTAPI_ENV=development (fastapi dev does)."
            )
        return self._set(token, () if max_age is None else (f"Max-Age={max(0, int(max_age))}",))

    def remove(self) -> Headers:
        """The ``Set-Cookie`` that makes the browser forget it."""
        return self._set("", _GONE)

    def remove_other(self, name: str) -> Headers:
        """What makes the browser forget another cookie: one with this one's path and domain, and one with neither."""
        plain = ["Path=/", *(flag for flag in self._flags if not flag.startswith(("Path=", "Domain=")))]
        kinds = [self._flags] if sorted(plain) == sorted(self._flags) else [self._flags, plain]
        return [self._header(name, "", _GONE, flags) for flags in kinds]

    def too_large(self, overflow: int, fields: Mapping[str, int]) -> SessionTooLarge:
        """The error for a cookie that browsers would drop."""
        return SessionTooLarge(LIMIT + overflow, LIMIT, fields)

    def _set(self, value: str, lifetime: Sequence[str]) -> Headers:
        return [self._header(self.name, value, lifetime, self._flags)]

    @staticmethod
    def _header(name: str, value: str, lifetime: Sequence[str], flags: Sequence[str]) -> tuple[bytes, bytes]:
        return b"set-cookie", "; ".join((f"{name}={value}", *lifetime, *flags)).encode("latin-1")


class OldCookie:
    """The cookie of another library, whose sessions are taken over.

    Attributes:
        is_own: whether the kit's own cookie has the same name.
    """

    def __init__(self, name: str, cookie: SessionCookie) -> None:
        self.is_own: bool = name == cookie.name
        self._start = f"{name}=".encode()
        self._gone = [] if self.is_own else cookie.remove_other(name)

    def read(self, scope: Scope) -> Sequence[bytes]:
        """Every value that may be one, as it came; none where there are too many to look at."""
        found = dict.fromkeys(_values(scope, self._start))
        values = [value for value in found if value and len(value) <= LIMIT and value.isascii()]
        return values if len(values) <= _MOST_VALUES else ()

    def remove(self) -> Headers:
        """The ``Set-Cookie`` that makes the browser forget it; none where the kit's own takes its place."""
        return self._gone


def _values(scope: Scope, start: bytes) -> Sequence[bytes]:
    """The values of the pairs that begin so, as they came."""
    headers = (header for name, header in scope["headers"] if name == b"cookie")
    pairs = (pair.strip(b" \t") for header in headers for pair in header.split(b";"))
    return [pair[len(start) :].lstrip(b" \t") for pair in pairs if pair.startswith(start)]


def _full_name(settings: CookieSettings, name: str, *, secure: bool) -> str:
    """With the prefix where browsers take it, and without it not by the name that Starlette's own session has."""
    if secure and settings.domain is None and settings.path == "/":
        return f"__Host-{name}"
    return "sessionkit" if settings.name is None and name == _DEFAULT_NAME else name
