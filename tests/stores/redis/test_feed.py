"""What the store tells of changes, by pub/sub: at once, again after an outage, and nothing where it may not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from redis.asyncio import Redis

from fastapi_sessionkit import Session, session_watch
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing.contract.tools import PATIENCE
from tests.stores.redis.support import A, B, a_record
from tests.stores.redis_servers import RedisCluster, RedisServer
from tests.support import new_kit

pytestmark = pytest.mark.anyio


class Told:
    """How often somebody was told."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1

    async def reaches(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.times < times:  # noqa: ASYNC110 - the server says when
                await asyncio.sleep(0.01)


async def watching(store: RedisStore, key: str = A) -> tuple[Told, Callable[[], None]]:
    told = Told()
    stop = store.watch(key, told)
    await told.reaches(1)  # when the server has begun
    return told, stop


async def change(store: RedisStore, key: str = A) -> None:
    record = a_record()
    await store.create(key, record)
    assert await store.replace(key, replace(record, version=2), version=1)


async def test_a_change_and_an_end_are_told_and_a_use_is_not(store: RedisStore) -> None:
    told, _ = await watching(store)

    await change(store)
    await told.reaches(2)
    await store.touch(A, last_seen_at=a_record().last_seen_at, expires_at=a_record().expires_at)
    await store.delete(A)
    await told.reaches(3)
    await change(store)
    await store.delete_user("ada")
    await told.reaches(5)

    assert told.times == 5


async def test_only_who_watches_that_key_is_told(store: RedisStore) -> None:
    (first, _), (second, stop), (other, _) = await watching(store), await watching(store), await watching(store, B)

    await change(store)
    await first.reaches(2)
    await second.reaches(2)
    assert other.times == 1
    stop()
    stop()
    await store.delete(A)
    await first.reaches(3)
    assert second.times == 2


async def test_who_watches_again_after_the_last_has_gone_is_told(store: RedisStore) -> None:
    _, stop = await watching(store)
    stop()

    told, _ = await watching(store)

    await change(store)
    await told.reaches(2)


async def test_one_connection_tells_of_all_keys_and_goes_with_the_last(server: RedisServer, store: RedisStore) -> None:
    await store.get(A)
    before = server.connections()
    stops = [(await watching(store, f"{number:064x}"))[1] for number in range(20)]

    assert len(server.connections() - before) == 1
    for stop in stops:
        stop()
    async with asyncio.timeout(PATIENCE):
        while server.connections() - before:  # noqa: ASYNC110 - the server says when
            await asyncio.sleep(0.01)


async def test_after_an_outage_it_tells_again_and_says_so_once(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    told, _ = await watching(store)
    with caplog.at_level(logging.WARNING), server.client() as client:
        client.client_kill_filter(_type="pubsub")
        await told.reaches(2)

    await change(store)
    await told.reaches(3)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("Redis does not tell of changes at the moment")


async def test_closing_the_store_ends_the_connection(server: RedisServer, store: RedisStore) -> None:
    before = asyncio.all_tasks()
    await watching(store)
    await store.aclose()

    assert asyncio.all_tasks() == before


async def test_a_user_who_may_not_publish_changes_sessions_all_the_same(server: RedisServer, look: Any) -> None:
    look.acl_setuser("quiet", enabled=True, passwords=["+quiet"], keys=["*"], commands=["+@all"], reset_channels=True)
    store = RedisStore(f"redis://quiet:quiet@127.0.0.1:{server.port}/0", timeout=PATIENCE)
    try:
        await change(store)
        assert await store.delete(A)
        assert await store.delete(A) is False
    finally:
        await store.aclose()


async def test_a_client_of_the_third_protocol_is_told_too(server: RedisServer) -> None:
    client = Redis.from_url(server.url, protocol=3)
    store = RedisStore(client, timeout=PATIENCE)
    try:
        told, _ = await watching(store)
        await change(store)
        await told.reaches(2)
    finally:
        await store.aclose()
        await client.aclose()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    cluster = RedisCluster()
    yield cluster
    cluster.close()


@pytest.fixture
async def clustered(cluster: RedisCluster) -> AsyncIterator[RedisStore]:
    store = RedisStore(cluster.url, timeout=PATIENCE)
    yield store
    await store.aclose()


async def test_every_node_of_a_cluster_tells_of_every_key(clustered: RedisStore) -> None:
    keys = [f"{number:064x}" for number in range(12)]
    told = {key: (await watching(clustered, key))[0] for key in keys}

    for key in keys:
        await change(clustered, key)

    for each in told.values():
        await each.reaches(2)


async def test_a_socket_ends_at_once_when_another_process_ends_its_session(
    server: RedisServer, store: RedisStore
) -> None:
    elsewhere = RedisStore(server.url, timeout=PATIENCE)
    kit, app = new_kit(backend=store), FastAPI()
    kit.install(app)
    entered, closed = asyncio.Event(), asyncio.Event()
    sent: list[Any] = []

    @app.websocket("/")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        async with session_watch(socket, every=600):
            entered.set()
            await asyncio.Event().wait()
        closed.set()

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    session = Session(user_id="ada")
    record = kit.services.lifetimes.new_record(session.model_dump_json().encode(), "ada", None)
    cookie = f"{kit.cookie_name}={await kit.backend.create(record)}".encode()
    scope = {"type": "websocket", "path": "/", "headers": [(b"cookie", cookie)], "query_string": b"", "scheme": "wss"}
    task = asyncio.get_running_loop().create_task(app(scope, receive, send))
    try:
        await asyncio.wait_for(entered.wait(), PATIENCE)
        await asyncio.sleep(0.5)
        await elsewhere.delete_user("ada")

        await asyncio.wait_for(closed.wait(), PATIENCE)
        assert sent[-1]["code"] == 4401
    finally:
        await task
        await elsewhere.aclose()
