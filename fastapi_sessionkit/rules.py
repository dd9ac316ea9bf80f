"""A rule: which paths and methods it is about, and what they require."""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from fastapi_sessionkit import requirements
from fastapi_sessionkit._durations import Duration
from fastapi_sessionkit._patterns import Pattern
from fastapi_sessionkit._redirects import checked_target
from fastapi_sessionkit.errors import ConfigurationError, require_bool
from fastapi_sessionkit.requirements import Requirement, all_of, custom, signed_in

_METHOD = re.compile(r"(?=.*[A-Za-z])[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Rule:
    """What a pattern of paths requires. Immutable; everything is checked when it is made.

    Conditions that are given must all hold; none given means that somebody must be signed in.

    Args:
        pattern: ``/admin`` itself; ``*`` stands for one or more segments, ``**`` for zero or more: ``/admin/**``
            covers ``/admin``. Case counts, one trailing slash of the request does not. At most 1,000 characters.
        role: has this role.
        roles: has one of these roles.
        permission: has this permission.
        permissions: has all of these permissions.
        allow: ``allow(session)``, sync or async; gets ``None`` when nobody is signed in. An exception denies.
        fresh: signed in no longer ago than this; a ``timedelta`` or seconds.
        requires: any requirement, for example ``role("editor") & permission("reports:write") | role("admin")``.
        public: open to everybody; stands alone.
        methods: only these methods, of which GET covers HEAD; all by default. A WebSocket handshake is a GET.
        redirect_to: where a denied browser goes; a path on this site.

    Raises:
        ConfigurationError: for anything that can't be enforced as written.
    """

    __slots__ = ("methods", "path", "pattern", "public", "redirect_to", "requirement")

    def __init__(
        self,
        pattern: str,
        *,
        role: str | None = None,
        roles: Collection[str] | None = None,
        permission: str | None = None,
        permissions: Collection[str] | None = None,
        allow: Callable[[Any], Any] | None = None,
        fresh: Duration | None = None,
        requires: Requirement | None = None,
        public: bool = False,
        methods: Collection[str] | None = None,
        redirect_to: str | None = None,
    ) -> None:
        self.path: Pattern = Pattern(pattern)
        self.pattern: str = pattern
        self.methods: frozenset[str] | None = None if methods is None else _methods(methods)
        self.redirect_to: str | None = (
            None if redirect_to is None else checked_target(redirect_to, "Rule(redirect_to=...)")
        )
        conditions: list[Requirement] = []
        if role is not None:
            conditions.append(requirements.role(role))
        if roles is not None:
            conditions.append(requirements.role(*_listed(roles, "roles")))
        if permission is not None:
            conditions.append(requirements.permission(permission))
        if permissions is not None:
            conditions.append(requirements.permission(*_listed(permissions, "permissions")))
        if fresh is not None:
            conditions.append(requirements.fresh(fresh))
        if requires is not None:
            conditions.append(requires)
        if allow is not None:
            conditions.append(custom(allow))
        if public and conditions:
            msg = f"Rule({pattern!r}, public=True) is open to everybody, so it takes no condition"
            raise ConfigurationError(msg)
        require_bool(public, "Rule(public=...)")
        self.public: bool = public
        self.requirement: Requirement | None = None if public else all_of(*conditions) if conditions else signed_in

    def matches(self, path: str, method: str = "GET") -> bool:
        """Whether the rule is about this path and method."""
        return self.covers_method(method.upper()) and self.path.matches(path)

    def covers_method(self, method: str) -> bool:
        """Whether the rule is about this method."""
        return self.methods is None or method in self.methods

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            msg = f"A Rule does not change once it is made: {name}"
            raise AttributeError(msg)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        msg = f"A Rule does not change once it is made: {name}"
        raise AttributeError(msg)

    def __str__(self) -> str:
        methods = "" if self.methods is None else f"{','.join(sorted(self.methods))} "
        return f"{methods}{self.pattern}"

    def __repr__(self) -> str:
        return f"<Rule {self}: {'public' if self.requirement is None else self.requirement}>"


def _listed(names: object, what: str) -> tuple[Any, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        msg = f"Rule({what}=...) takes a list: {what}=[{names!r}]"
        raise ConfigurationError(msg)
    return tuple(names)


def _methods(methods: object) -> frozenset[str]:
    names = _listed(methods, "methods")
    if not names or not all(isinstance(name, str) and _METHOD.fullmatch(name) for name in names):
        msg = (
            f'Rule(methods=...) takes one or more HTTP methods such as ["POST", "DELETE"], not {methods!r}; '
            "leave methods out for all methods"
        )
        raise ConfigurationError(msg)
    upper = {name.upper() for name in names}
    return frozenset(upper | {"HEAD"} if "GET" in upper else upper)
