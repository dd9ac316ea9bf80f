"""The session as the application sees it: ``Session``, the model to subclass, and ``SessionInfo``, its clocks."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from .stores.base import SessionRecord

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _plain(text: str) -> str:
    if not text.isprintable() and _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _of_text(value: object) -> object:
    if value is None or isinstance(value, (str, bytes)):  # of None and bytes str() makes no id
        return value
    kind = type(value).__name__
    raise PydanticCustomError("string_type", "must be text, not {kind}: write user_id=str(user.id)", {"kind": kind})


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return _plain(text)


def _address(text: str) -> str:
    if "@" not in text:
        raise ValueError("must contain an @")
    return _plain(text)


UserId = Annotated[
    str, StringConstraints(strict=True, max_length=255), AfterValidator(_not_blank), BeforeValidator(_of_text)
]
Email = Annotated[str, StringConstraints(strict=True, max_length=320), AfterValidator(_address)]
Role = Annotated[str, StringConstraints(strict=True, max_length=100), AfterValidator(_plain)]
Permission = Annotated[str, StringConstraints(strict=True, max_length=200)]


class Session(BaseModel):
    """Who is signed in. Subclass it for your own fields; values are immutable for the length of a request.

    The fields here are strict: values are not converted (``user_id=1`` is an error), except that ``roles`` and
    ``permissions`` take any list or tuple of strings. Your own fields convert as Pydantic usually does, unless you say
    ``model_config = ConfigDict(strict=True)``. Frozen: assigning to a field raises; use
    ``update_session(request, field=value)``.
    Extra fields are kept, as far as JSON can hold them; ``model_config = ConfigDict(extra="forbid")`` refuses them.
    No number is infinite or NaN, for JSON has none of these.
    Validation errors never show the values, so that they may be logged.

    Attributes:
        user_id: 1 to 255 characters, not blank, no control characters.
        email: at most 320 characters, with an ``@``, no control characters; or ``None``.
        role: at most 100 characters, no control characters; or ``None``.
        roles: at most 100 more roles. Whatever asks for a role looks at ``role`` and ``roles``, by ``all_roles``.
        permissions: at most 500, each at most 200 characters.

    Raises:
        pydantic.ValidationError: at construction, and on assignment to a field.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="allow", hide_input_in_errors=True, allow_inf_nan=False
    )

    user_id: UserId
    email: Email | None = None
    role: Role | None = None
    roles: Annotated[tuple[Role, ...], Field(strict=False, max_length=100)] = ()
    permissions: Annotated[tuple[Permission, ...], Field(strict=False, max_length=500)] = ()

    @property
    def all_roles(self) -> frozenset[str]:
        """``role`` and ``roles`` together. Whatever asks for a role asks this, so a subclass may add roles that follow."""
        return frozenset(self.roles if self.role is None else (self.role, *self.roles))

    def has_role(self, role: str) -> bool:
        """Whether ``role`` is among ``all_roles``."""
        return role in self.all_roles

    def has_permission(self, permission: str) -> bool:
        """Whether the session has exactly this permission; there are no wildcards."""
        return permission in self.permissions

    def has_all_permissions(self, *permissions: str) -> bool:
        """Whether the session has every one of these; true for none."""
        return all(permission in self.permissions for permission in permissions)

    def has_any_permission(self, *permissions: str) -> bool:
        """Whether the session has at least one of these; false for none."""
        return any(permission in self.permissions for permission in permissions)

    def has_role_permission(self, role: str, permission: str) -> bool:
        """Whether the session has both the role and the permission."""
        return self.has_role(role) and self.has_permission(permission)

    def __setattr__(self, name: str, value: Any) -> None:
        """Private attributes aside, a session does not change: raises ``pydantic.ValidationError``."""
        if name in self.__private_attributes__:
            super().__setattr__(name, value)
        else:
            self._refuse_change(name)

    def __delattr__(self, name: str) -> None:
        """Raise as assignment does."""
        if name in self.__private_attributes__:
            super().__delattr__(name)
        else:
            self._refuse_change(name)

    def _refuse_change(self, name: str) -> NoReturn:
        error = PydanticCustomError(
            "frozen_instance",
            "A session is frozen. Change it with update_session(request, {name}=...)",
            {"name": name},
        )
        title = type(self).__name__
        raise ValidationError.from_exception_data(
            title, [{"type": error, "loc": (name,), "input": None}], hide_input=True
        )


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """The clocks of one session; all times are aware, in UTC.

    Attributes:
        created_at: when this sign-in happened; the absolute lifetime counts from here.
        authenticated_at: when the user last proved who they are; ``fresh(...)`` asks this.
        last_seen_at: the idle lifetime counts from here; noted to a tenth of that lifetime.
        expires_at: when it ends if it is not used before.
    """

    created_at: datetime
    authenticated_at: datetime
    last_seen_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, record: SessionRecord) -> "SessionInfo":
        """The clocks of a stored record."""
        times = (record.created_at, record.authenticated_at, record.last_seen_at, record.expires_at)
        return cls(*(datetime.fromtimestamp(time, UTC) for time in times))
