"""A rule: which paths and methods it is about, and what they require."""

import re
from collections.abc import Callable, Collection
from enum import Enum
from typing import Any

from . import requirements
from ._frozen import Frozen
from ._paths.patterns import Pattern
from ._paths.redirects import checked_target
from ._settings import Duration, require_bool, require_list
from .access import Segments
from .errors import ConfigurationError
from .requirements import Requirement, all_of, custom, signed_in

_METHOD = re.compile(r"(?=.*[A-Za-z])[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class NotGiven(Enum):
    """The type of ``NOT_GIVEN``."""

    NOT_GIVEN = "not given"


NOT_GIVEN = NotGiven.NOT_GIVEN
"""Stands for a condition that a rule does not have. ``None`` does not: it is what a missing setting gives."""


class Rule(Frozen):
    """What a pattern of paths requires. Immutable; everything is checked when it is made.

    Conditions that are given must all hold; none given means that somebody must be signed in. ``None`` is no condition
    and is refused, for it is what a missing setting gives.

    Args:
        pattern: ``/admin`` itself; ``*`` stands for one or more segments, ``**`` for zero or more: ``/admin/**``
            covers ``/admin``; ``{name}`` for exactly one, which ``owner("name")`` and functions read. Case counts, one
            trailing slash of the request does not. At most 1,000 characters.
        role: has this role.
        roles: has one of these roles.
        permission: has this permission.
        permissions: has all of these permissions.
        allow: ``allow(session)``, sync or async; gets ``None`` when nobody is signed in, and the named segments if it takes
            two arguments. An exception denies, and so does an answer that is neither ``True`` nor plainly false, such as
            a coroutine.
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
        role: str | NotGiven = NOT_GIVEN,
        roles: Collection[str] | NotGiven = NOT_GIVEN,
        permission: str | NotGiven = NOT_GIVEN,
        permissions: Collection[str] | NotGiven = NOT_GIVEN,
        allow: Callable[[Any], Any] | Callable[[Any, Segments], Any] | NotGiven = NOT_GIVEN,
        fresh: Duration | NotGiven = NOT_GIVEN,
        requires: Requirement | NotGiven = NOT_GIVEN,
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
        conditions = {
            "role": role,
            "roles": roles,
            "permission": permission,
            "permissions": permissions,
            "fresh": fresh,
            "requires": requires,
            "allow": allow,
        }
        given = [_condition(name, value) for name, value in conditions.items() if value is not NOT_GIVEN]
        require_bool(public, "Rule(public=...)")
        if public and given:
            raise ConfigurationError(f"Rule({pattern!r}, public=True) is open to everybody, so it takes no condition")
        self.public: bool = public
        self.requirement: Requirement | None = None if public else all_of(*given) if given else signed_in
        self._check_variables()

    def matches(self, path: str, method: str = "GET") -> bool:
        """Whether the rule is about this path and method."""
        return self.covers_method(method.upper()) and self.path.matches(path)

    def _check_variables(self) -> None:
        names = dict(self.path.names)
        for leaf in () if self.requirement is None else self.requirement.leaves():
            if leaf.variable and leaf.variable not in names:
                raise ConfigurationError(
                    f"Rule({self.pattern!r}) has no {{{leaf.variable}}}, which {leaf} reads: write it for one segment, as in "
                    f"'/users/{{{leaf.variable}}}/**'"
                )

    def covers_method(self, method: str) -> bool:
        """Whether the rule is about this method."""
        return self.methods is None or method in self.methods

    def __str__(self) -> str:
        methods = "" if self.methods is None else f"{','.join(sorted(self.methods))} "
        return f"{methods}{self.pattern}"

    def __repr__(self) -> str:
        return f"<Rule {self}: {'public' if self.requirement is None else self.requirement}>"


_CONDITIONS: dict[str, Callable[[Any], Requirement]] = {
    "role": requirements.role,
    "roles": lambda names: requirements.role(*require_list(names, "Rule(roles=...)", '["user", "admin"]')),
    "permission": requirements.permission,
    "permissions": lambda names: requirements.permission(
        *require_list(names, "Rule(permissions=...)", '["reports:read", "reports:write"]')
    ),
    "fresh": requirements.fresh,
    "requires": all_of,
    "allow": custom,
}


def _condition(name: str, value: object) -> Requirement:
    """The requirement of a condition. ``None``, from a setting that is missing, would ask nothing: it is refused."""
    if value is None:
        raise ConfigurationError(
            f"Rule({name}=None) would ask for nothing. Is a setting or an environment variable missing? "
            f"Leave {name} out where it shall not be asked"
        )
    return _CONDITIONS[name](value)


def _methods(methods: object) -> frozenset[str]:
    names = require_list(methods, "Rule(methods=...)", '["POST", "DELETE"]')
    if not names or not all(isinstance(name, str) and _METHOD.fullmatch(name) for name in names):
        raise ConfigurationError(
            f'Rule(methods=...) takes one or more HTTP methods such as ["POST", "DELETE"], not {methods!r}; '
            "leave methods out for all methods"
        )
    upper = {name.upper() for name in names}
    return frozenset(upper | {"HEAD"} if "GET" in upper else upper)
