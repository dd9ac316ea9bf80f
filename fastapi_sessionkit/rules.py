"""A rule: which paths and methods it is about, and what they require."""

import re
from collections.abc import Callable, Collection
from typing import Any

from . import requirements
from ._patterns import Pattern
from ._redirects import checked_target
from ._settings import Duration, require_bool, require_list
from .errors import ConfigurationError
from .requirements import Requirement, all_of, custom, signed_in

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
            conditions.append(requirements.role(*require_list(roles, "Rule(roles=...)", '["user", "admin"]')))
        if permission is not None:
            conditions.append(requirements.permission(permission))
        if permissions is not None:
            conditions.append(
                requirements.permission(*require_list(permissions, "Rule(permissions=...)", '["read", "write"]'))
            )
        if fresh is not None:
            conditions.append(requirements.fresh(fresh))
        if requires is not None:
            conditions.append(requires)
        if allow is not None:
            conditions.append(custom(allow))
        if public and conditions:
            raise ConfigurationError(f"Rule({pattern!r}, public=True) is open to everybody, so it takes no condition")
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
            raise AttributeError(f"A Rule does not change once it is made: {name}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"A Rule does not change once it is made: {name}")

    def __str__(self) -> str:
        methods = "" if self.methods is None else f"{','.join(sorted(self.methods))} "
        return f"{methods}{self.pattern}"

    def __repr__(self) -> str:
        return f"<Rule {self}: {'public' if self.requirement is None else self.requirement}>"


def _methods(methods: object) -> frozenset[str]:
    names = require_list(methods, "Rule(methods=...)", '["POST", "DELETE"]')
    if not names or not all(isinstance(name, str) and _METHOD.fullmatch(name) for name in names):
        raise ConfigurationError(
            f'Rule(methods=...) takes one or more HTTP methods such as ["POST", "DELETE"], not {methods!r}; '
            "leave methods out for all methods"
        )
    upper = {name.upper() for name in names}
    return frozenset(upper | {"HEAD"} if "GET" in upper else upper)
