"""What an endpoint says about itself: ``@public``."""

from collections.abc import Callable
from functools import partial
from inspect import isclass
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.routing import Router
from starlette.types import Scope

from .errors import ConfigurationError

__all__ = ["is_public", "leads_to_public", "public"]

E = TypeVar("E", bound=Callable[..., Any])

_MARK = "__sessionkit_public__"


def public(endpoint: E) -> E:
    """Mark an endpoint as open under global protection: ``@public``, above or below ``@app.get(...)``.

    It lifts global protection and nothing else. Where a rule matches, the rule decides; a dependency still asks what it
    asks. Both are reported at startup. The mark is on the function itself, so ``functools.wraps`` and ``partial`` keep
    it. A subclass of a marked class is not marked.

    Args:
        endpoint: a function, a class or an object that serves a route.

    Returns:
        The same endpoint.

    Raises:
        ConfigurationError: it serves no single route, or can't carry the mark.
    """
    given: object = endpoint
    if not callable(given) or isinstance(given, Starlette | Router):
        raise ConfigurationError(
            f"@public marks the endpoint of a route, not {endpoint!r}: write it above a function, or open whole paths with "
            'RouterGuard(exclude=["/public/**"])'
        )
    try:
        setattr(endpoint, _MARK, True)
    except (AttributeError, TypeError):
        raise ConfigurationError(
            f"@public can't put its mark on {endpoint!r}: put it on the function itself, or write "
            "Rule(path, public=True) in the guard"
        ) from None
    return endpoint


def is_public(endpoint: Any) -> bool:
    """Whether an endpoint is marked: itself, not the class that it is a subclass of or made from."""
    while not _is_marked(endpoint):
        if isinstance(endpoint, partial):
            endpoint = endpoint.func
        elif not isclass(endpoint) and hasattr(endpoint, "__wrapped__"):
            endpoint = endpoint.__wrapped__
        else:
            return False
    return True


def leads_to_public(scope: Scope) -> bool:
    """Whether the endpoint that routing has found for a request is marked."""
    return is_public(scope.get("endpoint"))


def _is_marked(endpoint: Any) -> bool:
    own = vars(endpoint) if isclass(endpoint) else getattr(endpoint, "__dict__", {})
    return own.get(_MARK) is True
