"""From the application's model to the bytes of a record and back, and what a patch makes of them."""

import json
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, Generic, LiteralString, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, PydanticSerializationError, to_json

from .envelope import NAME, Envelope, opened
from .overlay import Overlay
from .parts import Path, fields_of, parts_of
from .read_back import is_alike, is_said
from .releases import FIRST, MigrationFailed, Release
from .spelling import probably_meant

M = TypeVar("M", bound=BaseModel)

_NOTE = NAME.encode()


class Misfit(Exception):
    """A stored session does not fit the model. The text names fields of the model and no value."""


@dataclass(frozen=True, slots=True)
class FieldPatch:
    """Named fields of a session, with the values that they have in ``data``; a name that is not there is to go.

    Attributes:
        names: the fields.
        data: a dump of the session after the change.
        same: where objects stand that were changed in place, and are none in the place of another.
        before: a dump of the session before that.
    """

    names: Collection[str]
    data: bytes
    same: Collection[Path] = ()
    before: bytes = b"{}"


Compute = Callable[[Any], Mapping[str, Any]]
"""A function of the session that gives fields to change; run again on what is stored by the time of saving."""

Patch = FieldPatch | Compute
Update = Mapping[str, Any] | Compute
"""What ``update_session`` is given."""


def computed(compute: Compute, session: Any) -> Mapping[str, Any]:
    """The fields that a function gives for a session; ``TypeError`` for anything else, such as the session, or a coroutine."""
    given: object = compute(session)
    if isinstance(given, Mapping):
        return given
    if isinstance(given, CoroutineType):
        given.close()  # or Python warns that nobody awaited it
    raise TypeError(
        "The function that update_session is given runs again when the session is saved. It is not async, and gives the fields that "
        f'change, such as lambda session: {{"visits": session.visits + 1}}, not a {type(given).__name__}'
    )


