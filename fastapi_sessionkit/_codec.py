"""From the application's model to the bytes of a record and back, and what changed between the two."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from fastapi_sessionkit.session import Session

M = TypeVar("M", bound=BaseModel)

_CONSULTS = ("now_op", "default_factory", "post_init", "custom_init")  # in a schema of Pydantic's core
_ATOMS = frozenset({str, int, float, bool, bytes, type(None), datetime, date, time, timedelta, Decimal, UUID})


class SessionCodec(Generic[M]):
    """Dumps and loads one model."""

    def __init__(self, model: type[M]) -> None:
        self.model = model

    def dump(self, session: M) -> bytes:
        """The session as a JSON object.

        Raises:
            pydantic_core.PydanticSerializationError: when a value is not of its field's type, or nothing JSON can hold.
        """
        return session.model_dump_json(round_trip=True, by_alias=False, warnings="error").encode()

    def load(self, data: bytes) -> M:
        """The session of a record.

        Raises:
            pydantic.ValidationError: when the data does not fit the model.
        """
        loaded: M = self.model.__pydantic_validator__.validate_json(data, by_alias=False, by_name=True)
        return loaded

    def check_readable(self, session: M, data: bytes) -> None:
        """Refuse to save what would not be read back.

        Raises:
            pydantic.ValidationError: the model does not take what it gives as JSON.
            TypeError: a field comes back as something else, a secret as asterisks for example.
        """
        read, given = _fields(self.load(data)), _fields(session)
        for name in type(session).model_fields:
            compares = getattr(type(given[name]), "__eq__", None) is not getattr(object, "__eq__", None)
            if name in read and compares and read[name] != given[name]:
                raise TypeError(
                    f"{name} would be lost: what JSON holds of a {type(given[name]).__name__} here is not read back as the "
                    "same. Pydantic leaves out excluded fields and writes asterisks for secrets; give the field a "
                    "PlainSerializer that writes the value, or keep it elsewhere"
                )

    def open(self, data: bytes) -> tuple[M, bool]:
        """The session of a record, and whether requests may share it, because nothing in it can change.

        Any other is made anew for each, so that a change in place is seen by the request that made it and by no other.

        Raises:
            pydantic.ValidationError: when the data does not fit the model.
        """
        session = self.load(data)
        shared = _is_immutable(session)
        if shared:
            object.__setattr__(session, "__pydantic_fields_set__", _FrozenNames(session.__pydantic_fields_set__))
            if session.__pydantic_extra__ is not None:
                object.__setattr__(session, "__pydantic_extra__", _FrozenExtra(session.__pydantic_extra__))
        return session, shared

    def patched(self, session: M, changes: Mapping[str, Any]) -> M:
        """The session with some fields changed, validated as a whole.

        Raises:
            pydantic.ValidationError: when it would not fit the model.
        """
        return self._validate({**_fields(session), **changes})

    def check_patch(self, changes: Mapping[str, Any]) -> None:
        """Validate the changed fields alone, for a session that is not loaded yet.

        Raises:
            pydantic.ValidationError: when one of them does not fit its field.
        """
        try:
            self._validate(changes)
        except ValidationError as error:
            if any(detail["loc"] and detail["loc"][0] in changes for detail in error.errors()):
                raise
        except (LookupError, AttributeError, TypeError):
            return  # a validator of the application's that wants the whole session; the commit has it

    def computed(self, data: bytes, compute: Callable[[M], Mapping[str, Any]]) -> dict[str, Any]:
        """What a function makes of the record's session, as a patch of JSON values."""
        session = self.load(data)
        changes = compute(session)
        return self.patch(self.patched(session, changes), changes)

    def merged(self, data: bytes, patch: Mapping[str, Any]) -> bytes:
        """The record's data with a patch of JSON values laid over it, validated as a whole."""
        return self.dump(self.load(json.dumps({**json.loads(data), **patch}).encode()))

    def patch(self, session: M, names: Iterable[str]) -> dict[str, Any]:
        """The named fields as JSON values."""
        dumped = json.loads(self.dump(session))
        return {name: dumped[name] for name in names if name in dumped}

    def changed_in_place(self, session: M, data: bytes) -> dict[str, Any]:
        """The fields, as JSON values, that no longer are what ``data`` loads to."""
        before, after = self.dump(self.load(data)), self.dump(session)
        if before == after:
            return {}
        old, new, was, now = json.loads(before), json.loads(after), _fields(self.load(data)), _fields(session)
        changed = (name for name in new if name not in old or old[name] != new[name])
        # A set may come out of JSON in another order than it went in: that is no change.
        return {name: new[name] for name in changed if name not in was or was[name] != now[name]}

    def sizes(self, data: bytes, most: int = 3) -> dict[str, int]:
        """The largest fields and how many bytes of JSON each takes."""
        sizes = {name: len(json.dumps(value)) for name, value in json.loads(data).items()}
        return dict(sorted(sizes.items(), key=lambda item: -item[1])[:most])

    def _validate(self, fields: Mapping[str, Any]) -> M:
        extra = self.model.model_config.get("extra")
        unknown = [name for name in fields if name not in self.model.model_fields]
        if unknown and extra not in {"allow", "forbid"}:  # Pydantic would drop them without a word
            msg = f"{self.model.__name__} has no field {', '.join(map(repr, unknown))}"
            raise ValueError(msg)
        return self.model.model_validate(fields, by_alias=False, by_name=True)


