"""A file that can't be opened: the driver's thread is gone before anybody hears of it."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.stores.sql.sqlite import opened


def test_a_file_that_hangs_keeps_nobody_who_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, hangs = set(threading.enumerate()), threading.Event()
    connect = sqlite3.connect

    def connect_late(*args: Any, **options: Any) -> sqlite3.Connection:
        hangs.wait(10)
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_late)

    async def give_up() -> bool:
        opening = asyncio.create_task(opened(str(tmp_path / "sessions.db")))
        await asyncio.sleep(0.05)
        opening.cancel()
        await asyncio.wait([opening], timeout=2)
        is_over = opening.done()
        hangs.set()
        while set(threading.enumerate()) - before:  # noqa: ASYNC110 - a thread tells nobody that it ends
            await asyncio.sleep(0.01)
        return is_over

    assert asyncio.run(asyncio.wait_for(give_up(), 10))


def test_a_failure_leaves_no_thread_that_answers_an_ended_loop(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"
    for _ in range(20):
        before = set(threading.enumerate())

        async def ask() -> set[threading.Thread]:
            store = SQLStore(url)
            try:
                with pytest.raises(StoreError):
                    await store.get("k" * 43)
                return set(threading.enumerate()) - before  # noqa: B023 - asked at once
            finally:
                await store.aclose()

        assert asyncio.run(ask()) == set()
