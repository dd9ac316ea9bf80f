"""Asking the application, every now and then, whether a session is still what it says."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic

from pydantic import ValidationError

from ..errors import StoreUnavailable
from .codec import M, SessionCodec

logger: logging.Logger = logging.getLogger(__name__)

_REMEMBERED = 10_000


class Revalidation(Generic[M]):
    """The hook, and when each session was last put to it.

    That is remembered in this process only, and bounded: another process, or this one after many other sessions, asks
    again. A session is thus at most ``every`` seconds behind, never more.
    """

    def __init__(self, hook: Callable[[M], Awaitable[M | None]], every: float, clock: Callable[[], float]) -> None:
        self._hook = hook
        self._every = every
        self._clock = clock
        self._asked: OrderedDict[Hashable, float] = OrderedDict()

    def is_due(self, key: Hashable) -> bool:
        """Whether the session was not asked about for that long."""
        asked = self._asked.get(key)
        return asked is None or not 0 <= self._clock() - asked < self._every  # the clock may have been set back

    async def ask(self, session: M, model: type[M]) -> M | None:
        """The session, a changed one, or ``None`` when it shall end.

        Raises:
            StoreUnavailable: the hook failed or gave something else, so nobody can say who this is.
        """
        try:
            answer = await self._hook(session)
        except Exception as error:
            logger.error("The revalidate hook raised %s", type(error).__name__)  # noqa: TRY400 - its text may hold values
            raise StoreUnavailable from error
        if answer is not None and not isinstance(answer, model):
            logger.error("The revalidate hook gave a %s, not a %s or None", type(answer).__name__, model.__name__)
            raise StoreUnavailable
        return answer

    def written(self, answer: M, codec: SessionCodec[M]) -> bytes:
        """The answer as JSON.

        Raises:
            StoreUnavailable: it does not fit the model, as ``model_copy(update=...)`` may leave it.
        """
        try:
            data = codec.dump(answer)
            codec.check_readable(answer, data)
        except (TypeError, ValidationError) as error:
            logger.error("The revalidate hook gave a session that can't be kept: %s", type(error).__name__)  # noqa: TRY400
            raise StoreUnavailable from error
        return data

    def settle(self, key: Hashable) -> None:
        """Don't ask about this session for a while: it holds as it is, or what the answer changed is saved.

        Never after an answer that ended it: it may not come to that (the request may still fail), and a signed cookie
        can be sent again.
        """
        self._asked[key] = self._clock()
        self._asked.move_to_end(key)
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
