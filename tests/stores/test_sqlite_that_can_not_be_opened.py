"""A file that can't be opened: the driver's thread is gone before anybody hears of it."""

import asyncio
import threading
from pathlib import Path

import pytest

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.sql import SQLStore


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
