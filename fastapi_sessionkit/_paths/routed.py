"""The path that the router sees, and when parts of the stack could read it differently."""

import re

from starlette.types import Scope

from .patterns import UNREADABLE

_UNCLEAR = re.compile(rf"{UNREADABLE.pattern}|//|/\.{{1,2}}(?:/|\Z)|\A(?!/)")


def is_ambiguous(path: str) -> bool:
    """Whether parts of the stack could read a path differently: refusing it is safe, normalising is not."""
    return _UNCLEAR.search(path) is not None


def route_path(scope: Scope) -> str:
    """The path as the router sees it: ``root_path`` taken off at a segment boundary, as Starlette does."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root):
        if path == root:
            return "/"
        if path[len(root)] == "/":
            return path[len(root) :]
    return path
