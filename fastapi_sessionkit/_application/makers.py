"""What only makes a dependency, and guards nothing where it is taken for one: FastAPI throws away what it makes."""

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any, get_origin

from fastapi.dependencies.utils import get_typed_return_annotation

from ..dependencies import Asked, Required
from ..guard import RouterGuard
from ..requirements import Requirement

_MADE = (Required, Asked, RouterGuard, Requirement)
_PACKAGE = f"{__name__.partition('.')[0]}."


def plain(call: Any) -> Any:
    """What a ``partial``, or the ``__call__`` of an object, calls in the end."""
    while True:
        if isinstance(call, partial):
            call = call.func
        elif inspect.ismethod(call) and call.__name__ == "__call__":
            call = call.__self__
        else:
            return call


def is_ours(call: Any) -> bool:
    """Whether it is of this package."""
    return str(getattr(call, "__module__", "")).startswith(_PACKAGE)


def maker_in(call: Any) -> Any | None:
    """What makes a dependency, or a requirement, where that is called or where a lambda calls it."""
    call = plain(call)
    candidates = _named_in(call) if getattr(call, "__name__", "") == "<lambda>" else (call,)
    return next((each for each in candidates if made_by(each) is not None), None)


def made_by(call: Any) -> type | None:
    """The kind of dependency, or of requirement, that calling this gives: a class itself, or what a function says."""
    if not inspect.isroutine(call) and not inspect.isclass(call):
        return None
    kind = call if inspect.isclass(call) else get_typed_return_annotation(call)
    kind = get_origin(kind) or kind
    return kind if inspect.isclass(kind) and issubclass(kind, _MADE) else None


def _named_in(function: Any) -> Iterator[Any]:
    """The methods of our own objects that a function names, and then what else it names of the world around it."""
    found, names = inspect.getclosurevars(function), function.__code__.co_names
    around = (*found.globals.values(), *found.nonlocals.values())
    for value in around:
        if is_ours(type(value)):
            yield from (getattr(value, name) for name in names if hasattr(value, name))
    yield from around
