"""The session of a visitor, for a kit with ``anonymous=True``: there is always one, and it is stored once it has changed."""

import logging
from typing import NoReturn

from ..access import Subject
from ..errors import ConfigurationError
from ..session import SessionInfo
from ..transport import Headers
from .changes import Action, Changes
from .codec import M, Update
from .envelope import opened
from .handed import Handed
from .request_session import RequestSession

logger: logging.Logger = logging.getLogger(__name__)


class VisitorSession(RequestSession[M]):
    """A request's session where nobody signs in. Where none is stored it has the model's defaults, and is *fresh*."""

    __slots__ = ("_fresh",)

    async def settle(self) -> None:
        """Find the stored session, once, or begin with a fresh one."""
        await super().settle()
        if self._session is None:
            self._start_fresh()
            if self._changes is not None and self._changes.unread:
                self._catch_up()

    def update(self, update: Update) -> None:
        """Mark a patch of named fields, or a function that computes one; of a fresh session where none is stored."""
        self._require_open("update_session")
        if self._session is None and (self._settled or not self.has_token):
            self._start_fresh()
        if self._session is not None and self.loaded is None:
            self._require_same_origin("change")
        super().update(update)

    def rotate(self) -> None:
        """Mark a move to a new id. What is not stored has none, and needs no move."""
        self._require_open("regenerate_session")
        self._mark_move()

    async def commit(self, *, may_move: bool = True) -> Headers:
        """Save what was marked; a fresh session only where it is another by now."""
        marks = self._changes
        if marks is not None and (marks.unread or marks.action is Action.ROTATE) and self.loaded is None:
            await self.settle()
        self._notice_changes_in_place()
        marks = self._changes
        if marks is not None and self.loaded is None and marks.action is not Action.SIGN_IN:
            if not self._has_changed(marks):
                self._forget_patches(marks)
            elif may_move:
                self._require_same_origin("change")
                marks.action = Action.SIGN_IN
            else:
                logger.warning("A handshake that is refused by closing begins no session: what was changed is dropped")
                return []
        return await super().commit(may_move=may_move)

    async def info(self) -> SessionInfo | None:
        """The session's clocks; ``None`` where none is stored."""
        await self.settle()
        return None if self.loaded is None and self.action is not Action.SIGN_IN else await super().info()

    def subject(self) -> Subject:
        """Nobody whom requirements could be asked of."""
        return _Visitor(None)

    @property
    def is_nobody(self) -> bool:
        """Nobody is signed in here, ever."""
        return True

    @property
    def is_somebodys(self) -> bool:
        """Whether the response may hold what is one visitor's alone: a fresh session is everybody's."""
        return self._presented is not None

    def _is_stale(self) -> bool:
        """No decision stands on it."""
        return False

    def _note_absence(self) -> None:
        """A visitor of whom nothing is stored is nobody's mistake."""

    def _start_fresh(self) -> None:
        codec = self.services.codec
        session = codec.model()
        self._fresh: bytes = codec.dump(session)
        self._session = session
        self._handed = [*self._handed, Handed.now(session, self._fresh)]

    def _has_changed(self, marks: Changes) -> bool:
        if self._session is None or not marks.patches:
            return False
        data = self.services.codec.dump(self._session)
        for patch in marks.patches:
            data = self.services.codec.apply(data, patch)
        return opened(data).body != self._fresh

    def _forget_patches(self, marks: Changes) -> None:
        marks.patches.clear()
        if marks.action is Action.ROTATE:
            marks.action = Action.KEEP


class _Visitor(Subject):
    """Passes for the module's ``require_session``, and for nothing that asks for a user."""

    __slots__ = ()

    @property
    def session(self) -> NoReturn:
        raise ConfigurationError(NO_USERS)

    @property
    def is_nobody(self) -> bool:
        return False

    @property
    def age(self) -> NoReturn:
        raise ConfigurationError(NO_USERS)

    def names(self, attribute: str, hook: str) -> NoReturn:  # noqa: ARG002
        raise ConfigurationError(NO_USERS)


NO_USERS = (
    "This SessionKit is anonymous=True: nobody signs in, so there are no roles, permissions or other requirements to ask for, and "
    "no guard. Ask them of the SessionKit that users sign in with"
)
