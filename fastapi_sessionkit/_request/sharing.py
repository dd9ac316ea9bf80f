"""Whether requests may share what was read: the values of a session that can't change, each in a shell of its own."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

_CONSULTS = ("now_op", "default_factory", "post_init", "custom_init")  # in a schema of Pydantic's core
_ATOMS = frozenset({str, int, float, bool, bytes, type(None), datetime, date, time, timedelta, Decimal, UUID})
_new = object.__new__
_set_values, _set_names, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


def is_shareable(session: BaseModel) -> bool:
    """Whether nothing in it can change, at any depth, and reading it again would give the same.

    Any other is read anew for each request, so that a change in place is seen by the request that made it and by no
    other.
    """
    if not _is_fixed(type(session)):
        return False
    parts = [*session.__dict__.values(), *(session.__pydantic_extra__ or {}).values()]
    for part in parts:  # it grows by the parts of what is looked at
        if type(part) in _ATOMS:
            continue
        if isinstance(part, (tuple, frozenset)) and not hasattr(part, "__dict__"):
            if not _ATOMS.issuperset(map(type, part)):
                parts.extend(part)
        elif not isinstance(part, Enum):
            return False
    return True


def shell(shared: M) -> M:
    """A session of the same values: what one request does to it, to ``vars(session)`` for example, no other sees."""
    own = _new(type(shared))
    _set_values(own, shared.__dict__.copy())
    _set_names(own, shared.__pydantic_fields_set__.copy())
    extra = shared.__pydantic_extra__
    _set_extra(own, extra if extra is None else extra.copy())
    _set_private(own, None)
    return own


def is_as_lent(session: BaseModel, shared: BaseModel) -> bool:
    """Whether a shell still is what it was made from: ``model_extra`` and ``vars`` hand out what can be changed."""
    return session.__dict__ == shared.__dict__ and session.__pydantic_extra__ == shared.__pydantic_extra__


@lru_cache(256)
def _is_fixed(model: type[BaseModel]) -> bool:
    """Whether the same data always gives the same instance, and its fields can't be assigned to."""
    frozen = bool(model.model_config.get("frozen")) and not model.__private_attributes__
    return frozen and _reads_alike(model.__pydantic_core_schema__)


def _reads_alike(schema: object) -> bool:
    """Whether validation asks neither the clock nor any function but Pydantic's and this library's."""
    if isinstance(schema, (list, tuple)):
        return all(map(_reads_alike, schema))
    if not isinstance(schema, dict):
        return True
    if any(schema.get(name) for name in _CONSULTS):
        return False
    if str(schema.get("type")).startswith("function-"):
        function = schema["function"]["function"]
        if str(getattr(function, "__module__", "")).partition(".")[0] not in {"pydantic", "fastapi_sessionkit"}:
            return False
    return all(_reads_alike(part) for name, part in schema.items() if name not in {"serialization", "metadata"})
