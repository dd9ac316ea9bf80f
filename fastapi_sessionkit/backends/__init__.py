"""Backends: from the client's token to a record and back.

``CookieBackend`` is stateless: the signed token is the record. ``StoreBackend`` keeps records in a ``SessionStore``:
its token is a signed random id. Both implement ``SessionBackend``, and so can anybody.
"""

from ..stores.base import SessionFeed
from .base import (
    BackendContext,
    Change,
    Loaded,
    SessionBackend,
    SessionDirectory,
    SessionExplainer,
    SessionsElsewhere,
    Written,
)
from .signed import CookieBackend
from .stored import StoreBackend

__all__ = [
    "BackendContext",
    "Change",
    "CookieBackend",
    "Loaded",
    "SessionBackend",
    "SessionDirectory",
    "SessionExplainer",
    "SessionFeed",
    "SessionsElsewhere",
    "StoreBackend",
    "Written",
]
