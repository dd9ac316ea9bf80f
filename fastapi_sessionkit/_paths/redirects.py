"""Same-site paths: what may be the target of a redirect, and the ``next`` that carries one to the login page and back.

An open redirect lends an attacker the site's good name (OWASP, Unvalidated Redirects and Forwards), so a target is a
path on this site or it is nothing.
"""

import re
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.types import Scope

from ..errors import ConfigurationError

_LONGEST = 2_048
_PATH = "/:@!$&'()*+,;=~"  # what RFC 3986 lets stand in a path
_URL = _PATH + "%?#[]"
# A browser drops tabs and newlines, reads a backslash as a slash, and takes two slashes for the start of a host
# (WHATWG URL, "basic URL parser"), so a path holds none of these.
_SAME_SITE = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f\u2028\u2029\ufffd]*", re.ASCII)


def is_same_site(target: object) -> bool:
    """Whether a browser that follows this target stays on the site: a path, perhaps with a query and a fragment."""
    return isinstance(target, str) and len(target) <= _LONGEST and _SAME_SITE.fullmatch(target) is not None


def checked_target(target: str, name: str) -> str:
    """The target of a setting, or ``ConfigurationError``."""
    if not is_same_site(target):
        raise ConfigurationError(f'{name} must be a path on this site such as "/login", not {target!r}')
    return target


def next_target(request: HTTPConnection, default: str) -> str:
    """The query's ``next`` as a ``Location`` if it is one path on this site, otherwise the default if that is, or ``/``."""
    default = default if is_same_site(default) else "/"
    wanted = wanted_page(request.scope)
    if wanted is None:
        return default
    target = quote(wanted, safe=_URL)
    return target if is_same_site(target) else default  # encoded it is longer


def wanted_page(scope: Scope) -> str | None:
    """The query's ``next`` if it is one path on this site."""
    wanted = HTTPConnection(scope).query_params.getlist("next")
    return wanted[0] if len(wanted) == 1 and is_same_site(wanted[0]) else None


def location(scope: Scope, target: str, wanted: str | None = None) -> str:
    """A ``Location`` for a target of this application, under its ``root_path``, with ``wanted`` as its ``next``."""
    root = scope.get("root_path", "").strip("/")  # it may come from a proxy's header: "//host" would be another site
    url = quote(f"/{root}{target}" if root else target, safe=_URL)
    if wanted is None or not is_same_site(wanted):
        return url
    path, fragment_mark, fragment = url.partition("#")
    mark = "&" if "?" in path else "?"
    return f"{path}{mark}next={quote(wanted, safe='/')}{fragment_mark}{fragment}"


def requested(scope: Scope) -> str:
    """The path and query that the client asked for, percent-encoded, as the browser knows them."""
    root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    if root and path != root and not path.startswith(root + "/"):
        path = root + path  # a proxy took the prefix off
    query = scope.get("query_string", b"").decode("latin-1")
    return quote(path, safe=_PATH) + (f"?{query}" if query else "")


def path_of(target: str) -> str:
    """The part of a target before its query and its fragment."""
    return target.partition("#")[0].partition("?")[0]


def path_and_query(url: str) -> str | None:
    """The part of an absolute URL behind its host; ``None`` when there is none or it can't be read."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
