"""Typed sessions and route protection for FastAPI, as dependencies."""

from .access import Access
from .backends import CookieBackend, SessionBackend, SessionDirectory, StoreBackend
from .cookie import CookieSettings
from .decisions import Decision
from .dependencies import (
    get_session,
    get_session_info,
    has_all_permissions,
    has_any_permission,
    has_permission,
    has_role,
    has_role_permission,
    is_authenticated,
    require,
    require_any_permission,
    require_fresh,
    require_permission,
    require_role,
    require_session,
)
from .errors import (
    ConfigurationError,
    Forbidden,
    NotAuthenticated,
    SessionKitError,
    SessionTooLarge,
    StoreUnavailable,
)
from .guard import RouterGuard, login_redirect_target
from .kit import SessionKit
from .markers import public
from .mutation import clear_session, reauthenticate_session, regenerate_session, set_session, update_session
from .requirements import (
    Requirement,
    any_permission,
    custom,
    fresh,
    owner,
    permission,
    role,
    signed_in,
)
from .rules import Rule
from .session import Session, SessionInfo
from .stores.base import SessionRecord, SessionStore
from .stores.memory import MemoryStore
from .watching import session_watch
from .without_waiting import session_of, session_reason

__all__ = [
    "Access",
    "ConfigurationError",
    "CookieBackend",
    "CookieSettings",
    "Decision",
    "Forbidden",
    "MemoryStore",
    "NotAuthenticated",
    "Requirement",
    "RouterGuard",
    "Rule",
    "Session",
    "SessionBackend",
    "SessionDirectory",
    "SessionInfo",
    "SessionKit",
    "SessionKitError",
    "SessionRecord",
    "SessionStore",
    "SessionTooLarge",
    "StoreBackend",
    "StoreUnavailable",
    "any_permission",
    "clear_session",
    "custom",
    "fresh",
    "get_session",
    "get_session_info",
    "has_all_permissions",
    "has_any_permission",
    "has_permission",
    "has_role",
    "has_role_permission",
    "is_authenticated",
    "login_redirect_target",
    "owner",
    "permission",
    "public",
    "reauthenticate_session",
    "regenerate_session",
    "require",
    "require_any_permission",
    "require_fresh",
    "require_permission",
    "require_role",
    "require_session",
    "role",
    "session_of",
    "session_reason",
    "session_watch",
    "set_session",
    "signed_in",
    "update_session",
]
