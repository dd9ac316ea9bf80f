"""The session cookie: its settings, and the one place that reads, writes and removes it."""

import logging
import os
import re
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.types import Message, Scope

from fastapi_sessionkit.errors import ConfigurationError, SessionTooLarge, require_bool, require_text

logger: logging.Logger = logging.getLogger(__name__)

LIMIT = 4_096
"""Bytes of name and value together that every browser keeps (RFC 6265bis, section 5.7)."""

SameSite = Literal["lax", "strict", "none"]
_LONGEST_NAME = 1_024
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})*")  # browsers drop a dot in front (RFC 6265, section 5.2.3)
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]+")


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """How the session cookie is sent (RFC 6265bis). The defaults are the strictest that a login by link survives.

    Attributes:
        name: the cookie's name, without a prefix: ``__Host-`` is put before it where it applies.
        path: the cookie's ``Path``.
        domain: the cookie's ``Domain``. Setting it shares the session with every subdomain, and gives up ``__Host-``.
        same_site: ``"lax"``, ``"strict"`` or ``"none"``; ``"none"`` needs ``https_only``.
        https_only: sends ``Secure`` and, without a domain and with path ``/``, names the cookie ``__Host-...``, so
            that no subdomain and no plain-http page can plant one. ``None`` means true, except when the environment
            has ``FASTAPI_ENV=development`` (``fastapi dev`` sets it) at the time the kit is made.
    """

    name: str = "session"
    path: str = "/"
    domain: str | None = None
    same_site: SameSite = "lax"
    https_only: bool | None = None

    def __post_init__(self) -> None:
        for given in (self.name, self.path, "" if self.domain is None else self.domain):
            require_text(given, "CookieSettings(name=..., path=..., domain=...)")
        if not _TOKEN.fullmatch(self.name) or len(self.name) > _LONGEST_NAME:
            msg = f"CookieSettings(name=...) must be a short token of letters, digits and !#$%&'*+-.^_`|~, not {self.name!r}"
            raise ConfigurationError(msg)
        if self.name.lower().startswith(("__host-", "__secure-")):
            msg = f"Leave the prefix out of the cookie's name, it is put there when it applies: {self.name!r}"
            raise ConfigurationError(msg)
        if not self.path.startswith("/") or not _ATTRIBUTE.fullmatch(self.path):
            msg = f'CookieSettings(path=...) must start with "/" and be printable ASCII without ";", not {self.path!r}'
            raise ConfigurationError(msg)
        if self.domain is not None and not _HOST.fullmatch(self.domain):
            msg = f'CookieSettings(domain=...) must be a host name such as "example.com", not {self.domain!r}'
            raise ConfigurationError(msg)
        if self.https_only is not None:
            require_bool(self.https_only, "CookieSettings(https_only=...)")
        if self.same_site not in get_args(SameSite):
            msg = f'CookieSettings(same_site=...) must be "lax", "strict" or "none", not {self.same_site!r}'
            raise ConfigurationError(msg)
        if self.same_site == "none" and self.https_only is False:
            msg = 'CookieSettings(same_site="none") needs https_only=True: browsers drop such a cookie otherwise'
            raise ConfigurationError(msg)


