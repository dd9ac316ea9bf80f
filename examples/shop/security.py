"""The shop's security log: a line for each thing that whoever watches over the shop would want to know."""

import logging

from examples.shop.sessions import kit
from fastapi_sessionkit.events import SessionEvent

logger = logging.getLogger(__name__)

ALARMING = {"denied", "refused_origin", "invalid_token", "store_error"}


@kit.on(
    "signed_in",
    "signed_out",
    "rotated",
    "revoked",
    "expired",
    "denied",
    "refused_origin",
    "invalid_token",
    "store_error",
)
def note(event: SessionEvent) -> None:
    """Who, which session, where and why. The session's mark is the same in all its lines, and opens nothing."""
    logger.log(logging.WARNING if event.name in ALARMING else logging.INFO, line(event))


def line(event: SessionEvent) -> str:
    """One event in one line, whatever a client has put into its path."""
    parts = [f"{event.at:%Y-%m-%d %H:%M:%S}", f"{event.name:<14}", event.user_id or "nobody"]
    parts += [f"session {event.fingerprint}"] if event.fingerprint else []
    parts += [f"{event.method} {event.path!a}"] if event.path else []
    return "  ".join(parts) + (f": {event.reason}" if event.reason else "")


def show() -> None:
    """Write the log to standard error, beside the server's own."""
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False
