"""The path that the router sees, and when parts of the stack could read it differently."""

import re

from starlette.types import Scope

from .patterns import UNREADABLE

UNCLEAR = re.compile(rf"{UNREADABLE.pattern}|//|/\.{{1,2}}(?:/|\Z)|\A(?!/)")
"""What parts of the stack could read differently: refusing is safe, normalising is not."""


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
