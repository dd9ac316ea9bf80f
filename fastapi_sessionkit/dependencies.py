"""Dependencies: the session and what it must be, for ``Depends``.

Each is one flat ``async`` dependency on ``HTTPConnection``, so that it serves HTTP and WebSocket routes, never takes a
thread, and costs one node. All of them together load the session once a request.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ._application.routes import path_segments
from ._paths.denial import refusal
from ._request.lookup import request_session_of
from ._request.request_session import RequestSession
from ._request.visitors import NO_USERS
from ._settings import Duration
from .access import Subject
from .cookie import CookieSettings, SessionCookie
from .errors import ConfigurationError
from .requirements import (
    Requirement,
    age_that_would_do,
    any_permission,
    fresh,
    permission,
    refusal_of,
    require_hashable,
    role,
    signed_in,
)
from .session import SessionInfo
from .transport import Transport

M = TypeVar("M")


async def get_session(connection: HTTPConnection) -> Any:
    """The session, or ``None`` when nobody is signed in."""
    return await request_session_of(connection.scope, "get_session").load()


async def get_session_info(connection: HTTPConnection) -> SessionInfo | None:
    """When the session was made, last used and will end; ``None`` when nobody is signed in."""
    return await request_session_of(connection.scope, "get_session_info").info()


async def is_authenticated(connection: HTTPConnection) -> bool:
    """Whether somebody is signed in."""
    own = request_session_of(connection.scope, "is_authenticated")
    await own.settle_now()
    return not own.is_nobody


class _Asks(Generic[M]):
    """A dependency that asks a requirement. Equal to any other that asks the same of the same kit."""

    __slots__ = ("_has_parts", "_hash", "_takes_segments", "kit", "name", "requirement")

    def __init__(self, requirement: Requirement, kit: object | None = None, name: str = "") -> None:
        self.requirement: Requirement = requirement
        self.kit: object | None = kit
        self.name: str = name
        self._has_parts = list(requirement.leaves()) != [requirement]
        self._takes_segments = any(leaf.takes_segments for leaf in requirement.leaves())
        self._hash = hash((type(self), requirement, kit))

    def _subject(self, own: RequestSession[Any], scope: Scope) -> Subject:
        if (
            self._has_parts and own.services.anonymous
        ):  # a visitor passes for signed_in, which must not hide the other parts
            raise ConfigurationError(NO_USERS)
        return own.subject().at(path_segments(scope)) if self._takes_segments else own.subject()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.kit is self.kit and other.requirement == self.requirement

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.requirement}>"


class Required(_Asks[M], SecurityBase):
    """A dependency that gives the session when it fulfils the requirement, and otherwise raises 401 or 403.

    To FastAPI it is a security scheme, the session's, so that every schema that it makes shows it.

    Attributes:
        transport: what brings the session's token, for the schema. Of no kit, that of the kit where it was last looked at.
    """

    __slots__ = ("transport",)

    def __init__(
        self, requirement: Requirement, kit: object | None = None, name: str = "", transport: Transport | None = None
    ) -> None:
        super().__init__(requirement, kit, name)
        self.transport: Transport | None = transport

    @property
    def scheme_name(self) -> str:  # type: ignore[override]
        """What the schema calls it."""
        return _shown(self.transport).scheme_name

    @property
    def model(self) -> Mapping[str, str]:  # type: ignore[override]
        """OpenAPI's security scheme object."""
        return _shown(self.transport).scheme

    async def __call__(self, connection: HTTPConnection) -> M:
        """The session.

        Raises:
            NotAuthenticated: 401, nobody is signed in, or too long ago.
            HTTPException: 302 or 303 instead, for a browser that signed in too long ago, where a guard knows the page.
            Forbidden: 403, somebody is and does not fulfil the requirement.
        """
        own = request_session_of(connection.scope, self.name, self.kit)
        await own.settle_now()
        is_simple = not (self._has_parts or self._takes_segments)
        subject = own.subject() if is_simple else self._subject(own, connection.scope)
        if self.requirement.refusal_now(subject) is not None:  # what can be told at once costs no further call
            await self._require(subject, own, connection.scope)
        own.judges = (*own.judges, (self._judge, connection.scope))
        session: Any = own.session
        fulfilling: M = session
        return fulfilling

    async def _judge(self, own: RequestSession[Any], scope: Scope) -> None:
        await self._require(self._subject(own, scope), own, scope)

    async def _require(self, subject: Subject, own: RequestSession[Any], scope: Scope) -> None:
        reason = await refusal_of(self.requirement, subject)
        if reason is None:
            return
        own.announce("denied", reason)
        max_age = await age_that_would_do(self.requirement, subject)
        refused = refusal(str(self.requirement), signed_in=not subject.is_nobody, max_age=max_age)
        if max_age is None or own.guard is None:
            raise refused()
        raise await own.guard.step_up_error(refused, scope, subject)


