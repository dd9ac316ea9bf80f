"""``examples/file_store.py``: it keeps the contract, and the promises beyond it that its docstring makes."""

import asyncio
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from examples.file_store import FileStore
from fastapi_sessionkit import Session, SessionRecord, set_session
from fastapi_sessionkit.testing import SessionStoreContract
from tests.support import client_of, new_kit

REPOSITORY = Path(__file__).parents[2]
KEY = "0a" * 32

RAISE_A_COUNTER = """
import asyncio, sys
from dataclasses import replace
from examples.file_store import FileStore

async def main(folder, key, times):
    store = FileStore(folder)
    done = 0
    while done < times:
        record = await store.get(key)
        counted = replace(record, data=str(int(record.data) + 1).encode(), version=record.version + 1)
        done += await store.replace(key, counted, version=record.version)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


class TestFileStore(SessionStoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_store(self, clock: Callable[[], float]) -> FileStore:
        return FileStore(self.folder, clock=clock)


def record(data: bytes, version: int = 1) -> SessionRecord:
    now = time.time()
    return SessionRecord(data, "ada", version, now, now, now, now + 600)


def restarted(folder: Path) -> TestClient:
    """One process' life of it."""
    kit = new_kit(backend=FileStore(folder))
    app = FastAPI()
    kit.install(app)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Session(user_id="ada"))

    @app.get("/me")
    async def me(request: Request) -> str | None:
        session = await kit.get_session(request)
        return None if session is None else session.user_id

    return client_of(app)


def test_a_restart_signs_nobody_out(tmp_path: Path) -> None:
    before = restarted(tmp_path)
    before.post("/login")

    after = restarted(tmp_path)
    after.cookies = before.cookies

    assert after.get("/me").json() == "ada"


def test_nobody_but_the_owner_may_read_the_files(tmp_path: Path) -> None:
    restarted(tmp_path / "sessions").post("/login")

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "sessions").glob("*.json")}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "sessions").stat().st_mode) == 0o700


def test_a_counter_raised_by_two_processes_loses_no_step(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    asyncio.run(store.create(KEY, record(data=b"0")))
    command = [sys.executable, "-c", RAISE_A_COUNTER, str(tmp_path), KEY, "50"]

    both = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(2)]

    assert [process.wait() for process in both] == [0, 0]
    assert kept(store) == b"100"


def test_a_write_that_fails_leaves_the_old_record_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path)
    asyncio.run(store.create(KEY, record(data=b"old")))
    before = sorted(tmp_path.iterdir())

    monkeypatch.setattr("examples.file_store.json.dump", no_space_left)
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(store.replace(KEY, record(data=b"new", version=2), version=1))

    assert kept(store) == b"old"
    assert sorted(tmp_path.iterdir()) == before


def kept(store: FileStore) -> bytes:
    record = asyncio.run(store.get(KEY))
    assert record is not None
    return record.data


def no_space_left(*_: object) -> None:
    raise OSError(28, "No space left on device")