def _refuse(*_: Any, **__: Any) -> Any:
    raise TypeError("A session is frozen. Change it with update_session(request, name=...)")


class _FrozenExtra(dict[str, Any]):
    """The extra fields of a session that requests share: ``model_extra`` hands out the dict itself."""

    __setitem__ = __delitem__ = clear = pop = popitem = _refuse
    __ior__ = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return dict(self)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


class _FrozenNames(set[str]):
    """The names of the fields that were given, of a session that requests share: ``model_fields_set`` hands them out."""

    add = clear = discard = pop = remove = _refuse
    update = difference_update = intersection_update = symmetric_difference_update = _refuse
    __ior__ = __isub__ = __iand__ = __ixor__ = _refuse  # pyright: ignore[reportAssignmentType]

    def __copy__(self) -> set[str]:
        return set(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> set[str]:
        return set(self)

    def __reduce__(self) -> tuple[type[set[str]], tuple[list[str]]]:
        return set, (list(self),)


def _fields(session: BaseModel) -> dict[str, Any]:
    declared = {name: session.__dict__[name] for name in type(session).model_fields}
    return {**declared, **(session.__pydantic_extra__ or {})}


def _is_immutable(model: BaseModel) -> bool:
    """Whether nothing in it can change, at any depth, except that its own extra fields are still to be frozen."""
    if not _is_fixed(type(model)):
        return False
    parts = [*model.__dict__.values(), *(model.__pydantic_extra__ or {}).values()]
    for part in parts:  # it grows by the parts of what is looked at
        if type(part) in _ATOMS:
            continue
        if isinstance(part, (tuple, frozenset)) and not hasattr(part, "__dict__"):
            parts.extend(part)
        elif isinstance(part, BaseModel):
            if part.__pydantic_extra__ is not None or not _is_immutable(part):
                return False
        elif not isinstance(part, Enum):
            return False
    return True


@lru_cache(256)
def _is_fixed(model: type[BaseModel]) -> bool:
    """Whether the same data always gives the same instance, and nothing can be hung on it.

    A plain frozen ``BaseModel`` takes attributes whose name begins with an underscore; a ``Session`` refuses them.
    """
    members = (member for base in model.__mro__ for member in vars(base).values())
    keeps = bool(model.__private_attributes__) or any(isinstance(member, cached_property) for member in members)
    frozen = bool(model.model_config.get("frozen")) and model.__setattr__ is Session.__setattr__
    return frozen and not keeps and _reads_alike(model.__pydantic_core_schema__)


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