class SessionCodec(Generic[M]):
    """Dumps and loads one model.

    A *dump* is the JSON of a session of this process' model. What a record holds may be more: fields that this process
    does not know, what an older release stored, and notes.
    """

    def __init__(self, model: type[M], release: Release = FIRST) -> None:
        self.model = model
        self._release = release

    def dump(self, session: M) -> bytes:
        """The session as a JSON object.

        Raises:
            TypeError: a value is not of its field's type, or nothing that JSON can hold.
        """
        try:
            return session.model_dump_json(round_trip=True, by_alias=False, warnings="error").encode()
        except PydanticSerializationError:
            unfit = ", ".join(_unwritable(session)) or "a value"
            raise TypeError(
                f"{type(session).__name__} can't be written as JSON because of {unfit}: the value is not of the type that "
                "its field declares, or of none that JSON can hold"
            ) from None  # its text holds the value

    def require_model(self, session: object, taker: str) -> None:
        """``TypeError`` for what is no session of the model."""
        if not isinstance(session, self.model):
            raise TypeError(
                f"{taker} takes a {self.model.__name__}, the model of this SessionKit, not a {type(session).__name__}"
            )

    def readable_dump(self, session: M) -> bytes:
        """The dump of a session that begins; raises what ``dump`` and ``check_readable`` raise."""
        data = self.dump(session)
        self.check_readable(session, data)
        return data

    def noted(self, dump: bytes, *, issued: bool = False, transient: bool = False) -> bytes:
        """The data of a record that begins with a dump. Beside it stand the release of the model, and what is said of the token."""
        return Envelope(dump, version=self._release.version, issued=issued, transient=transient).data()

    def load(self, dump: bytes) -> M:
        """The session that a dump holds.

        Raises:
            pydantic.ValidationError: when it does not fit the model.
        """
        loaded: M = self.model.__pydantic_validator__.validate_json(dump, by_alias=False, by_name=True)
        return loaded

    def read(self, data: bytes) -> M:
        """The session of a stored record, brought up to date where an older release stored it.

        Raises:
            Misfit: when the data does not fit the model, whatever its validators or ``migrate`` raise at it.
        """
        return self.read_opened(opened(data))

    def read_opened(self, stored: Envelope) -> M:
        """The same of a record that is opened already."""
        return self.fitted(self._current(stored).body)

    def fitted(self, dump: bytes) -> M:
        """The session that a dump holds.

        Raises:
            Misfit: when it does not fit the model, whatever its validators raise at it.
        """
        try:
            return self._writable(self.load(dump), dump)
        except ValidationError as error:
            raise Misfit("; ".join(map(self._mistake, error.errors(include_input=False)))) from None
        except Exception as error:  # noqa: BLE001 - a validator of the application's may raise anything
            raise Misfit(f"a validator raised {type(error).__name__}") from None

    def _writable(self, loaded: M, dump: bytes) -> M:
        """The session; ``ValueError`` where this library never writes such a dump, so that no change of it could be saved."""
        if _NOTE in dump and NAME in (loaded.__pydantic_extra__ or ()):
            raise ValueError("A note of the library's own stands where no note is")
        self._refuse_constants(dump)
        return loaded

    def _refuse_constants(self, dump: bytes) -> None:
        """``ValueError`` where a number stands in a dump that JSON has not, except of a model that writes such."""
        has_constant = b"NaN" in dump or b"Infinity" in dump  # perhaps as a part of a text
        if has_constant and self.model.model_config.get("ser_json_inf_nan") != "constants":
            json.loads(dump, parse_constant=_refuse_constant)

    def _current(self, stored: Envelope) -> Envelope:
        """What a record holds, as this release of the model has it."""
        try:
            return self._release.current(stored)
        except MigrationFailed as failure:
            raise Misfit(str(failure)) from None

    def _mistake(self, detail: Any) -> str:
        """What is wrong, without a key or a value that the session holds."""
        where = detail["loc"][:1]
        known = where and where[0] in self.model.model_fields
        return f"{where[0] if known else 'the whole'}: {detail['type']}"

    def check_readable(self, session: M, data: bytes) -> None:
        """Refuse to save what would not be read back, or what no engine keeps.

        Raises:
            pydantic.ValidationError: the model does not take what it gives as JSON, or the ``user_id`` is no text for a
                database.
            TypeError: a field comes back as something else, a secret as asterisks for example.
        """
        read = fields_of(self.load(data))
        self._require_storable(read)
        for name, value in fields_of(session).items():
            if name in type(session).model_fields:
                is_kept = name in read and is_alike(value, read[name])
            else:  # an extra may be left out where it is empty
                is_kept = is_said(value, read[name]) if name in read else not value
            if not is_kept:
                raise lost(name, value)

    def patched(self, session: M, changes: Mapping[str, Any]) -> M:
        """The session with some fields changed, validated as a whole.

        Raises:
            pydantic.ValidationError: when it would not fit the model, or a name is a slip of the pen.
        """
        self._refuse_misspelt(changes, fields_of(session))
        return self._laid_over(session, changes)

    def check_patch(self, changes: Mapping[str, Any]) -> None:
        """Validate the changed fields alone, for a session that is not loaded yet.

        Raises:
            pydantic.ValidationError: when one of them does not fit its field, or a name is a slip of the pen.
        """
        self._refuse_misspelt(changes)
        self._require_known(changes)
        self._require_storable(changes)
        try:
            self._validate(changes)
        except ValidationError as error:
            if any(detail["loc"] and detail["loc"][0] in changes for detail in error.errors()):
                raise
        except Exception:  # noqa: BLE001 - a validator of the application's wants the whole session; the commit has it
            return

    def apply(self, data: bytes, patch: Patch) -> bytes:
        """The record's data after a patch, validated as a whole. What this model does not know in it stays.

        What an older release stored is brought up to date with it.

        Raises:
            Misfit: when the data does not fit the model as it is.
            pydantic.ValidationError: when it would not fit the model.
            TypeError: when a field would not be read back.
        """
        envelope = self._current(opened(data))
        session = self.fitted(envelope.body)
        parts = parts_of(session)
        changed = self.with_patch(session, patch)
        after = self.dump(changed)
        self.check_readable(changed, after)
        before = self.dump(session)
        same = () if callable(patch) else _still_there(patch, before)
        others = {
            path: part for path, part in parts_of(changed).items() if parts.get(path) is not part and path not in same
        }
        body = Overlay(others).laid(envelope.body, before, after)
        if not self._reads_alike(body, after):
            body = after
        return envelope._replace(body=body).data()

    def with_patch(self, session: M, patch: Patch) -> M:
        """The session after a patch, validated as a whole."""
        if callable(patch):
            return self.patched(session, computed(patch, session))
        wanted = fields_of(self.load(patch.data))
        changes = {name: wanted[name] for name in patch.names if name in wanted}
        return self._laid_over(session, changes, [name for name in patch.names if name not in wanted])

    def changed_fields(self, session: M, before: bytes, after: bytes) -> list[str]:
        """The fields that differ between two dumps of a session."""
        was, now = fields_of(self.load(before)), fields_of(session)
        changed = differing(json.loads(before), json.loads(after), operator.ne)
        if was.keys() | now.keys() >= set(changed):
            return changed
        return differing(was, now, _is_written_otherwise)  # JSON has them by other names

    def sizes(self, data: bytes, most: int = 3) -> dict[str, int]:
        """The largest fields and how many bytes of JSON each takes."""
        sizes = {name: len(json.dumps(value)) for name, value in json.loads(opened(data).body).items()}
        return dict(sorted(sizes.items(), key=lambda item: -item[1])[:most])

    def _reads_alike(self, one: bytes, other: bytes) -> bool:
        """Not where a validator reads what the model does not write, or ``1e999`` became an infinity by being read."""
        try:
            self._refuse_constants(one)
        except ValueError:
            return False
        left, right = self.load(one), self.load(other)
        return fields_of(left) == fields_of(right) or json.loads(self.dump(left)) == json.loads(self.dump(right))

    def _laid_over(self, session: M, changes: Mapping[str, Any], gone: Collection[str] = ()) -> M:
        """The session with some fields changed and others gone, validated as a whole."""
        kept = {name: value for name, value in fields_of(session).items() if name not in gone}
        return self._validate({**kept, **changes})

    def _require_storable(self, fields: Mapping[str, Any]) -> None:
        if not is_storable(str(fields.get("user_id", ""))):
            raise _refusal(self.model, "user_id", "unstorable", "must not contain NUL or half of a surrogate pair")

    def _refuse_misspelt(self, changes: Mapping[str, Any], there: Collection[str] = ()) -> None:
        """Refuse a new extra field whose name is all but that of a declared one."""
        for name in changes:
            known = self.model.model_fields
            meant = None if name in known or name in there else probably_meant(name, known)
            if meant is not None:
                text = "The model has no such field: did you mean {meant}? An extra field of that name must be declared"
                raise _refusal(self.model, name, "misspelt", text, {"meant": repr(meant)})

    def _validate(self, fields: Mapping[str, Any]) -> M:
        self._require_known(fields)
        return self.model.model_validate(fields, by_alias=False, by_name=True)

    def _require_known(self, fields: Mapping[str, Any]) -> None:
        extra = self.model.model_config.get("extra")
        unknown = [name for name in fields if name not in self.model.model_fields]
        if unknown and extra not in {"allow", "forbid"}:  # Pydantic would drop them without a word
            raise ValueError(f"{self.model.__name__} has no field {', '.join(map(repr, unknown))}")
        if NAME in fields:
            raise ValueError(f"{NAME} is the library's own name: call the field something else")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def is_storable(user_id: str) -> bool:
    """Whether databases can keep an id: it is text in UTF-8, and PostgreSQL knows no NUL."""
    try:
        return b"\x00" not in user_id.encode()
    except UnicodeEncodeError:
        return False


