"""Servers that die, hang, refuse or lose a reply: an error in time, and never a wrong answer."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing.contract.tools import eventually, key
from tests.stores.redis.support import A, B, a_record
from tests.stores.redis_servers import Proxy, RedisServer

pytestmark = pytest.mark.anyio


def line_of(store: RedisStore) -> Any:
    """The connection that it has on this event loop."""
    wire: Any = store._wires[asyncio.get_running_loop()]  # noqa: SLF001
    return wire._line  # noqa: SLF001


async def is_given_up(line: Any) -> bool:
    """Whether the event loop has heard that the server closed it."""
    return not line.usable


async def serves(store: RedisStore) -> bool:
    with suppress(StoreError):
        await store.get(A)
        return True
    return False


async def test_a_server_that_was_killed_and_restarted_works_again_with_all_it_had(look: Any) -> None:
    server = RedisServer(durable=True)
    store = RedisStore(server.url)
    kept = a_record()
    await store.create(A, kept)

    server.kill()
    for call in (store.get(A), store.create(B, a_record()), store.delete(A), store.list_user("ada")):
        with pytest.raises(StoreError):
            await call
    server.start()

    assert await store.get(A) == kept
    assert await store.replace(A, a_record(version=2), version=1) is True
    await store.aclose()
    server.close()


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed_under_load() -> None:
    server = RedisServer(durable=True)
    store = RedisStore(server.url)
    acknowledged: set[str] = set()
    under_load = asyncio.Event()
    failed: list[Exception] = []

    async def sign_in_on_and_on(worker: int) -> None:
        for n in range(10_000):
            name = key(f"{worker}-{n}")
            try:
                await store.create(name, a_record(f"user-{worker}"))
            except StoreError as error:
                failed.append(error)
                return
            acknowledged.add(name)
            if len(acknowledged) == 100:
                under_load.set()

    load = [asyncio.create_task(sign_in_on_and_on(worker)) for worker in range(8)]
    await under_load.wait()
    server.kill()
    await asyncio.gather(*load)
    server.start()

    assert len(failed) == 8
    assert [name for name in acknowledged if await store.get(name) is None] == []
    listed = {name for worker in range(8) for name, _ in await store.list_user(f"user-{worker}")}
    assert acknowledged <= listed
    await store.aclose()
    server.close()


async def test_an_idle_connection_that_the_server_closed_costs_nobody_an_error(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    line = line_of(store)
    look.client_kill_filter(_type="normal", skipme=True)
    assert await eventually(lambda: is_given_up(line))

    assert await store.replace(A, a_record(version=2), version=1) is True


async def test_a_read_whose_connection_breaks_is_asked_again(through: RedisStore, proxy: Proxy) -> None:
    record = a_record()
    await through.create(A, record)
    for lose in (proxy.lose_request, proxy.lose_reply):
        lose(b"GET")

        assert await through.get(A) == record
        assert proxy.sprung.is_set()


async def test_a_touch_whose_connection_breaks_is_asked_again(through: RedisStore, proxy: Proxy) -> None:
    record = a_record()
    await through.create(A, record)
    proxy.lose_reply(b"EVAL")

    assert await through.touch(A, last_seen_at=record.last_seen_at + 5, expires_at=record.expires_at + 5) is True


async def test_a_change_whose_reply_is_lost_raises_and_never_says_it_lost(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await through.create(A, a_record())
    new = a_record(version=2)
    proxy.lose_reply(b"EVAL")

    with pytest.raises(StoreError):
        await through.replace(A, new, version=1)
    assert await store.get(A) == new


async def test_a_change_that_never_arrived_raises_and_leaves_the_old(through: RedisStore, proxy: Proxy) -> None:
    old = a_record()
    await through.create(A, old)
    proxy.lose_request(b"EVAL")

    with pytest.raises(StoreError):
        await through.replace(A, a_record(version=2), version=1)
    assert await through.get(A) == old


async def test_a_sign_in_whose_index_entry_is_lost_on_the_way_is_indexed_anyway(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(B, a_record("bob"))
    proxy.lose_request(b"session:user:ada")

    assert await through.create(A, a_record()) is True
    assert [k for k, _ in await store.list_user("ada")] == [A]


async def test_a_sign_out_stands_when_the_index_can_not_be_tidied(server: RedisServer, look: Any) -> None:
    store = RedisStore(server.url)
    await store.create(A, a_record())
    look.delete("session:user:ada")
    look.set("session:user:ada", "not an index")

    assert await store.delete(A) is True
    assert await store.get(A) is None
    await store.aclose()


async def test_calls_get_their_own_replies_after_another_was_cancelled_midway(
    through: RedisStore, proxy: Proxy
) -> None:
    records = {key(str(n)): a_record(f"user-{n}") for n in range(10)}
    for name, record in records.items():
        await through.create(name, record)
    proxy.hold(b"GET")
    reads = [asyncio.create_task(through.get(name)) for name in records]
    await proxy.sprung.wait()
    for read in reads[::2]:
        read.cancel()
    proxy.release()

    assert await asyncio.gather(*reads[1::2]) == list(records.values())[1::2]


async def test_a_server_that_does_not_answer_is_an_error_in_time() -> None:
    server = RedisServer()
    store = RedisStore(server.url, timeout=1)
    await store.create(A, a_record())
    server.freeze()
    started = time.monotonic()
    answers = await asyncio.gather(*(store.get(A) for _ in range(50)), return_exceptions=True)
    took = time.monotonic() - started
    server.thaw()

    assert all(isinstance(answer, StoreError) for answer in answers)
    assert 0.95 < took < 20  # one after the other they would take 50
    assert await eventually(lambda: serves(store))
    assert await store.get(A) is not None
    await store.aclose()
    server.close()


async def test_a_reply_that_came_while_this_process_stood_still_counts(server: RedisServer) -> None:
    store = RedisStore(server.url, timeout=0.5)
    record = a_record()
    await store.create(A, record)
    read = asyncio.ensure_future(store.get(A))
    for _ in range(5):
        await asyncio.sleep(0)
    time.sleep(1.5)  # noqa: ASYNC251 - the process stands still, longer than an answer may take

    assert await read == record
    await store.aclose()


async def test_a_server_that_takes_no_connection_is_an_error_in_time() -> None:
    server = RedisServer(requirepass="secret")
    server.freeze()
    store = RedisStore(f"redis://:secret@127.0.0.1:{server.port}/0", timeout=0.5)

    with pytest.raises(StoreError):
        await store.get(A)
    server.thaw()
    assert await eventually(lambda: serves(store))
    await store.aclose()
    server.close()


async def test_a_wrong_password_raises() -> None:
    server = RedisServer(requirepass="right")
    store = RedisStore(f"redis://:wrong@127.0.0.1:{server.port}/0")

    with pytest.raises(StoreError):
        await store.get(A)
    await store.aclose()
    server.close()


async def test_a_replica_refuses_writes_until_it_is_a_primary_again(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    look.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        for call in (store.create(B, a_record()), store.replace(A, a_record(version=2), version=1), store.delete(A)):
            with pytest.raises(StoreError, match=r"(?i)read.?only"):
                await call
        assert await store.get(A) is not None
    finally:
        look.execute_command("REPLICAOF", "NO", "ONE")

    assert await store.replace(A, a_record(version=2), version=1) is True


async def test_a_connection_to_a_demoted_primary_is_given_up(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    look.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreError):
        await store.delete(A)
    look.execute_command("REPLICAOF", "NO", "ONE")
    connected = {client["id"] for client in look.client_list()}
    await store.get(A)

    assert not {client["id"] for client in look.client_list()} <= connected


async def test_a_full_server_refuses_writes_and_still_reads_and_signs_out(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    look.config_set("maxmemory", 1)
    try:
        for call in (store.create(B, a_record()), store.replace(A, a_record(version=2), version=1)):
            with pytest.raises(StoreError, match=r"(?i)memory"):
                await call
        assert await store.get(A) is not None
        assert await store.delete(A) is True
    finally:
        look.config_set("maxmemory", 0)


async def test_a_server_that_is_still_loading_raises_and_is_not_nobody(server: RedisServer) -> None:
    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(b"-LOADING Redis is loading the dataset in memory\r\n" * data.count(b"*"))
        writer.close()

    listener = await asyncio.start_server(loading, "127.0.0.1", 0)
    store = RedisStore(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0")
    with pytest.raises(StoreError, match="loading"):
        await store.get(A)
    await store.aclose()
    listener.close()


async def test_a_session_of_a_newer_library_is_an_error_and_not_nobody(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    look.setrange(f"session:{A}", 0, b"\x02")

    with pytest.raises(StoreError, match="format 2"):
        await store.get(A)
