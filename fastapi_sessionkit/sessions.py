"""The names of ``fastapi_sessionkit.manager`` under the path that they had first."""

from .manager import ActiveSession, SessionManager

__all__ = ["ActiveSession", "SessionManager"]
