"""What brings a session's token with a request and takes it back with the response: a cookie, or another header."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from starlette.types import Scope

from .errors import SessionTooLarge

Headers = list[tuple[bytes, bytes]]
"""Raw response headers, as ASGI has them."""


class Transport(Protocol):
    """Reads the token from a request, and writes and removes it on the response.

    Attributes:
        name: what the client knows the token by: no two kits on one application have the same.
        rides_along: whether browsers send the token by themselves, also with requests that another site causes. Such
            a token needs the cross-origin check, and a sign-in needs it too (CSRF, login CSRF).
        issued: whether the token is given out otherwise, by ``kit.issue_token`` or another service, and no response can
            bring another one, so that it stays the same as long as its session lives. A session's record says it too: a token that was
            made for one kind of transport is nobody's in the other.
        limit: bytes that a token may take.
        header_limit: bytes that the header may take, everything in it included: a request with a longer one is 431
            before anything parses it (RFC 6585, section 5).
        varies_by: the request header that brings the token, or several with ``, `` between them, for ``Vary``.
        noun: what messages call it.
        challenge: its scheme in ``WWW-Authenticate`` (RFC 9110, section 11.6.1); empty where it has none.
        scheme_name: what OpenAPI calls its security scheme.
        scheme: OpenAPI's security scheme object.
    """

    name: str
    rides_along: bool
    issued: bool
    limit: int
    header_limit: int
    varies_by: bytes
    noun: str
    challenge: bytes
    scheme_name: str
    scheme: Mapping[str, str]

    def read(self, scope: Scope) -> Sequence[bytes]:
        """Every token that the request brings, as it came: not decoded, not verified, none longer than the limit.

        None, one, or several where two of one name were sent. A name that brings no usable token is not nothing: it
        gives ``b""``.
        """
        ...

    def write(self, token: str, max_age: float | None, scope: Scope) -> Headers:
        """The response headers that make the client keep the token for ``max_age`` seconds; ``None``: until it is closed."""
        ...

    def remove(self) -> Headers:
        """The response headers that make the client forget it."""
        ...

    def too_large(self, overflow: int, fields: Mapping[str, int]) -> SessionTooLarge:
        """The error for a token that is ``overflow`` bytes over the limit; ``fields`` are the session's largest, in bytes."""
        ...