def _refusal(
    model: type[BaseModel], name: str, kind: LiteralString, text: LiteralString, context: dict[str, Any] | None = None
) -> ValidationError:
    error = PydanticCustomError(kind, text, context)
    return ValidationError.from_exception_data(
        model.__name__, [{"type": error, "loc": (name,), "input": None}], hide_input=True
    )


def lost(name: str, value: Any) -> TypeError:
    """The error for a field whose value would not be read back."""
    return TypeError(
        f"{name} would be lost: what JSON holds of a {type(value).__name__} here is not read back as the same. Pydantic "
        "leaves out excluded fields and writes asterisks for secrets; give the field a PlainSerializer that writes the "
        "value, or keep it elsewhere"
    )


def differing(was: Mapping[str, Any], now: Mapping[str, Any], differs: Callable[[Any, Any], bool]) -> list[str]:
    """The names whose values differ, and those that only one of the two has."""
    return [name for name in {**was, **now} if not (name in was and name in now) or differs(was[name], now[name])]


def _is_written_otherwise(was: Any, now: Any) -> bool:
    """Whether a value changed, perhaps in a part that ``==`` does not look at."""
    return bool(was != now) or to_json(was, fallback=id) != to_json(now, fallback=id)


def _unwritable(session: BaseModel) -> list[str]:
    """The fields that can't be written as JSON."""

    def is_writable(name: str) -> bool:
        try:
            session.model_dump_json(include={name}, warnings="error")
        except PydanticSerializationError:
            return False
        return True

    return [name for name in fields_of(session) if not is_writable(name)]


def _still_there(patch: FieldPatch, stored: bytes) -> list[Path]:
    """Which of the objects that a patch changed in place are stored as they were before it."""
    if not patch.same:
        return []
    was, now = json.loads(patch.before), json.loads(stored)
    return [path for path in patch.same if _at(was, path) == _at(now, path) is not None]


def _at(data: Any, path: Path) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data
