"""Sessions that code may change in place: what they were when they were handed out, and what changed since."""

import copy
import operator
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic

from .codec import FieldPatch, M, Misfit, SessionCodec, differing, lost
from .parts import Path, fields_of, leaves_out, parts_of


@dataclass(slots=True)  # not frozen: making one that is takes longer, and nearly every request makes one
class Handed(Generic[M]):
    """A session that was handed out.

    Attributes:
        session: the session.
        dump: how it was written then.
        parts: the objects inside it then, by where they stood.
        fields: what its fields were then, where a change of one may be none of what is written.
    """

    session: M
    dump: bytes
    parts: Mapping[Path, Any]
    fields: Mapping[str, Any] | None

    @classmethod
    def now(cls, session: M, dump: bytes) -> "Handed[M]":
        """The session as it is now."""
        fields = _copied(fields_of(session)) if leaves_out(type(session)) else None
        return cls(session, dump, parts_of(session), fields)

    @classmethod
    def lent(cls, session: M, shared: M, dump: bytes) -> "Handed[M]":
        """A session whose values are those of another, and can't change themselves."""
        return cls(session, dump, {}, fields_of(shared))

    def change(self, codec: SessionCodec[M]) -> FieldPatch | None:
        """What code has changed in it; ``None`` where that is nothing.

        Raises:
            TypeError: the change does not fit the model, or would not be read back.
            pydantic.ValidationError: the model does not take what it gives as JSON.
        """
        after = codec.dump(self.session)
        if after == self.dump:
            self._require_nothing_unwritten()
            return None
        _require_fit(codec, self.session, after)
        same = frozenset(path for path, part in parts_of(self.session).items() if self.parts.get(path) is part)
        return FieldPatch(codec.changed_fields(self.session, self.dump, after), after, same, self.dump)

    def _require_nothing_unwritten(self) -> None:
        if self.fields is None:
            return
        fields = fields_of(self.session)
        for name in differing(self.fields, fields, operator.ne):
            raise lost(name, fields.get(name))


def _copied(fields: dict[str, Any]) -> dict[str, Any] | None:
    """A copy at any depth; ``None`` where there is none that equals what it is of."""
    with suppress(Exception):  # whatever a value of the application's raises
        copied = copy.deepcopy(fields)
        return copied if copied == fields else None
    return None


def _require_fit(codec: SessionCodec[M], session: M, dump: bytes) -> None:
    """Refuse a change in place that does not fit, without showing its value."""
    try:
        codec.fitted(dump)
    except Misfit as misfit:
        raise TypeError(
            f"A change in place left a {type(session).__name__} that does not fit its model, so nothing is saved ({misfit})"
        ) from None
    codec.check_readable(session, dump)
