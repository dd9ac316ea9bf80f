"""What happens to sessions, for those who want to be told: ``kit.on``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventName = Literal[
    "signed_in",
    "signed_out",
    "rotated",
    "updated",
    "revoked",
    "expired",
    "denied",
    "refused_origin",
    "invalid_token",
    "store_error",
]
"""One of these:

- ``signed_in``: a session began, by ``set_session`` or ``issue_token``.
- ``signed_out``: it ended by ``clear_session``.
- ``rotated``: it moved to a new id.
- ``updated``: fields of it changed.
- ``revoked``: it was ended from outside, by ``kit.sessions``, the ``revalidate`` hook or ``max_sessions_per_user``.
- ``expired``: a request brought the token of a session whose time is over.
- ``denied``: a guard or a dependency let somebody not in, or nobody.
- ``refused_origin``: a request or a sign-in came from another origin.
- ``invalid_token``: a request brought a token that leads nowhere; the reason is one of ``session_reason``'s.
- ``store_error``: the store failed, so that a request was answered with 503 or a touch was left out.
"""


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """What happened. It holds no token, no id and nothing of the session but whose it is.

    Attributes:
        name: what it was.
        at: when, by the kit's clock; aware, in UTC.
        user_id: whose session; ``None`` where that is nobody's or not known.
        fingerprint: the same for one session, through every move to a new id, and different for another. It tells nothing:
            without the kit's secret it leads back to no session. ``None`` where no session is known.
        method: the request's method; ``None`` where it happened outside of one.
        path: the request's path as the client wrote it, decoded. It may hold line breaks: show it by ``repr``.
        reason: why, in words that hold nothing of the session; ``None`` where the name says it all.
    """

    name: EventName
    at: datetime
    user_id: str | None
    fingerprint: str | None
    method: str | None
    path: str | None
    reason: str | None


Handler = Callable[[SessionEvent], Awaitable[object] | object]
"""A function that is told of an event. A plain one runs in a thread of its own, an async one on the event loop."""
