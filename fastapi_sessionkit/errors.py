"""Every error of the library, by who can mend it.

::

    SessionKitError
    ├── ConfigurationError      (ValueError)      the developer: raised at construction, install or startup
    ├── SessionTooLarge                           the developer: the session outgrew its cookie or token
    ├── NotAuthenticated        (HTTPException)   the client: 401, nobody is signed in, or not recently enough
    ├── Forbidden               (HTTPException)   the client: 403, signed in and still not allowed
    └── StoreUnavailable        (HTTPException)   the world: 503, the storage engine did not answer
"""

from collections.abc import Mapping

from fastapi import HTTPException

_INSUFFICIENT = 'error="insufficient_user_authentication"'  # RFC 9470, section 3


class SessionKitError(Exception):
    """The root of every error that this library raises."""


class ConfigurationError(SessionKitError, ValueError):
    """The kit, a rule or a setting can't work as written. The message says what to write instead."""


class SessionTooLarge(SessionKitError):
    """The cookie or token that would hold this session is over the limit, so it is not given out and nothing is saved.

    Browsers drop a cookie whose name and value together exceed 4,096 bytes (RFC 6265bis, section 5.7). A bearer token
    has no more room than the cookie's value.

    Attributes:
        size: bytes that it would take; of a cookie its name and value together.
        limit: bytes allowed.
        fields: the session's largest fields and the bytes each takes as JSON, largest first.
    """

    def __init__(self, size: int, limit: int, fields: Mapping[str, int], noun: str = "cookie") -> None:
        largest = ", ".join(f"{name} ({length:,} bytes)" for name, length in fields.items())
        super().__init__(
            f"The session's {noun} would take {size:,} bytes, and its limit is {limit:,}. Largest fields: {largest}. "
            "Keep less in the session, or keep it on the server: SessionKit(backend=StoreBackend(store))."
        )
        self.size: int = size
        self.limit: int = limit
        self.fields: dict[str, int] = dict(fields)


class NotAuthenticated(SessionKitError, HTTPException):
    """401: nobody is signed in (RFC 9110, section 15.5.2), or too long ago for what was asked (RFC 9470, step-up).

    Attributes:
        max_age: where somebody is signed in and has to prove again who they are: the seconds that may lie between that
            and the request. ``None`` where nobody is signed in.
    """

    def __init__(
        self,
        detail: str = "Not authenticated",
        headers: Mapping[str, str] | None = None,
        *,
        max_age: float | None = None,
    ) -> None:
        # The Cookie scheme of draft-broyer-http-cookie-auth: RFC 9110 asks for a challenge, browsers ignore this one.
        challenge = "Cookie" if max_age is None else f'Cookie {_INSUFFICIENT}, max_age="{int(max_age)}"'
        HTTPException.__init__(self, 401, detail, {"WWW-Authenticate": challenge, **(headers or {})})
        self.max_age: float | None = max_age


class Forbidden(SessionKitError, HTTPException):
    """403: the request is understood and refused (RFC 9110, section 15.5.4)."""

    def __init__(self, detail: str = "Forbidden", headers: Mapping[str, str] | None = None) -> None:
        HTTPException.__init__(self, 403, detail, dict(headers) if headers else None)


class StoreUnavailable(SessionKitError, HTTPException):
    """503: the storage engine failed or did not answer in time; the cause is chained.

    Never answered as "nobody is signed in": an outage must not look like a logout.
    """

    def __init__(self, detail: str = "Session storage is unavailable") -> None:
        HTTPException.__init__(self, 503, detail, {"Cache-Control": "no-store"})
