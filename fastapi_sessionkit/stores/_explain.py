"""Errors of drivers become errors whose text may be logged."""

from collections.abc import Callable
from types import TracebackType

from ..errors import SessionKitError
from .base import StoreError


class Explained:
    """``with explained:`` raises a ``StoreError`` for whatever a driver raises inside.

    What nearly every request does catches the error and calls ``restate``: entering a ``with`` takes half a microsecond.

    Args:
        place: which engine it is, and where: the beginning of the text.
        reason: what of a driver's error may be logged.
    """

    def __init__(self, place: str, reason: Callable[[Exception], str]) -> None:
        self._place = place
        self._reason = reason

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Cancellations stay what they are."""
        if isinstance(error, Exception):
            self.restate(error)

    def restate(self, error: Exception) -> None:
        """Raise it in other words, unless it is an error of this library already."""
        if not isinstance(error, SessionKitError):
            raise StoreError(f"{self._place}: {self._reason(error)}") from error
