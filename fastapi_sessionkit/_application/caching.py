"""What a response says to caches when it depends on the session (RFC 9111, sections 4.1 and 5.2)."""

from starlette.types import Message

from ..transport import Headers

_TARGETED = (b"-cache-control", b"surrogate-control")
"""What a field ends with that some shared caches obey in place of ``Cache-Control`` (RFC 9213): ``CDN-Cache-Control``."""
_OWN = frozenset({b"private", b"no-store"})


def mark_dependent(message: Message, varies_by: bytes, *, signed_in: bool) -> Headers:
    """Say of the response that begins that it depends on the session; gives its headers.

    Args:
        message: the response's first message.
        varies_by: the request headers that the response depends on.
        signed_in: whether it is made for somebody who is signed in: some shared caches ignore ``Vary``.
    """
    headers: Headers = list(message.get("headers", ()))
    message["headers"] = headers
    names = [name.lower() for name, _ in headers]
    if b"vary" not in names:
        headers.append((b"vary", varies_by))
    elif b"*" not in (named := _items(headers, b"vary")):
        missing = [name for name in varies_by.split(b", ") if name.lower() not in named]
        headers += [(b"vary", b", ".join(missing))] if missing else []
    if signed_in and b"cache-control" not in names:
        headers.append((b"cache-control", b"private, no-cache"))
    return headers


def mark_changing(message: Message, varies_by: bytes, given: Headers) -> None:
    """Put on the response what gives the client a token or takes it away, and keep it out of caches: it is a leak there.

    An application that says ``private`` or ``no-store`` itself is left alone; ``private="field"`` is not enough, for it
    speaks of that field alone (RFC 9111, section 5.2.2.7). What speaks to some caches alone goes.
    """
    headers = mark_dependent(message, varies_by, signed_in=False)
    headers += given
    headers[:] = [header for header in headers if not header[0].lower().endswith(_TARGETED)]
    if not _items(headers, b"cache-control") & _OWN:
        headers[:] = [header for header in headers if header[0].lower() != b"cache-control"]
        headers.append((b"cache-control", b"no-store"))


def _items(headers: Headers, name: bytes) -> set[bytes]:
    """What a comma-separated header names, in lower case."""
    values = (value for key, value in headers if key.lower() == name)
    return {item.strip().lower() for value in values for item in value.split(b",")}
