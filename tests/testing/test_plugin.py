"""The pytest plugin, and the clock that it gives."""

import os
import subprocess
import sys
import tomllib
from datetime import timedelta
from importlib import import_module

import pytest

from fastapi_sessionkit.testing import FakeClock
from tests.docs.pages import ROOT

PLUGIN = "fastapi_sessionkit.testing.plugin"

TESTS = """
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_sessionkit import MemoryStore, Session, SessionKit
from fastapi_sessionkit.testing import SessionStoreContract, session_of


@pytest.fixture
def kit(sessionkit_clock):
    return SessionKit(secret_key="x" * 32, backend=MemoryStore(), idle_timeout=3600, clock=sessionkit_clock)


def test_a_session_ends(kit, sessionkit_clock, sign_in):
    app = FastAPI()
    kit.install(app)
    client = TestClient(app, base_url="https://testserver")
    assert sign_in(client, kit, Session(user_id="ada")) is client
    sessionkit_clock.advance(3599)
    assert session_of(client, kit) == Session(user_id="ada")
    sessionkit_clock.advance(2)
    assert session_of(client, kit) is None


def test_another_test_has_a_clock_of_its_own(sessionkit_clock):
    assert sessionkit_clock() == 1_700_000_000


class TestBroken(SessionStoreContract):
    async def make_store(self, clock):
        store = MemoryStore(clock=clock)
        store.get = self.nothing
        return store

    async def nothing(self, key):
        return None
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of these tests in a project that has this package installed."""
    file = tmp_path_factory.mktemp("project") / "test_of_a_user.py"
    file.write_text(TESTS, encoding="utf-8")
    # By its module's name, whether or not this environment was installed since the entry point exists.
    plugins = ["-p", "no:cacheprovider", "-p", "no:sessionkit", "-p", PLUGIN]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "-W", "error", str(file)]
    command += ["-k", "not TestBroken or comes_back_as_it_was_kept"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=file.parent, env=environment)
    return run.stdout + run.stderr


def test_pytest_finds_the_plugin_by_the_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"sessionkit": PLUGIN}
    assert import_module(PLUGIN).__name__ == PLUGIN


def test_its_fixtures_work_in_a_users_tests(report: str) -> None:
    assert "1 failed, 2 passed" in report, report


def test_a_contract_that_fails_says_what_was_compared(report: str) -> None:
    assert "assert None == SessionRecord" in report, report


# The clock


def test_a_clock_moves_only_when_told_to() -> None:
    clock = FakeClock(1000)

    assert (clock(), clock()) == (1000, 1000)
    clock.advance(1.5)
    assert clock() == 1001.5
    clock.advance(timedelta(minutes=1))
    assert clock() == 1061.5
    clock.now = 3.0
    assert clock() == 3.0
