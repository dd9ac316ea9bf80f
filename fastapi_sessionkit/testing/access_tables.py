"""Who is answered what, as one table that a test asserts."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.websockets import WebSocketDisconnect

from .._request.lookup import installed_kits
from ..errors import ConfigurationError
from ..kit import SessionKit
from .clients import signed_in

Operation = tuple[str, str]
"""A method and a path, as a client sends them; ``WEBSOCKET`` for a handshake."""

ANONYMOUS = "anonymous"
"""The person who is nobody, in every table."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one person was answered, and what the table says. ``raised`` names an error that nothing handled."""

    expected: int
    status: int
    raised: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it was the answer that the table says."""
        return self.status == self.expected

    def __str__(self) -> str:
        got = f"{self.status} ({self.raised})" if self.raised else str(self.status)
        return got if self.is_right else f"{got}, not {self.expected}"


def assert_access(
    app: Starlette,
    table: Mapping[Operation, Mapping[str, int]],
    *,
    people: Mapping[str, Any] | None = None,
    kit: SessionKit[Any] | None = None,
) -> None:
    """Send each request of a table as each of its people, and compare the status codes.

    ::

        assert_access(app, {
            ("GET", "/admin"): {"admin": 200, "editor": 403, "anonymous": 401},
            ("POST", "/reports"): {"editor": 201, "anonymous": 401},
        })

    The application is started for it and shut down after it, the requests really happen, from the top down, and each
    comes from a client that was just signed in. They have no body, so where one is needed, who is let in gets a 422.
    Redirects are not followed. ``("WEBSOCKET", "/ws")`` is a handshake: 101 where it is accepted, the status of the
    refusal otherwise, and 403 where the endpoint closes it before.

    Args:
        app: the application that the kit is installed on.
        table: the status codes, by method and path, by person.
        people: the sessions of people, by name. A name that is not there is somebody with that role, whose
            ``user_id`` is the name; ``anonymous`` is always nobody.
        kit: whose sessions these are, where more than one kit is on the application.

    Raises:
        AssertionError: some answers are others; the text shows them in a table.
        ConfigurationError: the table is empty, somebody can't be made up, or it is not known which kit is meant.
    """
    __tracebackhide__ = True
    kit = kit or _kit_of(app)
    names = list(dict.fromkeys(name for row in table.values() for name in row))
    if not names:
        raise ConfigurationError(
            'assert_access takes a table such as {("GET", "/admin"): {"admin": 200, "anonymous": 401}}'
        )
    sessions = {name: _session_of(name, kit, people or {}) for name in names}
    answers = _answers(app, table, sessions, kit)
    cells = [cell for row in answers.values() for cell in row.values()]
    wrong = sum(not cell.is_right for cell in cells)
    if wrong:
        raise AssertionError(f"{wrong} of {len(cells)} answers are not what the table says:\n\n{_drawn(answers)}")


def _answers(
    app: Starlette,
    table: Mapping[Operation, Mapping[str, int]],
    sessions: Mapping[str, Any],
    kit: SessionKit[Any],
) -> dict[Operation, dict[str, Cell]]:
    from starlette.testclient import TestClient  # needs httpx2, which only tests have

    def cell(operation: Operation, name: str, expected: int) -> Cell:
        client.cookies.clear()
        if sessions[name] is not None:
            signed_in(client, kit, sessions[name])
        try:
            return Cell(expected, _status(client, *operation))
        except Exception as error:  # noqa: BLE001 - what a server would log and answer with 500
            return Cell(expected, 500, type(error).__name__)

    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        return {
            operation: {name: cell(operation, name, expected) for name, expected in row.items()}
            for operation, row in table.items()
        }


def _status(client: Any, method: str, path: str) -> int:
    """What a request, or a handshake, is answered with."""
    if method.upper() != "WEBSOCKET":
        status: int = client.request(method, path).status_code
        return status
    from starlette.testclient import WebSocketDenialResponse

    url = str(client.base_url).replace("http", "ws", 1).rstrip("/")  # a Secure cookie is sent over wss only
    handshake = client.websocket_connect(url + path)
    try:
        handshake.__enter__()
    except WebSocketDenialResponse as refusal:
        return refusal.status_code
    except WebSocketDisconnect:
        return 403  # what a server answers with where nothing was accepted
    with suppress(WebSocketDisconnect):  # how an endpoint ends that goes on reading or writing
        handshake.__exit__(None, None, None)
    return 101


def _kit_of(app: Starlette) -> SessionKit[Any]:
    kits = installed_kits(app, anonymous=False)
    if len(kits) != 1 or not isinstance(kits[0], SessionKit):
        raise ConfigurationError(
            "assert_access is about an application with one SessionKit that users sign in with; this one has "
            f"{len(kits) or 'none'}. Say whose sessions are meant: assert_access(app, table, kit=kit)"
        )
    return kits[0]


def _session_of(name: str, kit: SessionKit[Any], people: Mapping[str, Any]) -> Any:
    if name == ANONYMOUS:
        if people.get(name) is not None:
            raise ConfigurationError(f"assert_access: {ANONYMOUS!r} is nobody; give the session in people another name")
        return None
    if name in people:
        return people[name]
    model = kit.model
    how_to = f"say who that is: people={{{name!r}: {model.__name__}(...)}}"
    if "role" not in model.model_fields:
        raise ConfigurationError(
            f"assert_access: {name!r} can't be a role, which {model.__name__} does not have; {how_to}"
        )
    try:
        return model.model_validate({"user_id": name, "role": name}, by_alias=False, by_name=True)
    except ValidationError as error:
        raise ConfigurationError(f"assert_access: {name!r} alone makes no {model.__name__}; {how_to}") from error


def _drawn(answers: Mapping[Operation, Mapping[str, Cell]]) -> str:
    """The rows with a wrong answer, in columns."""
    rows = {
        f"{method} {path}": row
        for (method, path), row in answers.items()
        if not all(cell.is_right for cell in row.values())
    }
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [["", *names], *([title, *(str(row.get(name, "")) for name in names)] for title, row in rows.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_padded(line, widths) for line in lines)


def _padded(line: list[str], widths: list[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
