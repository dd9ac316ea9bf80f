"""The bearer token: sessions for clients without cookies, in the ``Authorization`` header (RFC 6750, section 2.1)."""

import re
import string
from collections.abc import Mapping, Sequence

from starlette.types import Scope

from .cookie import LIMIT, SessionCookie
from .errors import SessionTooLarge
from .transport import Headers

_IS_BEARER = re.compile(rb"[ \t]*bearer(?![!#$%&'*+\-.^_`|~0-9A-Za-z])", re.IGNORECASE)  # RFC 9110, section 11.1
_BEFORE_TOKEN = re.compile(rb"[ \t]*bearer +", re.IGNORECASE)
_IN_TOKEN = (string.ascii_letters + string.digits + "-._~+/=").encode()  # RFC 6750, section 2.1


class BearerToken:
    """The ``Authorization`` header as a ``Transport``: the client keeps its token and sends it, no response changes it.

    It stands beside a cookie. A request that has the header is the bearer's, whatever cookie it has too.
    """

    rides_along: bool = False
    issued: bool = True
    varies_by: bytes = b"Authorization"
    noun: str = "bearer token"
    challenge: bytes = b"Bearer"

    def __init__(self, cookie: SessionCookie) -> None:
        self.name: str = cookie.name
        self.limit: int = cookie.limit
        self.header_limit: int = cookie.header_limit
        self.scheme_name: str = cookie.scheme_name.removesuffix("_cookie") + "_bearer"
        self.scheme: Mapping[str, str] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A session's token, for clients without cookies.",
        }

    def read(self, scope: Scope) -> Sequence[bytes]:
        """The token of the header; none where the header is another scheme's.

        Two headers are ambiguous, whatever their schemes: a proxy and the application may each take another one.
        """
        found = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(found) > 1:
            return (b"",)
        return [_token(value) for value in found if _IS_BEARER.match(value)]

    def write(self, token: str, max_age: float | None, scope: Scope) -> Headers:  # noqa: ARG002
        """Nothing: the application has given the token out."""
        return []

    def remove(self) -> Headers:
        """Nothing: no response can make the client forget it."""
        return []

    def too_large(self, overflow: int, fields: Mapping[str, int]) -> SessionTooLarge:
        """The error for a token that would not be read."""
        return SessionTooLarge(self.limit + overflow, self.limit, fields, self.noun)


def _token(header: bytes) -> bytes:
    """The token in a header; ``b""`` where there is none that can be used."""
    before = _BEFORE_TOKEN.match(header)
    token = b"" if before is None else header[before.end() :].rstrip(b" \t")
    is_usable = len(token) <= LIMIT and not token.translate(None, _IN_TOKEN)  # quicker than a regular expression
    return token if is_usable else b""
