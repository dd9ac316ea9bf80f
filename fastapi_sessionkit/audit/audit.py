"""``Audit``: one object that answers who may do what, for the command line, for pages and for tests."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from starlette.applications import Starlette

from .._request.services import Services
from .explain import Explanation, Question
from .facts import Facts
from .findings import Finding, findings_of
from .kits import Guards, Kit, kits_of
from .lock import Change, compared, entries_of, lock_text, read_lock
from .matrix import Row, rows
from .operations import Operation, operations_of
from .people import Person, people


class Audit:
    """Who may do what on an application, from the decisions that its gate takes: ``kit.audit(app)``.

    It is about the application as it is now, and neither starts it nor asks a store. What another kit asks for has that
    kit's name before it, ``staff/role:lead``; who has it is said in the same way.

    Args:
        app: the application.
        services: of the kit whose people are meant.
        guards: the applications that the kit is installed on, each with its guard.
        keys: the kit's secrets, of which only weaknesses are told.
    """

    def __init__(
        self,
        app: Starlette,
        services: Services[Any],
        guards: Guards,
        keys: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._services = services
        self._guards = dict(guards)
        self._keys = keys

    @cached_property
    def _kits(self) -> tuple[Kit, ...]:
        return kits_of(self._app, self._services, self._guards)

    @cached_property
    def operations(self) -> list[Operation]:
        """Everything that the application serves, by path and method, and what it needs."""
        return operations_of(self._app, self._kits)

    @cached_property
    def findings(self) -> list[Finding]:
        """What is probably not as it was meant, each with a code, a place, and what to do."""
        return findings_of(Facts(self._app, self._services, self._kits, self.operations, self._keys))

    def explain(self, method: str, path: str, who: Person | str = "anonymous") -> Explanation:
        """Why somebody may, or may not, call a method on a path.

        Args:
            method: the HTTP method, or ``"WEBSOCKET"``.
            path: as a client asks for it, such as ``/users/42``, percent-decoded.
            who: a ``Person``, or what ``--as`` takes: ``"role:editor,user:42"``, ``"anonymous"``.
        """
        (person,) = people([who])
        return Question(method.upper(), path, person).answer(self._app, self.operations, self._kits)

    def matrix(self, who: Iterable[Person | str] | Mapping[str, str | Iterable[str]]) -> list[Row]:
        """Who may call what: ``audit.matrix({"admin": ["role:admin"], "anonymous": []})``."""
        return rows(self.operations, people(who))

    def lock(self) -> str:
        """What each operation needs, as the text of an ``access.lock``."""
        return lock_text(entries_of(self.operations))

    def compare(self, lock: str) -> list[Change]:
        """What became of each operation since a lock was written, those that are equal included."""
        return compared(read_lock(lock), entries_of(self.operations))
