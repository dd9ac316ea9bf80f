"""Helpers for your tests: sign a client in without a login route, and read back what it holds.

``SessionStoreContract`` is the suite that every ``SessionStore`` passes; subclass it to prove your own. It needs
pytest, so it is loaded only when somebody asks for it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .clients import session_of, signed_in

if TYPE_CHECKING:
    from .contract import SessionStoreContract

__all__ = ["SessionStoreContract", "session_of", "signed_in"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.contract"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
