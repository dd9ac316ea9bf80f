"""Why nobody is signed in, in one word: what ``session_reason`` gives and the debug log says. Never a value."""

from typing import Literal

Reason = Literal[
    "no_cookie",
    "malformed",
    "bad_signature",
    "expired",
    "ended",
    "ambiguous_cookie",
    "unknown_id",
    "superseded",
    "model_mismatch",
    "clock_skew",
]
"""One of these:

- ``no_cookie``: the request brought no token.
- ``malformed``: what it brought can't be a token: cut off, too long, or another program's.
- ``bad_signature``: it was not signed for this kit with any of its secrets.
- ``expired``: the session was not used for its idle lifetime, or is older than its absolute one.
- ``ended``: it was signed out, revoked or replaced, or the ``revalidate`` hook ended it.
- ``ambiguous_cookie``: several cookies of the name came, and not exactly one of them leads to a session.
- ``unknown_id``: the store has no such session, and this process does not remember why.
- ``superseded``: the session has moved to a new id, and the old one serves no more.
- ``model_mismatch``: what is stored does not fit the model.
- ``clock_skew``: a signed session was last used in this server's future, so the clocks of two servers disagree.
"""
