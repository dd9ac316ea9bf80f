"""From a token to the session of one request, with one memory of what tokens led to."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic

from ..backends.base import Loaded, SessionBackend, absence_of
from ..reasons import Reason
from ..stores.base import SessionRecord
from .codec import M, Misfit, SessionCodec
from .envelope import Envelope, opened
from .lifetimes import Lifetimes
from .sharing import is_shareable

logger: logging.Logger = logging.getLogger(__name__)

_REMEMBERED = 1_024  # tokens, each at most a cookie long
_MEMORABLE = 8_192  # bytes of a record: with the number of tokens this bounds the memory


@dataclass(slots=True)
class Known(Generic[M]):
    """What a record was found to be; times in Unix seconds.

    Attributes:
        record: the record.
        note: what is in its data, and what is noted beside that.
        ends_at: when the first of its two lifetimes is over, unless the session is used before.
        touch_due_at: when the idle clock is to be moved.
        quiet_until: until when requests share the session and there is nothing to look at or to do.
        shared: the session whose values requests share; ``None`` where each has to read one of its own.
    """

    record: SessionRecord
    note: Envelope
    ends_at: float
    touch_due_at: float
    quiet_until: float = 0.0
    shared: M | None = None


class _Place(Generic[M]):
    """What one token led to the last time.

    ``ends_at`` (Unix seconds) is when its session was to end unless it was used before; 0 where that is not known.
    ``is_foreign`` says whether the token was made for another kind of transport: here it is nobody's.
    """

    __slots__ = ("ends_at", "is_foreign", "known")

    def __init__(self) -> None:
        self.known: Known[M] | None = None
        self.ends_at: float = 0.0
        self.is_foreign: bool = False


class Reader(Generic[M]):
    """Reads records for all requests of a kit that bring their token by one transport.

    Args:
        codec: what reads the session in a record.
        lifetimes: the kit's.
        asks_again: whether the kit has a ``revalidate`` hook.
        issued: whether the transport's tokens are given out by ``issue_token``.

    Whether a token is authentic and its record alive the backend says on every request. What is remembered here is
    what the record was found to be, and holds as long as the record is the same.
    """

    def __init__(self, codec: SessionCodec[M], lifetimes: Lifetimes, *, asks_again: bool, issued: bool) -> None:
        self._codec = codec
        self._lifetimes = lifetimes
        self._asks_again = asks_again
        self._issued = issued
        self._place_of: Callable[[bytes], _Place[M]] = lru_cache(_REMEMBERED)(lambda _: _Place())

    def known(self, token: bytes, loaded: Loaded) -> Known[M] | None:
        """What the record behind a token was found to be; ``None`` where the token was made for another transport."""
        place, record = self._place_of(token), loaded.record
        found = place.known
        if found is None or (found.record is not record and found.record != record):
            note = opened(record.data)
            is_final = note.issued and not loaded.key
            touch_due_at = math.inf if is_final else self._lifetimes.touch_due_at(record)
            found = Known(record, note, self._lifetimes.ends_at(record), touch_due_at)
            place.known = found if len(record.data) <= _MEMORABLE else None
            place.ends_at, place.is_foreign = found.ends_at, note.issued is not self._issued
        return None if place.is_foreign else found

    def expect(self, token: bytes, record: SessionRecord) -> None:
        """Remember until when a token that is given out now will serve, to tell later what may have become of it."""
        self._place_of(token).ends_at = self._lifetimes.ends_at(record)

    def absence(self, token: bytes, backend: SessionBackend) -> Reason:
        """Why a token led to nobody.

        A store does not keep what is over. Then it counts what this process has seen of the token, if it did.
        """
        reason = absence_of(backend, token)
        if reason in {"malformed", "bad_signature"}:
            return reason  # anybody can make these up: they must not displace what is remembered
        place = self._place_of(token)
        if place.is_foreign:
            return "bad_signature"
        if reason != "unknown_id" or not place.ends_at:
            return reason
        return "expired" if place.ends_at <= self._lifetimes.clock() else "ended"

    def read(self, known: Known[M]) -> M | None:
        """The session in a record; ``None`` where it does not fit the model.

        If nothing in it can change, it is kept as ``known.shared`` for later requests. Any other nobody else has.
        """
        if known.shared is not None:
            return known.shared
        try:
            session = self._codec.read_opened(known.note)
        except Misfit as misfit:
            logger.warning("A stored session no longer fits %s (%s): removed", self._codec.model.__name__, misfit)
            return None
        if not is_shareable(session):
            return session
        known.shared = session
        if not (known.note.moves or self._asks_again):
            known.quiet_until = min(known.ends_at, known.touch_due_at)
        return session
