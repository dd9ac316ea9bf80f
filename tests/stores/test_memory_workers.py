"""``MemoryStore`` behind several workers: each says once that the others don't know its sessions."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from fastapi_sessionkit.stores.memory import MemoryStore, sign_of_other_workers
from fastapi_sessionkit.testing.contract.tools import PATIENCE, ContractClock, key
from tests.stack.workers import _free_ports

pytestmark = pytest.mark.anyio

APPLICATION = """
from fastapi import FastAPI
from fastapi_sessionkit import MemoryStore

app, store = FastAPI(), MemoryStore()

@app.get("/")
async def root():
    for _ in range(3):
        await store.get("0" * 64)
"""


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)


async def use(store: MemoryStore) -> None:
    clock = ContractClock(real=True)
    for n in range(3):
        await store.get(key(str(n)))
        await store.create(key(str(n)), clock.record())


async def test_alone_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    await use(MemoryStore())

    assert caplog.records == []


@pytest.mark.parametrize("count", ["", "1", "0", "many", "-2", " "])
async def test_a_number_of_one_or_none_says_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, count: str
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", count)
    await use(MemoryStore())

    assert caplog.records == []


async def test_several_workers_by_the_environment_are_one_warning_at_the_first_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    store = MemoryStore()
    assert caplog.records == []
    await use(store)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "WEB_CONCURRENCY is 4" in caplog.text
    assert "RedisStore" in caplog.text


class Settings:
    def __init__(self, workers: Any, *, reload: bool = False) -> None:
        self.workers = workers
        self.reload = reload


def server_of(module: str, **settings: Any) -> Any:
    """What runs the application, as far as the store can see: an object of that package, further down the stack."""

    class Server:
        def __init__(self) -> None:
            vars(self).update(settings)

        def run(self) -> str | None:
            return sign_of_other_workers()

    Server.__module__ = module
    return Server()


@pytest.mark.parametrize(
    ("module", "settings", "sign"),
    [
        ("gunicorn.workers.base", {"cfg": Settings(4)}, "gunicorn runs 4 workers"),
        ("uvicorn_worker._workers", {"cfg": Settings(4), "config": Settings(1)}, "uvicorn_worker runs 4 workers"),
        ("uvicorn.server", {"config": Settings(2)}, "uvicorn runs 2 workers"),
        ("hypercorn.asyncio.run", {"config": Settings(3)}, "hypercorn runs 3 workers"),
        ("gunicorn.workers.base", {"cfg": Settings(1)}, None),
        ("uvicorn.server", {"config": Settings(4, reload=True)}, None),
        ("uvicorn.server", {"config": Settings(None)}, None),
        ("uvicorn.server", {}, None),
        ("my_uvicorn.server", {"config": Settings(4)}, None),
    ],
)
def test_a_server_with_several_workers_is_recognised(module: str, settings: dict[str, Any], sign: str | None) -> None:
    assert server_of(module, **settings).run() == sign


@pytest.mark.parametrize(("workers", "warnings"), [(2, True), (1, False)])
def test_uvicorns_workers_say_it(tmp_path: Path, workers: int, warnings: bool) -> None:
    (tmp_path / "served.py").write_text(APPLICATION)
    [port] = _free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "served:app", "--port", str(port), "--workers", str(workers)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=log, stdout=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", timeout=5).raise_for_status()
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(PATIENCE)

    assert ((tmp_path / "log").read_text().count(f"uvicorn runs {workers} workers") == 1) is warnings
