"""``sessionkit purge`` and ``sessionkit sessions``: the only commands that ask a store."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fastapi_sessionkit import Session, SessionKit
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing import signed_in
from tests.cli.conftest import Project
from tests.support import client_of

KEY = "q7Zp-0mVx_3kTn9LrWc2YdHs8BfJu1GaEe5KiO4oMvXt"
MAIN = f"""
from fastapi import FastAPI
from fastapi_sessionkit import SessionKit
from fastapi_sessionkit.stores.sql import SQLStore

app = FastAPI()
kit = SessionKit(secret_key="{KEY}", backend=SQLStore("sqlite+aiosqlite:///sessions.db"))
kit.install(app)
"""


@pytest.fixture
def signed(project: Project) -> list[Any]:
    """Two sessions of ada, one of bob, and one of ada that has expired."""
    project.write("main.py", MAIN)
    url = f"sqlite+aiosqlite:///{Path('sessions.db').resolve()}"
    for user, age in (("ada", 0), ("ada", 0), ("bob", 0), ("ada", 90 * 86_400)):
        kit = SessionKit(secret_key=KEY, backend=SQLStore(url), clock=partial(earlier, age))
        signed_in(client_of(None), kit, Session(user_id=user, email="ada@example.com"))
    return project.json("sessions", "main:app", "ada", "--json")


def earlier(seconds: int) -> float:
    return time.time() - seconds


def test_the_sessions_of_a_user_are_listed_without_what_opens_them(project: Project, signed: list[Any]) -> None:
    result = project.run("sessions", "ada")

    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "HANDLE",
        *(each["handle"][:12] for each in signed),
    ]
    assert "ada@example.com" not in result.output
    assert KEY not in result.output


def test_a_session_is_revoked_by_the_start_of_its_handle(project: Project, signed: list[Any]) -> None:
    first, second = (each["handle"] for each in signed)

    left = project.json("sessions", "ada", "--revoke", first[:12], "--json")
    assert [each["handle"] for each in left] == [second]


def test_all_sessions_of_a_user_are_revoked(project: Project, signed: list[Any]) -> None:
    result = project.run("sessions", "ada", "--revoke", "all")

    assert result.stdout == "No session\n"
    assert result.stderr.endswith("Ended 2 sessions\n")
    assert len(project.json("sessions", "bob", "--json")) == 1


@pytest.mark.parametrize("handle", ["0" * 64, "", "zz"])
def test_a_handle_of_nobody_s_is_an_error(handle: str, project: Project, signed: list[Any]) -> None:
    assert "No session of ada" in project.run("sessions", "ada", "--revoke", handle, code=2).stderr


def test_another_user_s_session_is_not_revoked(project: Project, signed: list[Any]) -> None:
    project.run("sessions", "bob", "--revoke", signed[0]["handle"], code=2)

    assert len(project.json("sessions", "ada", "--json")) == 2


def test_purging_says_how_many(project: Project, signed: list[Any]) -> None:
    assert project.run("purge", "main:app").stdout == "Purged 1 expired session\n"
    assert project.json("purge", "--json") == {"purged": 0}


def test_a_store_that_can_not_be_asked_is_one_line(project: Project) -> None:
    project.write("main.py", MAIN.replace("sessions.db", "no/such/folder.db"))

    result = project.run("purge", code=2)
    assert (
        result.stderr
        == "sessionkit: The store can't be asked: SQLite file no/such/folder.db: unable to open database file\n"
    )


def test_a_cookie_backend_has_nothing_to_list(project: Project) -> None:
    project.write("main.py", MAIN.replace(', backend=SQLStore("sqlite+aiosqlite:///sessions.db")', ""))

    assert "kept on the server" in project.run("sessions", "ada", code=2).stderr
