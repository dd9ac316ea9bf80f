"""Cross-origin checks (CSRF): is this request from this site's own pages?

The rules are those of Fetch Metadata with ``Origin`` as the fallback, as Go's ``http.CrossOriginProtection`` and the
OWASP Cross-Site Request Forgery Prevention Cheat Sheet have them. A client that sends neither header is no browser, so
nobody's cookies can be made to ride on it.
"""

import ipaddress
import re
from collections.abc import Iterable

from starlette.types import Scope

from .._settings import require_bool
from ..errors import ConfigurationError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"https?://(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<v6>[0-9a-f:.]+)\])(?::(?P<port>[1-9][0-9]{{0,4}}))?", re.IGNORECASE
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


class OriginPolicy:
    """Whom to believe: this site itself, and the ``trusted`` origins, each ``scheme://host[:port]``.

    With ``enabled=False`` it believes everybody.
    """

    def __init__(self, trusted: Iterable[str] = (), *, enabled: bool = True) -> None:
        require_bool(enabled, "SessionKit(cross_origin_protection=...)")
        self._enabled = enabled
        if isinstance(trusted, str) or not isinstance(trusted, Iterable):
            raise ConfigurationError(
                f'trusted_origins takes a list of origins such as ["https://accounts.example.com"], not {trusted!r}'
            )
        self.trusted: frozenset[str] = frozenset(map(_trusted_origin, trusted))

    def allows(self, scope: Scope) -> bool:
        """Whether the request comes from this site, from a trusted origin, or from no browser at all."""
        if not self._enabled:
            return True
        sites, origins, hosts = (_values(scope, name) for name in (b"sec-fetch-site", b"origin", b"host"))
        if len(origins) > 1:
            return False
        if origins and _normal(origins[0]) in self.trusted:
            return True
        if sites:
            return all(site in {"same-origin", "none"} for site in sites)
        return not origins or (len(hosts) == 1 and _same_host(origins[0], hosts[0]))


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def _same_host(origin: str, host: str) -> bool:
    scheme, _, authority = _normal(origin).partition("://")
    return authority != "" and authority == host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def _normal(origin: str) -> str:
    scheme, _, _ = (origin := origin.lower()).partition("://")
    return origin.removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def _trusted_origin(origin: object) -> str:
    match = _ORIGIN.fullmatch(origin) if isinstance(origin, str) else None
    if match and int(match["port"] or 0) < 65_536 and (match["v6"] is None or _is_ipv6(match["v6"])):
        return _normal(match[0])
    raise ConfigurationError(
        "trusted_origins takes origins as browsers send them, scheme://host[:port] with nothing behind, "
        f'for example "https://accounts.example.com", not {origin!r}'
    )


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
