"""The shop's security log: what somebody reads who asks what happened."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from examples.shop import security
from fastapi_sessionkit.events import SessionEvent

Visit = Callable[[str], TestClient]


@pytest.fixture
def written() -> Iterator[list[str]]:
    """The lines of the log, without their times."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()[21:]}")

    handler = Kept()
    security.logger.addHandler(handler)
    yield lines
    security.logger.removeHandler(handler)


def test_a_visit_can_be_read_from_the_log(visit: Visit, written: list[str]) -> None:
    client = visit("")
    client.post("/login", data={"one_click": "cleo:radish"})
    client.get("/admin")
    client.post("/logout")
    mark = written[0].split("session ")[1].split()[0] if written else ""

    assert written == [
        f"INFO signed_in       cleo  session {mark}  POST '/login'",
        f"WARNING denied          cleo  session {mark}  GET '/admin': role:admin is missing",
        f"INFO signed_out      cleo  session {mark}  POST '/logout'",
    ]


def test_a_path_cannot_forge_a_line() -> None:
    event = SessionEvent("denied", datetime(2026, 11, 27, tzinfo=UTC), None, None, "GET", "/x\n2026-11-27 forged", None)

    assert security.line(event) == r"2026-11-27 00:00:00  denied          nobody  GET '/x\n2026-11-27 forged'"
