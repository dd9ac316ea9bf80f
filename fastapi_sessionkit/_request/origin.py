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
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SECURE = frozenset({"https", "wss"})
_SHOWN = 100
"""How many characters of an ``Origin`` a refusal shows: the client sends whatever it likes."""


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
        return not origins or (len(hosts) == 1 and _is_own_page(origins[0], hosts[0], scope.get("scheme", "http")))


def refusal(scope: Scope, what: str) -> str:
    """The text of a refusal: where the request came from, and the setting that would let it pass.

    Args:
        scope: the request.
        what: what was refused, ``"request"`` or ``"sign-in"``.
    """
    text = (
        f"Cross-origin {what} refused: it came from {_source(scope)}. Other origins that may do this are listed in "
        "SessionKit(trusted_origins=[...])"
    )
    if what == "sign-in" and _is_form_post(scope):
        text += ". An identity provider that posts back (response_mode=form_post) belongs there too"
    return text


def _source(scope: Scope) -> str:
    origins = _values(scope, b"origin")
    if len(origins) == 1:
        return ascii(origins[0][:_SHOWN])
    return "more than one Origin" if origins else "another site, which sent no Origin"


def _is_form_post(scope: Scope) -> bool:
    kinds = [value.partition(";")[0].strip().lower() for value in _values(scope, b"content-type")]
    return scope.get("method") == "POST" and kinds in (["application/x-www-form-urlencoded"], ["multipart/form-data"])


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def _is_own_page(origin: str, host: str, scheme: str) -> bool:
    """Whether a page of this very host sent it; on an https site that page came over https as well.

    Behind a proxy that ends TLS the application may take itself for an http site, so there a page may have either.
    """
    of_page, _, authority = _normal(origin).partition("://")
    if of_page not in ({"https"} if scheme in _SECURE else _DEFAULT_PORTS.keys()):
        return False
    return authority != "" and authority == host.lower().removesuffix(_DEFAULT_PORTS[of_page])


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
