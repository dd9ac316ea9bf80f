"""The objects inside a session, and whether one is still the same object or another in its place."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, RootModel

Path = tuple[str, ...]
"""Where a value stands in a session: the names of fields and keys that lead to it."""

_OBJECTS = frozenset({"model", "dataclass", "typed-dict"})  # types in a schema of Pydantic's core


def fields_of(session: BaseModel) -> dict[str, Any]:
    """The declared fields and the extra ones, by name."""
    held = session.__dict__
    declared = {name: held[name] for name in type(session).model_fields if name in held}  # vars() may have lost one
    return {**declared, **(session.__pydantic_extra__ or {})}


def parts_of(session: BaseModel) -> dict[Path, Any]:
    """The objects inside a session by where they stand. What is in a list has no place of its own and is left out."""
    found: dict[Path, Any] = {}
    if not has_parts(type(session)):
        return found
    waiting: list[tuple[Path, Any]] = [((), session)]
    for path, part in waiting:  # it grows by the parts of what is looked at
        for name, value in _members(part).items():
            place, inner = (*path, str(name)), unwrapped(value)
            if isinstance(inner, (BaseModel, dict)) or is_dataclass(inner):
                found[place] = inner
                waiting.append((place, inner))
    return found


@lru_cache(256)
def has_parts(model: type[BaseModel]) -> bool:
    """Whether a model has objects inside of which another release may know more."""
    return sum(schema.get("type") in _OBJECTS for schema in _schemas(model.__pydantic_core_schema__)) > 1


@lru_cache(256)
def leaves_out(model: type[BaseModel]) -> bool:
    """Whether two sessions of a model may differ in what is not written: excluded fields, serializers of its own."""
    return any(
        schema.get("serialization_exclude") or schema.get("serialization_exclude_if") or _is_own(schema)
        for schema in _schemas(model.__pydantic_core_schema__)
    )


def _members(part: Any) -> Mapping[Any, Any]:
    if isinstance(part, dict):
        return part
    extra = getattr(part, "__pydantic_extra__", None)
    return {**vars(part), **(extra or {})}


def unwrapped(value: Any) -> Any:
    """What JSON shows of a value: of a ``RootModel`` its root alone."""
    while isinstance(value, RootModel):
        value = value.root
    return value


def _is_own(schema: dict[str, Any]) -> bool:
    """Whether a function writes it that is not Pydantic's."""
    serializer = schema.get("serialization") or {}
    function = serializer.get("function")
    return function is not None and str(getattr(function, "__module__", "")).partition(".")[0] != "pydantic"


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema of Pydantic's core and all schemas in it."""
    if isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _schemas(part)
    elif isinstance(schema, dict):
        yield schema
        for name, part in schema.items():
            if name != "metadata":
                yield from _schemas(part)
