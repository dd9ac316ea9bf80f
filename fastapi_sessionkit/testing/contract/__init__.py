"""What every store and every backend must do, as tests to inherit.

Users import the two classes from ``fastapi_sessionkit.testing``.
"""

from .backend import SessionBackendContract
from .store import SessionStoreContract

__all__ = ["SessionBackendContract", "SessionStoreContract"]
