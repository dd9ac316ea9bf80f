"""What happens once an application: nothing before the first request, a purge now and then, a close at the end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import CookieBackend
from tests.stack.lifespan import running
from tests.support import RecordingStore, new_kit

pytestmark = pytest.mark.anyio

OFTEN = 0.001
SOON = 30.0


class PurgedStore(RecordingStore):
    """Says when it is purged and closed, and fails or waits where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.purges_at_once = self.most_purges_at_once = 0
        self.purging: Callable[[], Any] = lambda: asyncio.sleep(0)
        self.purged = asyncio.Event()

    async def purge(self) -> int:
        self.calls.append("purge")
        self.purges_at_once += 1
        self.most_purges_at_once = max(self.most_purges_at_once, self.purges_at_once)
        try:
            await self.purging()
        finally:
            self.purges_at_once -= 1
            if self.calls.count("purge") >= 5:
                self.purged.set()
        return 0

    async def aclose(self) -> None:
        self.calls.append("aclose")


@pytest.fixture
def store() -> PurgedStore:
    return PurgedStore()


def app_of(backend: Any, *, lifespan: Any = None, purge_every: float | None = None) -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    new_kit(backend=backend, purge_every=purge_every).install(app)
    return app


def purge_tasks() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if "_purge" in repr(task.get_coro())]


# Open and close


async def test_nothing_is_asked_of_the_store_before_a_request_asks(store: PurgedStore) -> None:
    async with running(app_of(store)):
        assert store.calls == []


async def test_the_store_is_closed_with_the_application(store: PurgedStore) -> None:
    async with running(app_of(store)):
        pass

    assert store.calls == ["aclose"]


async def test_the_store_is_closed_after_the_users_own_lifespan_has_ended(store: PurgedStore) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        store.calls.append("their start")
        yield {"database": "theirs"}
        await store.get("0" * 64)
        store.calls.append("their end")

    async with running(app_of(store, lifespan=lifespan)) as state:
        assert state == {"database": "theirs"}

    assert store.calls == ["their start", "get", "their end", "aclose"]


async def test_the_store_is_closed_when_the_users_own_lifespan_fails_at_the_end(store: PurgedStore) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        raise RuntimeError("their bug")

    with pytest.raises(RuntimeError, match="their bug"):
        async with running(app_of(store, lifespan=lifespan, purge_every=OFTEN)):
            pass

    assert store.calls[-1] == "aclose"
    assert purge_tasks() == []


async def test_the_users_own_lifespan_that_fails_at_the_start_leaves_no_task(store: PurgedStore) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("their bug")
        yield

    with pytest.raises(RuntimeError, match="their bug"):
        async with running(app_of(store, lifespan=lifespan, purge_every=OFTEN)):
            pass

    assert purge_tasks() == []


async def test_a_store_that_cannot_be_closed_does_not_hold_the_shutdown_up(caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(PurgedStore):
        async def aclose(self) -> None:
            raise RuntimeError("password hunter2 was not accepted")

    async with running(app_of(Stuck())):
        pass

    assert "did not close: RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text


async def test_an_application_may_be_started_again(store: PurgedStore) -> None:
    app = app_of(store, purge_every=OFTEN)
    for _ in range(2):
        store.calls.clear()
        store.purged.clear()
        async with running(app):
            await asyncio.wait_for(store.purged.wait(), SOON)

        assert store.calls[-1] == "aclose"
        assert purge_tasks() == []


async def test_two_kits_on_one_application_both_close() -> None:
    one, two = PurgedStore(), PurgedStore()
    app = app_of(one)
    new_kit(backend=two, name="staff", cookie=_named("staff"), purge_every=None).install(app)
    async with running(app):
        pass

    assert one.calls == two.calls == ["aclose"]


def _named(name: str) -> Any:
    from fastapi_sessionkit import CookieSettings

    return CookieSettings(name=name)


# The purge


async def test_a_started_application_purges_again_and_again_in_one_task(store: PurgedStore) -> None:
    async with running(app_of(store, purge_every=OFTEN)):
        tasks = len(purge_tasks())
        await asyncio.wait_for(store.purged.wait(), SOON)

    assert tasks == 1
    assert store.calls.count("purge") >= 5
    assert store.most_purges_at_once == 1


async def test_the_first_purge_comes_after_the_interval_give_or_take_a_fifth(
    store: PurgedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            slept.append(seconds)
        await real(0)

    monkeypatch.setattr("fastapi_sessionkit._application.lifecycle.asyncio.sleep", sleep)
    async with running(app_of(store, purge_every=3600)):
        before = list(store.calls)
        await asyncio.wait_for(store.purged.wait(), SOON)

    assert before == []
    assert len(slept) >= 5
    assert all(2880 <= seconds <= 4320 for seconds in slept)
    assert len(set(slept)) > 1


async def test_switched_off_there_is_no_purge_and_no_task(store: PurgedStore) -> None:
    async with running(app_of(store, purge_every=None)):
        await asyncio.sleep(0)

        assert purge_tasks() == []


async def test_a_stateless_backend_has_nothing_to_purge() -> None:
    async with running(app_of(CookieBackend(), purge_every=OFTEN)):
        assert purge_tasks() == []


@pytest.mark.parametrize("error", [OSError("no route to ada's host"), RuntimeError("ada")])
async def test_a_purge_that_fails_is_tried_again_and_takes_nothing_down(
    store: PurgedStore, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise error

    store.purging = fail
    async with running(app_of(store, purge_every=OFTEN)):
        await asyncio.wait_for(store.purged.wait(), SOON)
        assert len(purge_tasks()) == 1

    assert store.calls.count("purge") >= 5
    assert "ada" not in "".join(message for message in caplog.messages if "purge" in message)


async def test_a_purge_under_way_does_not_hold_the_shutdown_up(store: PurgedStore) -> None:
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    store.purging = hang
    async with running(app_of(store, purge_every=OFTEN)):
        await asyncio.wait_for(started.wait(), SOON)

    assert store.calls == ["purge", "aclose"]
    assert purge_tasks() == []


async def test_a_purge_says_at_debug_how_many_it_dropped(store: PurgedStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fastapi_sessionkit")
    async with running(app_of(store, purge_every=OFTEN)):
        await asyncio.wait_for(store.purged.wait(), SOON)

    assert "Purged 0 expired sessions" in caplog.text
