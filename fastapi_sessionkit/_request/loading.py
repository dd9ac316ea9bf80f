"""Loading one request's session, at most once."""

import logging
import math
from collections.abc import Collection, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio

from ..access import Subject
from ..backends.base import Loaded
from ..backends.takeover import Vouched
from ..errors import ConfigurationError, StoreUnavailable
from ..events import EventName
from ..reasons import Reason
from ..session import SessionInfo
from .changes import Action, OldSession
from .codec import FieldPatch, M
from .handed import Handed
from .marking import MarkedSession
from .reading import Known
from .revalidation import Revalidation
from .rights import restricted
from .saving import announce_failure, announce_of_record, new_record, user_id_of
from .services import OldSessions
from .sharing import shell

logger: logging.Logger = logging.getLogger(__name__)

_CANDIDATES = 8
"""How many different tokens of one name are looked at: a flood of them is nobody's, and costs nothing."""


class LoadedSession(MarkedSession[M]):
    """A request's session as far as reading goes."""

    __slots__ = ()

    asked: bool
    failed: bool
    ahead: bool
    loaded: Loaded | None
    before: Any

    async def load(self) -> M | None:
        """The session as this request sees it, its own changes included; ``None`` when nobody is signed in.

        Raises:
            StoreUnavailable: the store can't say.
        """
        await self.settle()
        return self.session

    async def settle(self) -> None:  # noqa: C901 - each request takes this way, so what is rare alone has a method of its own
        """Find out who is signed in, once.

        Of several tasks of the request that ask at once one loads, and if it fails the next one tries.

        Raises:
            StoreUnavailable: the store can't say.
        """
        if self._settled:
            if self.ahead:
                await self._ask_first()
            return
        self.asked = True
        if self._loading:
            await self._settle_after_others()
            return
        self._loading = True
        try:
            services = self.services
            tokens = self._tokens = self._tokens or services.transport.read(self.scope)
            if len(tokens) > 1:
                tokens = await self._choose()
            if tokens and tokens[0]:
                token = tokens[0]
                loaded = await services.backend.load(token)
                known = None if loaded is None else services.reader.known(token, loaded)
                self._presented = None if known is None else loaded
                if loaded is not None and known is not None and not self._settled:  # a sign-in or -out meanwhile stands
                    self._read_at = now = services.lifetimes.clock()
                    if now < known.quiet_until and not loaded.superseded and self._changes is None:
                        self.loaded = loaded
                        self._session = self._shared = known.shared
                    elif now < known.ends_at:
                        await self._take(known, loaded, token)
            if services.old is not None and self._session is None and not self._settled:
                await self._take_from_old(services.old)
            self._settled = True
        except StoreUnavailable as error:
            self.failed = True
            announce_failure(self.services, self.scope, error)
            raise
        finally:
            self._loading = False
            if self._session is None or self._waiting is not None or self.late is not None:
                self._end_loading()

    def ignore_tokens(self) -> None:
        """Nobody is signed in, whatever the request brings: it is too long to be read, also by what answers that."""
        self._tokens, self._settled, self.ahead = (b"",), True, True

    async def load_ahead(self) -> None:
        """Load it for code that can't wait. Until some asks for it the response does not depend on it, and may do without it."""
        if self._settled or self.failed:
            return
        was_asked = self.asked
        with suppress(StoreUnavailable):
            await self.settle()
        self.asked, self.failed, self.ahead = was_asked, False, True

    def note_read(self) -> None:
        """The response depends on the session."""
        self.asked, self.ahead = True, False
        self._mark_late()

    async def _ask_first(self) -> None:
        """It was loaded ahead, and somebody asks now."""
        self.note_read()

    async def _take_from_old(self, old: OldSessions) -> None:
        """Begin a session with what another library's cookie stands for; whoever has the kit's own cookie has moved already."""
        if any(self.tokens) and not old.cookie.is_own:
            return
        found = [(value, each) for value in self._old_values(old) if (each := await old.takeover.session_of(value))]
        if len(found) > 1:
            self._reason = "ambiguous_cookie"
        if len(found) != 1 or self._settled:  # a sign-in or -out meanwhile stands
            return
        (value, each), now = found[0], self.services.lifetimes.clock()
        if isinstance(each, Vouched):
            if each.began_at is None or now < each.began_at + self.services.lifetimes.absolute:
                self._begin_from_old(each.session, OldSession(value, each.began_at))
            return
        known = self.services.reader.known(value, each)  # another request has just taken it over
        if known is not None and now < known.ends_at:
            self._presented, self._read_at = each, now
            await self._take(known, each, value)

    def _old_values(self, old: OldSessions) -> Sequence[bytes]:
        """The values of the old cookie that are not the kit's own, by whatever name."""
        values = old.cookie.read(self.scope)
        theirs = {"malformed", "bad_signature"}
        return [value for value in values if self.services.reader.absence(value, self.services.backend) in theirs]

    def _begin_from_old(self, session: M, old: OldSession) -> None:
        model, marks = self.services.codec.model, self._marks()
        if not isinstance(session, model):
            raise TypeError(
                f"The function that takes over another library's sessions gives a {model.__name__}, the model of this SessionKit, or "
                f"None, not a {type(session).__name__}"
            )
        self._start_over(Action.SIGN_IN, session)
        self._marks().takes_over, self._marks().reauthenticates = old, marks.reauthenticates
        self._marks().unread = marks.unread
        self._handed = [Handed.now(session, self.services.codec.dump(session))]
        self._catch_up()

    def _end_loading(self) -> None:
        """Say what has come of it: to those who wait, to the log, and to a response that has begun."""
        if self._waiting is not None:
            self._waiting.set()
            self._waiting = None
        if self._settled:
            if self._session is None:
                self._note_absence()
            self._mark_late()

    def _note_absence(self) -> None:
        """Keep and log why nobody is signed in, where that was not so decided as it was found."""
        reason = self._reason or ("ended" if self.action is Action.SIGN_OUT else self._absence_of_token())
        if self.action is not Action.SIGN_OUT or reason == "model_mismatch":
            self._reason = reason
            self._announce_absence(reason)
        logger.debug("%s %r: nobody is signed in: %s", self.scope.get("method", "GET"), self.scope["path"], reason)

    def _announce_absence(self, reason: Reason) -> None:
        if reason != "no_cookie":
            record = None if self._presented is None else self._presented.record
            name: EventName = "expired" if reason == "expired" else "invalid_token"
            announce_of_record(self.services, name, self.scope, record, reason)

    def _absence_of_token(self) -> Reason:
        if not self.tokens:
            return "no_cookie"
        if not self.tokens[0]:
            return "malformed"
        if self._presented is not None:  # it is there, and its time is over
            return "expired"
        return self.services.reader.absence(self.tokens[0], self.services.backend)

    def loaded_session(self, caller: str) -> M | None:
        """The session, where it is loaded.

        Raises:
            ConfigurationError: it is not, and a plain function can't wait for it.
            StoreUnavailable: the store could not say.
        """
        self._require_settled(caller)
        return self.session

    def absence(self, caller: str) -> Reason | None:
        """Why nobody is signed in, where that is known; ``None`` when somebody is.

        Raises:
            ConfigurationError: nobody has asked yet.
            StoreUnavailable: the store could not say.
        """
        self._require_settled(caller)
        return (self._reason or "ended") if self._session is None else None

    def announce(self, name: EventName, reason: str | None = None) -> None:
        """Tell of this request and whoever is signed in."""
        session = self._session
        user_id = None if session is None else user_id_of(session)
        began_at = None if session is None or self.loaded is None else self.loaded.record.created_at
        self.services.events.announce(name, self.scope, user_id, began_at, reason)

    def loaded_subject(self, caller: str) -> Subject:
        """Whom to ask requirements of without waiting; nobody where the store could not say.

        Raises:
            ConfigurationError: nothing has loaded the session.
        """
        if self.failed and not self._settled:
            return Subject(None, self.access)
        self._require_settled(caller)
        return self.subject()

    def _require_settled(self, caller: str) -> None:
        if self._settled:
            self.note_read()
            return
        if self.ahead:
            self.asked = self.failed = True
        if self.failed:
            raise StoreUnavailable
        raise ConfigurationError(
            f"{caller} was called in a request whose session is not loaded, and it can't wait for the store. Have it "
            'loaded before: kit.install(app, preload=["/pages/**"]) does on these paths, and so does a guard whose rule '
            "asks for somebody, or Depends(kit.get_session) at the route"
        )

    async def _choose(self) -> Sequence[bytes]:
        """Of several tokens keep the one that leads to a live session; none where two do, for one of them may be planted."""
        candidates = dict.fromkeys(filter(None, self.tokens))
        live: list[bytes] = []
        if len(candidates) <= _CANDIDATES:
            live = [token for token in candidates if await self._leads_somewhere(token)]
        if len(live) != 1:
            self._reason = self._absence_of_several(candidates, live)
        self._tokens = live if len(live) == 1 else (b"",)
        return self._tokens

    def _absence_of_several(self, candidates: Collection[bytes], live: Collection[bytes]) -> Reason:
        """Where none of them is alive, it is the first that counts: browsers send the one with the longest path first."""
        if not candidates:
            return "malformed"
        if live or len(candidates) > _CANDIDATES:
            return "ambiguous_cookie"
        return self.services.reader.absence(next(iter(candidates)), self.services.backend)

    async def _leads_somewhere(self, token: bytes) -> bool:
        services = self.services
        loaded = await services.backend.load(token)
        known = None if loaded is None else services.reader.known(token, loaded)
        return known is not None and services.lifetimes.clock() < known.ends_at

    async def _settle_after_others(self) -> None:
        self._waiting = self._waiting or anyio.Event()  # made only for those who wait; a lock would be for everybody
        await self._waiting.wait()
        await self.settle()

    async def _take(self, known: Known[M], loaded: Loaded, token: bytes) -> None:
        """Take a live record as this request's session, if it fits, and the application agrees."""
        services = self.services
        session = services.reader.read(known)
        if session is None:
            self._reject(loaded)
        elif services.revalidation is None:
            self._adopt(session, known, loaded)
        else:
            await self._take_revalidated(services.revalidation, session, known, loaded, token)

    def _adopt(self, session: M, known: Known[M], loaded: Loaded) -> None:
        if loaded.before is not None:
            common = restricted(self.services.codec, session, loaded.before)
            if common is None:
                self._reason = "superseded"
                return
            session = common
        self.loaded, self._session = loaded, session
        if self._read_at >= known.touch_due_at and not loaded.superseded:
            self._touch_due = True
        if known.note.moves and not loaded.superseded:
            self._mark_move()
            self._marks().switched = known.note.switches
        if loaded.before is not None:
            self.before = self.services.codec.read(loaded.before)
        if session is known.shared:
            self._shared = session
        else:
            self._handed = [*self._handed, Handed.now(session, self.services.codec.dump(session))]
        if self._changes is not None:
            self._catch_up()

    async def _take_revalidated(
        self, revalidation: Revalidation[M], session: M, known: Known[M], loaded: Loaded, token: bytes
    ) -> None:
        answer, patch = await self._revalidated(revalidation, session, known, loaded.key or token)
        if self._settled:  # signed in or out while it was asked: that stands
            return
        if answer is None:
            self._reason = "ended"
            unread = self._marks().unread
            self._start_over(Action.SIGN_OUT, None)
            self._marks().unread = unread  # the commit says that nobody is signed in any more
            return
        if patch is not None and not self._is_final(loaded):  # where it can't be saved, the next request asks again
            self._mark_answer(patch)
        self._adopt(answer, known, loaded)

    async def _revalidated(
        self, revalidation: Revalidation[M], session: M, known: Known[M], key: Hashable
    ) -> tuple[M | None, FieldPatch | None]:
        """What the application makes of the session, ``None`` when it shall end; and what that changes."""
        if not revalidation.is_due(key):
            return session, None
        codec = self.services.codec
        before = codec.dump(session)
        answer = await revalidation.ask(shell(session) if session is known.shared else session, codec.model)
        if answer is None:
            logger.info("A session was ended by the revalidate hook")
            return None, None
        after = revalidation.written(answer, codec)
        if before == after:
            revalidation.settle(key)
            return answer, None
        return answer, FieldPatch(codec.changed_fields(answer, before, after), after)

    def _reject(self, loaded: Loaded) -> None:
        """Remove what does not fit the model."""
        self._reason = "model_mismatch"
        if not loaded.superseded and self._marks().action is Action.KEEP:
            self._marks().action = Action.SIGN_OUT

    def _catch_up(self) -> None:
        """Apply what was marked before anything was loaded."""
        unread, self._marks().unread = self._marks().unread, []
        for update in unread:
            if self.session is not None:
                self._apply(self.session, update)

    async def look_up(self) -> Loaded | None:
        """What the client's token leads to now, nothing of this request included."""
        self.asked = True
        await self._look()
        self._mark_late()
        return self._presented

    async def _look(self) -> Loaded | None:
        tokens = self.tokens if len(self.tokens) < 2 else await self._choose()
        if any(tokens):
            loaded = await self.services.backend.load(tokens[0])
            known = None if loaded is None else self.services.reader.known(tokens[0], loaded)
            self._presented = None if known is None else loaded
        return self._presented

    def _mark_late(self) -> None:
        if self.late is not None:
            mark, message = self.late
            mark(self, message)

    @property
    def is_somebodys(self) -> bool:
        """Whether the response may hold what is one person's alone."""
        return self._session is not None or self._presented is not None

    def subject(self) -> Subject:
        """Whom to ask requirements of, once it is loaded, for one decision."""
        self._answers = None
        return self

    @property
    def age(self) -> float | None:
        """Seconds since the user signed in. A sign-in that this very request made is as fresh as can be."""
        if self._changes is not None and self._changes.reauthenticates:
            return 0.0
        if self.loaded is None:
            return math.inf if self._changes is not None and self._changes.takes_over is not None else 0.0
        return self.services.lifetimes.clock() - self.loaded.authenticated_at

    async def info(self) -> SessionInfo | None:
        """The session's clocks; ``None`` when nobody is signed in."""
        session = await self.load()
        if session is None:
            return None
        if self.loaded is not None:
            return self._info_of(self.loaded)
        return SessionInfo.of(new_record(self.services, b"", user_id_of(session), self._marks()))

    def _info_of(self, loaded: Loaded) -> SessionInfo:
        now = self.services.lifetimes.clock()
        renewed = self._changes is not None and self._changes.reauthenticates
        return SessionInfo.of(replace(loaded.record, authenticated_at=now if renewed else loaded.authenticated_at))
