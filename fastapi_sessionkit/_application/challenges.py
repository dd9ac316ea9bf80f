"""What a 401 says about how to sign in, where a kit has more than one way to bring a token."""

from typing import Any

from starlette.types import Message

from .._request.request_session import RequestSession
from ..transport import Headers

_OWN = b"Cookie"
"""The scheme in the challenge of ``NotAuthenticated``."""


def add_challenges(message: Message, own: RequestSession[Any]) -> None:
    """Let a 401 that names the first way to bring a token name the others too (RFC 9110, section 11.6.1).

    Where a token came by one of these and is nobody's, that is said (RFC 6750, section 3.1).

    Args:
        message: the first message of a response.
        own: the request's session.
    """
    first, *others = own.services.transports
    headers: Headers = list(message.get("headers", ()))
    asked_for = [_parameters(value, _OWN) for name, value in headers if name.lower() == b"www-authenticate"]
    if first.challenge not in {_OWN, b""}:  # no cookie is read, so nothing asks for one
        headers = [_renamed(name, value, first.challenge) for name, value in headers]
    others = [transport for transport in others if transport.challenge]
    for transport in others if asked_for and asked_for[0] is not None else ():
        was_refused = own.services.transport is transport and own.asked and own.is_nobody
        parameters = asked_for[0] or (b' error="invalid_token"' if was_refused else b"")
        headers.append((b"www-authenticate", transport.challenge + parameters))
    message["headers"] = headers


def _renamed(name: bytes, value: bytes, scheme: bytes) -> tuple[bytes, bytes]:
    """The header, with another scheme where it is the challenge of a cookie."""
    parameters = _parameters(value, _OWN) if name.lower() == b"www-authenticate" else None
    return (name, value if parameters is None else scheme + parameters)


def _parameters(challenge: bytes, scheme: bytes) -> bytes | None:
    """What stands behind the scheme in a challenge; ``None`` in one of another scheme."""
    return challenge[len(scheme) :] if challenge.split(b" ", 1)[0] == scheme else None
