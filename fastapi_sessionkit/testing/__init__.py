"""Helpers for your tests: sign a client in without a login route, read back what it holds, say who may do what.

``SessionStoreContract`` and ``SessionBackendContract`` are the suites that every store and every backend pass;
subclass them to prove your own. They need pytest, and ``sessions_of`` needs Hypothesis, so they are loaded only when
somebody asks for them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .access_tables import assert_access
from .clients import session_of, signed_in
from .clock import FakeClock

if TYPE_CHECKING:
    from .contract import SessionBackendContract, SessionStoreContract
    from .strategies import sessions_of

__all__ = [
    "FakeClock",
    "SessionBackendContract",
    "SessionStoreContract",
    "assert_access",
    "session_of",
    "sessions_of",
    "signed_in",
]

_LATER = {"SessionBackendContract": "contract", "SessionStoreContract": "contract", "sessions_of": "strategies"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