class SessionCookie:
    """Reads one cookie from raw headers, and writes and removes it with the same name and attributes."""

    def __init__(self, settings: CookieSettings) -> None:
        secure = settings.https_only
        if secure is None:
            secure = os.environ.get("FASTAPI_ENV") != "development" or settings.same_site == "none"
        self.secure: bool = secure
        self.name: str = (
            "__Host-" if secure and settings.domain is None and settings.path == "/" else ""
        ) + settings.name
        flags = [f"Path={settings.path}", "HttpOnly", f"SameSite={settings.same_site.capitalize()}"]
        flags += [f"Domain={settings.domain}"] if settings.domain else []
        flags += ["Secure"] if secure else []
        self._flags = "; ".join(flags)
        self._start = f"{self.name}=".encode()
        self._warned = False

    def read(self, scope: Scope) -> bytes | None:
        """The cookie's value as it came: no unquoting, no decoding.

        ``None`` when there is none, when it is longer than any that this library sends, or when it comes twice: a
        planted second cookie must not win, and must not be chosen by order (session fixation by cookie tossing).
        """
        found: bytes | None = None
        for name, header in scope["headers"]:
            if name == b"cookie":
                before, start, after = header.partition(self._start)
                if start:
                    if found is not None or after.find(self._start) >= 0 or (before and before[-2:] != b"; "):
                        return self._read_carefully(scope)
                    found = after.partition(b";")[0].strip(b" \t")
        return found if found and len(found) <= LIMIT else None

    def _read_carefully(self, scope: Scope) -> bytes | None:
        """The same where the name comes more than once, perhaps as a part of another's name or value."""
        headers = (header for name, header in scope["headers"] if name == b"cookie")
        pairs = (pair.strip(b" \t") for header in headers for pair in header.split(b";"))
        found = [pair[len(self._start) :].lstrip(b" \t") for pair in pairs if pair.startswith(self._start)]
        return found[0] if len(found) == 1 and 0 < len(found[0]) <= LIMIT else None

    def write(self, token: str, max_age: float, scope: Scope) -> bytes:
        """The ``Set-Cookie`` value that stores the token for ``max_age`` seconds."""
        if self.size(token) > LIMIT:
            raise SessionTooLarge(self.size(token), LIMIT, {})
        if self.secure and not self._warned and scope.get("scheme", "http") in {"http", "ws"}:
            self._warned = True
            logger.warning(
                "The session cookie is Secure and was sent over plain http: browsers drop it, except on localhost. "
                "Behind a proxy that ends TLS, run the server with --proxy-headers; for development set "
                "CookieSettings(https_only=False) or FASTAPI_ENV=development (fastapi dev does)."
            )
        return f"{self.name}={token}; Max-Age={max(0, int(max_age))}; {self._flags}".encode("latin-1")

    def remove(self) -> bytes:
        """The ``Set-Cookie`` value that makes the browser forget it."""
        return f"{self.name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; {self._flags}".encode("latin-1")

    def size(self, token: str) -> int:
        """Bytes of name and value together."""
        return len(self.name) + len(token)


Headers = list[tuple[bytes, bytes]]


def mark(message: Message, cookie: bytes | None, *, signed_in: bool) -> None:
    """Put the cookie on the response that begins, and say to caches that it depends on it (RFC 9111, 4.1 and 5.2)."""
    if message["type"] == "websocket.close":
        return
    headers = message["headers"] = list(message.get("headers", ()))
    if cookie is not None:
        _set(headers, cookie)
    names = set(map(bytes.lower, dict(headers)))
    if b"vary" not in names or not _listed(headers, b"vary") & {b"cookie", b"*"}:
        headers.append((b"vary", b"Cookie"))
    # Some shared caches ignore Vary.
    if signed_in and b"cache-control" not in names:
        headers.append((b"cache-control", b"private, no-cache"))


def _set(headers: Headers, cookie: bytes) -> None:
    """Add the cookie, and keep the response out of caches unless the application did: a cached cookie is a leak."""
    headers.append((b"set-cookie", cookie))
    # private="field" is not enough: it speaks of that field alone (RFC 9111, section 5.2.2.7).
    if not _listed(headers, b"cache-control") & {b"private", b"no-store"}:
        headers[:] = [header for header in headers if header[0].lower() != b"cache-control"]
        headers.append((b"cache-control", b"no-store"))


def _listed(headers: Headers, name: bytes) -> set[bytes]:
    """What a comma-separated header names, in lower case."""
    values = (value for key, value in headers if key.lower() == name)
    return {item.strip().lower() for value in values for item in value.split(b",")}
