"""Laying what a patch changed over what is stored, of which this process may not know all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .parts import Path


@dataclass(frozen=True, slots=True)
class Overlay:
    """Stored JSON with the difference between two dumps of the session in it laid over.

    Attributes:
        others: the objects of the changed session that stand where there was none, or another one. Nothing that this
            process does not know of the one that was there is the other's.
    """

    others: Mapping[Path, Any]

    def laid(self, stored: bytes, before: bytes, after: bytes) -> bytes:
        """The stored JSON with the difference between two dumps in it."""
        merged = self._merge(json.loads(stored), json.loads(before), json.loads(after), ())
        return json.dumps(merged, separators=(",", ":")).encode()

    def _merge(self, stored: Any, before: Any, after: Any, path: Path) -> Any:
        if before == after:
            return stored
        if isinstance(stored, dict) and isinstance(before, dict) and isinstance(after, dict):
            return self._merge_objects(stored, before, after, path)
        if (
            isinstance(stored, list)
            and isinstance(before, list)
            and isinstance(after, list)
            and len(stored) == len(before)
        ):
            return _merge_lists(stored, before, after)
        return after

    def _merge_objects(
        self, stored: dict[str, Any], before: dict[str, Any], after: dict[str, Any], path: Path
    ) -> dict[str, Any]:
        # What is not in a dump of the session is a field that this process does not know.
        unknown = {name: value for name, value in stored.items() if name not in before}
        if path in self.others and (unknown or not isinstance(self.others[path], dict)):
            return after
        known = {
            name: self._merge(stored[name], before[name], value, (*path, name))
            if name in stored and name in before
            else value
            for name, value in after.items()
        }
        return unknown | known


def _merge_lists(stored: list[Any], before: list[Any], after: list[Any]) -> list[Any]:
    """The items that did not change, at both ends, as they are stored. What one item holds is no other's."""
    start = _common(before, after)
    shortest = min(len(before), len(after)) - start
    end = min(_common(before[::-1], after[::-1]), shortest)
    return stored[:start] + after[start : len(after) - end] + stored[len(stored) - end :]


def _common(before: list[Any], after: list[Any]) -> int:
    """How many items two lists begin with alike."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((place for place, (was, now) in pairs if was != now), min(len(before), len(after)))
