"""Cross-origin checks (CSRF): is this request from this site's own pages?

The rules are those of Fetch Metadata with ``Origin`` as the fallback, as Go's ``http.CrossOriginProtection`` and the
OWASP Cross-Site Request Forgery Prevention Cheat Sheet have them. A client that sends neither header is no browser, so
nobody's cookies can be made to ride on it.
"""

import ipaddress
import re
from collections.abc import Iterable

from starlette.types import Scope

from .._paths.patterns import Pattern
from .._paths.routed import is_ambiguous, route_path
from .._settings import require_bool, require_list
from ..errors import ConfigurationError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<below>\*\.)?"
    rf"(?:(?P<domain>{_LABEL}(?:\.{_LABEL})*)|\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[1-9][0-9]{{0,4}}))?",
    re.IGNORECASE,
)
_SCHEMES_WITHOUT_PAGES = frozenset({"about", "blob", "data", "ftp", "javascript", "mailto", "ws", "wss"})
_NULL = (
    '"null" is what a sandboxed frame, a file and a redirect from elsewhere send, also those of an attacker, so it can\'t be '
    "trusted"
)
_ANYBODYS = re.compile(
    r"(?!localhost\Z)[^.]+"
    r"|(?:ac|co|com|edu|gob?|gov|govt|ltd|me|mil|net?|nhs|nom|or|org|plc|sch)\.[a-z]{2}"
    r"|(?:github|gitlab)\.io|(?:deno|fly|pages|workers)\.dev"
    r"|(?:netlify|ngrok|ngrok-free|vercel|web|(?:a\.)?run|(?:up\.)?railway)\.app"
    r"|(?:amplifyapp|appspot|firebaseapp|herokuapp|onrender)\.com|(?:azurestaticapps|azurewebsites|cloudfront)\.net"
)
"""Where anybody gets a subdomain: what is written by mistake. The whole list, https://publicsuffix.org, changes every week."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SECURE = frozenset({"https", "wss"})
_SHOWN = 100
"""How many characters of an ``Origin`` a refusal shows: the client sends whatever it likes."""


class OriginPolicy:
    """Whom to believe: this site itself, and others that were named.

    Args:
        trusted: origins, each ``scheme://host[:port]``, or with ``*.`` before the host for all that is below it.
        exempt: patterns of paths, as the router of the kit's application sees them, where everybody is believed.
        enabled: ``False`` to believe everybody everywhere.
    """

    def __init__(self, trusted: Iterable[str] = (), exempt: Iterable[str] = (), *, enabled: bool = True) -> None:
        require_bool(enabled, "SessionKit(cross_origin_protection=...)")
        self.enabled = enabled
        origins = list(
            map(_trusted_origin, require_list(trusted, "trusted_origins", '["https://accounts.example.com"]'))
        )
        self._trusted = frozenset(origin for origin in origins if "*" not in origin)
        self._below = [_matcher(origin) for origin in origins if "*" in origin]
        self._exempt = [Pattern(path) for path in require_list(exempt, "cross_origin_exempt", '["/callback"]')]

    def allows(self, scope: Scope) -> bool:
        """Whether the request comes from this site, from a trusted origin, or from no browser at all, or need not."""
        if not self.enabled:
            return True
        sites, origins, hosts = (_values(scope, name) for name in (b"sec-fetch-site", b"origin", b"host"))
        if self._exempt and self._is_exempt(scope):
            return True
        if len(origins) > 1:
            return False
        if origins and self.trusts(origins[0]):
            return True
        if sites:
            return all(site in {"same-origin", "none"} for site in sites)
        return not origins or (len(hosts) == 1 and _is_own_page(origins[0], hosts[0], scope.get("scheme", "http")))

    def trusts(self, origin: str) -> bool:
        """Whether an origin is among the trusted ones."""
        normal = _normal(origin)
        return normal in self._trusted or any(matcher.fullmatch(normal) for matcher in self._below)

    def _is_exempt(self, scope: Scope) -> bool:
        path = route_path(scope)
        return not is_ambiguous(scope["path"]) and any(pattern.matches(path) for pattern in self._exempt)


def refusal(scope: Scope, what: str) -> str:
    """The text of a refusal: where the request came from, and the settings that would let it pass.

    Args:
        scope: the request.
        what: what was refused, ``"request"``, ``"sign-in"`` or ``"change"``.
    """
    text = (
        f"Cross-origin {what} refused: it came from {source(scope)}. Other origins that may do this are listed in "
        "SessionKit(trusted_origins=[...]), endpoints that prove their caller otherwise in cross_origin_exempt=[...]"
    )
    if _values(scope, b"origin") == ["null"]:
        text += f". {_NULL}"
    if what == "sign-in" and _is_form_post(scope):
        text += ". An identity provider that posts back (response_mode=form_post) belongs in one of them too"
    return text


def source(scope: Scope) -> str:
    """Where a request came from, in a form that fits into a log."""
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
    if isinstance(origin, str) and (origin.lower() == "null" or origin.lower().startswith("file:")):
        raise ConfigurationError(
            f'trusted_origins can\'t take {origin!r}. A page from a file sends no origin but "null", and {_NULL}: serve the '
            "page over http, or name its endpoints in cross_origin_exempt=[...] where they prove their caller otherwise"
        )
    match = _ORIGIN.fullmatch(origin) if isinstance(origin, str) else None
    if match is None or not _is_origin(match):
        raise ConfigurationError(
            "trusted_origins takes origins as browsers send them, scheme://host[:port] with nothing behind, "
            f'for example "https://accounts.example.com", "https://*.example.com" or "capacitor://localhost", not {origin!r}'
        )
    if match["below"] and _ANYBODYS.fullmatch(match["domain"].lower()):
        raise ConfigurationError(
            f"trusted_origins: {origin!r} would trust sites of strangers, for anybody gets a name below "
            f'{match["domain"]}: name a domain of your own, as in "https://*.example.com"'
        )
    return _normal(match[0])


def _is_origin(match: re.Match[str]) -> bool:
    if int(match["port"] or 0) >= 65_536 or match["scheme"].lower() in _SCHEMES_WITHOUT_PAGES:
        return False
    if match["name"]:  # what Electron's applications call themselves: "app://.", "app://-"
        return not match["below"] and match["scheme"].lower() not in _DEFAULT_PORTS
    if match["below"]:
        return (
            match["scheme"].lower() in _DEFAULT_PORTS
            and match["domain"] is not None
            and not match["domain"][-1].isdigit()
        )
    return match["v6"] is None or _is_ipv6(match["v6"])


def _matcher(origin: str) -> re.Pattern[str]:
    """What ``https://*.example.com`` stands for: one or more labels, and never none."""
    return re.compile(re.escape(origin).replace(r"\*\.", r"(?:[a-z0-9_-]+\.)+"))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
