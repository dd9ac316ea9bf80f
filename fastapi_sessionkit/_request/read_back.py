"""Whether JSON says what a value is, so that it is read back as the same."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from .parts import fields_of, unwrapped


def is_alike(given: Any, read: Any) -> bool:
    """Whether a value came back as it was. One that equals nothing but itself is taken for any other of its type."""
    if given == read:
        return True
    knows_itself_only = getattr(type(given), "__eq__", None) is getattr(object, "__eq__", None)
    return knows_itself_only and type(given) is type(read) and not isinstance(given, Enum)


def is_said(value: Any, read: Any) -> bool:
    """Whether JSON says what is in an extra field, at any depth: of a secret it says asterisks, of what is excluded nothing."""
    if hasattr(value, "get_secret_value") or isinstance(value, Iterator):  # an iterator is empty the next time
        return False
    if isinstance(value, BaseModel) or is_dataclass(value):
        if _reads_itself(value, read) or not isinstance(read, (dict, list)):
            return True
        value = unwrapped(value)
        value = fields_of(value) if isinstance(value, BaseModel) else value
    given, written = _inside(value), _inside(read)
    return len(given) == len(written) and all(map(is_said, given, written))


def _inside(value: Any) -> list[Any]:
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    return list(value) if isinstance(value, (list, tuple, set, frozenset, deque)) else []


def _reads_itself(value: Any, read: Any) -> bool:
    """Whether an object's own type makes the same of what JSON says of it."""
    try:
        again = TypeAdapter(type(value)).validate_json(to_json(read), by_alias=False, by_name=True)
    except Exception:  # noqa: BLE001 - a validator of the application's may raise anything
        return False
    return is_alike(value, again)
