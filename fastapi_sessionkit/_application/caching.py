"""What a response says to caches when it depends on the session (RFC 9111, sections 4.1 and 5.2)."""

from starlette.types import Message

from ..transport import Headers

_OWN = frozenset({b"private", b"no-store"})


def mark_response(
    message: Message, headers: Headers, *, varies_by: bytes, signed_in: bool, changes_session: bool
) -> None:
    """Put the session's headers on the response that begins, and keep it out of shared caches.

    Args:
        message: the response's first message.
        headers: what gives the client a token, or takes it away.
        varies_by: the request header that the response depends on.
        signed_in: whether it was made for somebody who is signed in.
        changes_session: whether the request signs in or out, which a cached response would not.
    """
    if message["type"] == "websocket.close":
        return
    sent: Headers = list(message.get("headers", ()))
    message["headers"] = sent
    sent += headers
    names = set(map(bytes.lower, dict(sent)))
    if b"vary" not in names or not _items(sent, b"vary") & {varies_by.lower(), b"*"}:
        sent.append((b"vary", varies_by))
    # A cached token is a leak. private="field" is not enough: it speaks of that field alone (RFC 9111, 5.2.2.7).
    if (headers or changes_session) and not _items(sent, b"cache-control") & _OWN:
        sent[:] = [header for header in sent if header[0].lower() != b"cache-control"]
        sent.append((b"cache-control", b"no-store"))
    elif signed_in and b"cache-control" not in names:  # some shared caches ignore Vary
        sent.append((b"cache-control", b"private, no-cache"))


def _items(headers: Headers, name: bytes) -> set[bytes]:
    """What a comma-separated header names, in lower case."""
    values = (value for key, value in headers if key.lower() == name)
    return {item.strip().lower() for value in values for item in value.split(b",")}
