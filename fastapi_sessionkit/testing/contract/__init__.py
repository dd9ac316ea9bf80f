"""What every ``SessionStore`` must do, as tests to inherit. Users import it from ``fastapi_sessionkit.testing``."""

from .store import SessionStoreContract

__all__ = ["SessionStoreContract"]