def _shown(transport: Transport | None) -> Transport:
    return SessionCookie(CookieSettings()) if transport is None else transport


class Asked(_Asks[bool]):
    """A dependency that says whether the session fulfils the requirement."""

    __slots__ = ()

    async def __call__(self, connection: HTTPConnection) -> bool:
        """Whether it does; ``False`` when nobody is signed in."""
        own = request_session_of(connection.scope, self.name, self.kit)
        await own.settle_now()
        return await refusal_of(self.requirement, self._subject(own, connection.scope)) is None


class Given(_Asks[M]):
    """A dependency that gives the session that every visitor has. It refuses nobody, so it is no security scheme."""

    __slots__ = ()

    async def __call__(self, connection: HTTPConnection) -> M:
        """The session; a fresh one where none is stored."""
        session: Any = await request_session_of(connection.scope, self.name, self.kit).load()
        given: M = session
        return given


require_session: Required[Any] = Required(signed_in, name="require_session")
"""The session; raises ``NotAuthenticated`` (401) when nobody is signed in."""


def require(requirement: Requirement) -> Required[Any]:
    """The session, when it fulfils a requirement; otherwise 401 or 403."""
    return Required(checked_requirement(requirement), name="require")


def require_role(*any_of: str) -> Required[Any]:
    """The session, when it has one of these roles; otherwise 401 or 403."""
    return Required(role(*any_of), name="require_role")


def require_permission(*all_of: str) -> Required[Any]:
    """The session, when it has all of these permissions; otherwise 401 or 403."""
    return Required(permission(*all_of), name="require_permission")


def require_any_permission(*any_of: str) -> Required[Any]:
    """The session, when it has one of these permissions; otherwise 401 or 403."""
    return Required(any_permission(*any_of), name="require_any_permission")


def require_fresh(max_age: Duration) -> Required[Any]:
    """The session, when its user signed in at most ``max_age`` ago (``timedelta`` or seconds); otherwise 401 or 403."""
    return Required(fresh(max_age), name="require_fresh")


def has_role(role_name: str) -> Asked:
    """Whether the session has this role."""
    return Asked(role(role_name), name="has_role")


def has_permission(permission_name: str) -> Asked:
    """Whether the session has this permission."""
    return Asked(permission(permission_name), name="has_permission")


def has_all_permissions(*all_of: str) -> Asked:
    """Whether the session has all of these permissions."""
    return Asked(permission(*all_of), name="has_all_permissions")


def has_any_permission(*any_of: str) -> Asked:
    """Whether the session has one of these permissions."""
    return Asked(any_permission(*any_of), name="has_any_permission")


def has_role_permission(role_name: str, permission_name: str) -> Asked:
    """Whether the session has both the role and the permission."""
    return Asked(role(role_name) & permission(permission_name), name="has_role_permission")


def checked_requirement(requirement: Requirement) -> Requirement:
    """The requirement, or ``ConfigurationError`` for what is none."""
    if not isinstance(requirement, Requirement):
        raise ConfigurationError(
            f"require() takes a requirement such as role('admin') or custom(fn), not {requirement!r}"
        )
    require_hashable(requirement)
    return requirement
