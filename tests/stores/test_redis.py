import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.base import SessionRecord, StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import PATIENCE, ContractClock, eventually, key
from tests.stores.redis_servers import Proxy, RedisServer

A, B = key("a"), key("b")
LIFETIME = 600.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def look(server: RedisServer) -> Iterator[Any]:
    """A second way into the server, which is empty."""
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
async def store(server: RedisServer, look: Any) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url, timeout=PATIENCE)
    yield store
    await store.aclose()


@pytest.fixture
async def proxy(server: RedisServer, look: Any) -> AsyncIterator[Proxy]:
    async with Proxy(server) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[RedisStore]:
    """A store whose connections can be broken at will."""
    store = RedisStore(proxy.url, timeout=PATIENCE)
    yield store
    await store.aclose()


def a_record(user_id: str | None = "ada", *, version: int = 1, lifetime: float = LIFETIME) -> SessionRecord:
    now = time.time()
    return SessionRecord(b'{"user_id":"ada"}', user_id, version, now, now, now, now + lifetime)


async def commands_of(look: Any, call: Awaitable[object]) -> list[str]:
    """The commands that a call sends, without those that a script runs inside the server."""
    with look.monitor() as monitor:
        await call
        look.echo("the end")
        heard = []
        while "the end" not in (command := monitor.next_command())["command"]:
            if command["client_type"] != "lua":
                heard.append(command["command"].split()[0])
        # Newer servers also hear how the connection of `echo` introduces itself.
        return [word for word in heard if word != "CLIENT"]


async def has_only(server: RedisServer, kept: set[tuple[int, str]]) -> bool:
    """Whether every other connection is gone."""
    return server.connections() <= kept


class TestRedisStore(SessionStoreContract):
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, server: RedisServer) -> AsyncIterator[RedisStore]:
        store = RedisStore(server.url, clock=clock, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()


class TestRedisStoreByTheRealTime(SessionStoreContract):
    can_set_clock = False
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, server: RedisServer) -> AsyncIterator[RedisStore]:
        store = RedisStore(server.url, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()


class TestRedisStoreWithAClientThatDecodes(SessionStoreContract):
    """Its replies come in version 3 of the protocol, and as text where a command is not told otherwise."""

    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, server: RedisServer) -> AsyncIterator[RedisStore]:
        client = Redis.from_url(server.url, decode_responses=True, protocol=3)
        store = RedisStore(client, clock=clock, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()
        await client.aclose()


# Round trips


@pytest.mark.anyio
async def test_a_read_is_one_command(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())

    assert await commands_of(look, store.get(A)) == ["GET"]


@pytest.mark.anyio
async def test_a_change_that_keeps_the_user_is_one_command(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    await store.replace(A, a_record(version=2), version=1)

    assert await commands_of(look, store.replace(A, a_record(version=3), version=2)) == ["EVALSHA"]


@pytest.mark.anyio
async def test_a_touch_is_one_command(store: RedisStore, look: Any) -> None:
    record = a_record()
    await store.create(A, record)
    await store.touch(A, last_seen_at=record.last_seen_at, expires_at=record.expires_at)
    call = store.touch(A, last_seen_at=record.last_seen_at + 1, expires_at=record.expires_at + 60)

    assert await commands_of(look, call) == ["EVALSHA"]


@pytest.mark.anyio
async def test_scripts_are_taught_again_when_the_server_forgot_them(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    look.script_flush()

    assert await commands_of(look, store.replace(A, a_record(version=2), version=1)) == ["EVALSHA", "EVAL"]


# Time to live


def keys_without_an_end(look: Any) -> list[bytes]:
    return [name for name in look.scan_iter() if look.pttl(name) < 0]


@pytest.mark.anyio
async def test_every_key_has_a_time_to_live(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record("ada"))
    await store.create(B, a_record(None))
    await store.replace(A, a_record("bob", version=2, lifetime=9 * LIFETIME), version=1)
    await store.touch(A, last_seen_at=time.time(), expires_at=time.time() + 99 * LIFETIME)
    await store.list_user("ada")
    await store.replace(B, a_record("bob", version=2), version=1)

    assert {bytes(name) for name in look.scan_iter()} == {
        f"session:{A}".encode(),
        f"session:{B}".encode(),
        b"session:user:bob",
    }
    assert keys_without_an_end(look) == []


@pytest.mark.anyio
async def test_the_time_to_live_counts_from_the_stores_clock(server: RedisServer, look: Any) -> None:
    store = RedisStore(server.url, clock=lambda: 1000.0)
    await store.create(A, SessionRecord(b"{}", "ada", 1, 1000.0, 1000.0, 1000.0, 7000.0))
    await store.aclose()

    assert 5_900_000 < look.pttl(f"session:{A}") <= 6_000_000


@pytest.mark.anyio
async def test_a_record_shortened_by_replace_leaves_redis_earlier(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    await store.replace(A, a_record(version=2, lifetime=10), version=1)

    assert look.pttl(f"session:{A}") <= 10_000


@pytest.mark.anyio
async def test_a_touched_record_stays_in_redis_longer(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record(lifetime=60))
    await store.touch(A, last_seen_at=time.time(), expires_at=time.time() + 1000)

    assert look.pttl(f"session:{A}") > 900_000


@pytest.mark.anyio
async def test_the_index_outlives_a_session_that_is_touched_again_and_again(store: RedisStore, look: Any) -> None:
    record = a_record(lifetime=10)
    await store.create(A, record)
    for seconds in (15, 25, 60, 3600):
        await store.touch(A, last_seen_at=record.last_seen_at, expires_at=record.expires_at + seconds)

        assert look.pttl("session:user:ada") >= look.pttl(f"session:{A}")


@pytest.mark.anyio
async def test_the_index_outlives_a_session_that_a_change_makes_live_longer(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record(lifetime=10))
    for version, lifetime in ((1, 15), (2, 60), (3, 3600)):
        assert await store.replace(A, a_record(version=version + 1, lifetime=lifetime), version=version) is True
        assert look.pttl("session:user:ada") >= look.pttl(f"session:{A}")


@pytest.mark.anyio
async def test_a_short_session_does_not_cut_the_index_of_a_long_one(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record(lifetime=1000))
    await store.create(B, a_record(lifetime=1))

    assert look.pttl("session:user:ada") > 900_000


# The user's index


@pytest.mark.anyio
async def test_sessions_that_ended_by_themselves_leave_the_index(server: RedisServer, look: Any) -> None:
    now = time.time()
    store = RedisStore(server.url, clock=lambda: now)
    await store.create(A, a_record(lifetime=10))
    await store.create(B, a_record())
    look.delete(f"session:{A}")
    now += 100

    assert [k for k, _ in await store.list_user("ada")] == [B]
    assert look.hkeys("session:user:ada") == [B.encode()]
    await store.aclose()


@pytest.mark.anyio
async def test_signing_out_leaves_nothing_behind(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    await store.delete(A)

    assert list(look.scan_iter()) == []


@pytest.mark.anyio
async def test_ending_all_sessions_of_a_user_leaves_nothing_behind(store: RedisStore, look: Any) -> None:
    for name in "abc":
        await store.create(key(name), a_record())
    await store.replace(A, replace(a_record(version=2), successor=B), version=1)
    await store.delete_user("ada")

    assert list(look.scan_iter()) == []


@pytest.mark.anyio
async def test_a_sign_in_under_way_is_not_tidied_out_of_the_index(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(B, a_record())
    record = a_record()
    proxy.hold(record.data)
    sign_in = asyncio.create_task(through.create(A, record))
    await proxy.sprung.wait()
    # The index names it already, its record is still on its way.
    assert [k for k, _ in await store.list_user("ada")] == [B]
    await store.delete_user("ada")
    proxy.release()

    assert await sign_in is True
    assert await store.list_user("ada") == [(A, record)]


@pytest.mark.anyio
async def test_a_session_whose_index_was_lost_is_listed_again_once_it_is_extended(store: RedisStore, look: Any) -> None:
    record = a_record()
    await store.create(A, record)
    look.delete("session:user:ada")
    await store.touch(A, last_seen_at=time.time(), expires_at=record.expires_at + 3 * LIFETIME)

    assert [k for k, _ in await store.list_user("ada")] == [A]


@pytest.mark.anyio
async def test_a_session_moved_back_while_it_was_moved_away_stays_listed(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(A, a_record("ada"))
    proxy.hold(b"session:user:ada")
    moving_away = asyncio.create_task(through.replace(A, a_record("bob", version=2), version=1))
    await proxy.sprung.wait()
    # It belongs to bob by now, and ada's index is about to be tidied.
    back = a_record("ada", version=3)
    await store.replace(A, back, version=2)
    proxy.release()
    await moving_away

    assert await store.list_user("ada") == [(A, back)]


@pytest.mark.anyio
async def test_a_session_that_is_rotated_meanwhile_does_not_escape_the_end_of_all(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(A, a_record())
    proxy.hold(f"session:{A}".encode())
    ending = asyncio.create_task(through.delete_user("ada"))
    await proxy.sprung.wait()
    # It has read the index, in which there is only the old key.
    await store.create(B, a_record())
    await store.replace(A, replace(a_record(version=2), successor=B), version=1)
    proxy.release()

    assert await ending == 1
    assert await store.get(B) is None


@pytest.mark.anyio
async def test_ending_all_sessions_happens_whole_when_the_caller_is_cancelled(store: RedisStore) -> None:
    for turns in range(12):
        for name in ("one", "two", "three"):
            await store.create(key(f"{turns}{name}"), a_record())
        ending = asyncio.create_task(store.delete_user("ada"))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait([ending])
        await store.aclose()

        assert await store.list_user("ada") == []


# Bursts and connections


@pytest.mark.anyio
async def test_a_burst_of_a_thousand_reads_shares_one_connection(store: RedisStore, server: RedisServer) -> None:
    before = server.connections()
    record = a_record()
    await store.create(A, record)

    assert await asyncio.gather(*(store.get(A) for _ in range(1000))) == [record] * 1000
    assert len(server.connections() - before) == 1


@pytest.mark.anyio
async def test_a_thousand_sign_ins_at_once_all_succeed(store: RedisStore) -> None:
    answers = await asyncio.gather(*(store.create(key(str(n)), a_record(f"user-{n}")) for n in range(1000)))

    assert answers == [True] * 1000


@pytest.mark.anyio
async def test_opening_and_closing_leaks_no_connection(server: RedisServer, look: Any) -> None:
    before = server.connections()
    store = RedisStore(server.url)
    for _ in range(20):
        await store.get(A)
        await store.aclose()

    assert await eventually(lambda: has_only(server, before))


@pytest.mark.anyio
async def test_cancelled_calls_leak_no_connection(store: RedisStore, server: RedisServer) -> None:
    await store.get(A)
    before = server.connections()
    for turns in range(20):
        call = asyncio.create_task(store.create(A, a_record()))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
    await asyncio.sleep(0)

    assert await store.get(B) is None
    assert server.connections() <= before


@pytest.mark.anyio
async def test_connections_that_broke_are_gone(store: RedisStore, server: RedisServer, look: Any) -> None:
    broken: set[tuple[int, str]] = set()
    for _ in range(10):
        await store.get(A)
        broken |= server.connections()
        look.client_kill_filter(_type="normal", skipme=True)
    await store.get(A)
    [used] = server.connections() - broken

    assert await eventually(lambda: has_only(server, {used}))


def test_a_store_serves_one_event_loop_after_another(server: RedisServer, look: Any) -> None:
    # As a TestClient does that is used without `with`: a loop for each request, and nobody closes the store.
    store, record = RedisStore(server.url), a_record()
    before = server.connections()
    assert asyncio.run(store.create(A, record)) is True

    assert asyncio.run(store.get(A)) == record
    assert [k for k, _ in asyncio.run(store.list_user("ada"))] == [A]
    assert asyncio.run(eventually(lambda: has_only(server, before)))


def test_a_store_serves_two_event_loops_at_once(server: RedisServer, look: Any) -> None:
    store, record = RedisStore(server.url), a_record()
    with asyncio.Runner() as one, asyncio.Runner() as other:
        assert one.run(store.create(A, record)) is True
        assert other.run(store.get(A)) == record
        one.run(store.aclose())
        assert other.run(store.get(A)) == record
        other.run(store.aclose())


@pytest.mark.anyio
async def test_closing_leaves_a_client_of_the_users_own_alone(server: RedisServer, look: Any) -> None:
    before = server.connections()
    client = Redis.from_url(server.url)
    await client.set("mine", "1")
    mine = server.connections() - before
    store = RedisStore(client)
    await store.create(A, a_record())
    await store.aclose()

    assert await eventually(lambda: has_only(server, before | mine))
    assert await client.get("mine") == b"1"
    assert server.connections() >= mine
    await client.aclose()


@pytest.mark.anyio
async def test_calls_under_way_while_it_closes_fail_and_do_not_hang(server: RedisServer, look: Any) -> None:
    store = RedisStore(server.url)
    await store.get(A)
    calls = [asyncio.create_task(store.get(A)) for _ in range(5)]
    await asyncio.sleep(0)
    await store.aclose()
    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert all(answer is None or isinstance(answer, StoreError) for answer in answers)


# Faults


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


@pytest.mark.anyio
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


@pytest.mark.anyio
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


@pytest.mark.anyio
async def test_an_idle_connection_that_the_server_closed_costs_nobody_an_error(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    line = line_of(store)
    look.client_kill_filter(_type="normal", skipme=True)
    assert await eventually(lambda: is_given_up(line))

    assert await store.replace(A, a_record(version=2), version=1) is True


@pytest.mark.anyio
async def test_a_read_whose_connection_breaks_is_asked_again(through: RedisStore, proxy: Proxy) -> None:
    record = a_record()
    await through.create(A, record)
    for lose in (proxy.lose_request, proxy.lose_reply):
        lose(b"GET")

        assert await through.get(A) == record
        assert proxy.sprung.is_set()


@pytest.mark.anyio
async def test_a_touch_whose_connection_breaks_is_asked_again(through: RedisStore, proxy: Proxy) -> None:
    record = a_record()
    await through.create(A, record)
    proxy.lose_reply(b"EVAL")

    assert await through.touch(A, last_seen_at=record.last_seen_at + 5, expires_at=record.expires_at + 5) is True


@pytest.mark.anyio
async def test_a_change_whose_reply_is_lost_raises_and_never_says_it_lost(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await through.create(A, a_record())
    new = a_record(version=2)
    proxy.lose_reply(b"EVAL")

    with pytest.raises(StoreError):
        await through.replace(A, new, version=1)
    assert await store.get(A) == new


@pytest.mark.anyio
async def test_a_change_that_never_arrived_raises_and_leaves_the_old(through: RedisStore, proxy: Proxy) -> None:
    old = a_record()
    await through.create(A, old)
    proxy.lose_request(b"EVAL")

    with pytest.raises(StoreError):
        await through.replace(A, a_record(version=2), version=1)
    assert await through.get(A) == old


@pytest.mark.anyio
async def test_a_sign_in_whose_index_entry_is_lost_on_the_way_is_indexed_all_the_same(
    through: RedisStore, proxy: Proxy, store: RedisStore
) -> None:
    await store.create(B, a_record("bob"))
    proxy.lose_request(b"session:user:ada")

    assert await through.create(A, a_record()) is True
    assert [k for k, _ in await store.list_user("ada")] == [A]


@pytest.mark.anyio
async def test_a_sign_out_stands_when_the_index_can_not_be_tidied(server: RedisServer, look: Any) -> None:
    store = RedisStore(server.url)
    await store.create(A, a_record())
    look.delete("session:user:ada")
    look.set("session:user:ada", "not an index")

    assert await store.delete(A) is True
    assert await store.get(A) is None
    await store.aclose()


@pytest.mark.anyio
async def test_other_calls_get_their_own_replies_after_one_was_cancelled_in_the_middle(
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


@pytest.mark.anyio
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


@pytest.mark.anyio
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


@pytest.mark.anyio
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


@pytest.mark.anyio
async def test_a_wrong_password_raises() -> None:
    server = RedisServer(requirepass="right")
    store = RedisStore(f"redis://:wrong@127.0.0.1:{server.port}/0")

    with pytest.raises(StoreError):
        await store.get(A)
    await store.aclose()
    server.close()


@pytest.mark.anyio
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


@pytest.mark.anyio
async def test_a_connection_to_a_demoted_primary_is_given_up(store: RedisStore, look: Any) -> None:
    await store.create(A, a_record())
    look.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreError):
        await store.delete(A)
    look.execute_command("REPLICAOF", "NO", "ONE")
    connected = {client["id"] for client in look.client_list()}
    await store.get(A)

    assert not {client["id"] for client in look.client_list()} <= connected


@pytest.mark.anyio
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


@pytest.mark.anyio
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


@pytest.mark.anyio
async def test_a_session_of_a_newer_version_of_the_library_is_an_error_and_not_nobody(
    store: RedisStore, look: Any
) -> None:
    await store.create(A, a_record())
    look.setrange(f"session:{A}", 0, b"\x02")

    with pytest.raises(StoreError, match="format 2"):
        await store.get(A)


# Attacks


@pytest.mark.anyio
async def test_a_dump_contains_no_id_that_opens_a_session(store: RedisStore, look: Any) -> None:
    session_id, successor_id = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    old, new = (hashlib.sha256(each.encode()).hexdigest() for each in (session_id, successor_id))
    await store.create(old, a_record())
    await store.create(new, a_record())
    await store.replace(old, replace(a_record(version=2), successor=new), version=1)
    dump = b"".join(
        name + (look.get(name) if look.type(name) == b"string" else repr(look.hgetall(name)).encode())
        for name in look.scan_iter()
    )

    assert old.encode() in dump
    assert session_id.encode() not in dump
    assert successor_id.encode() not in dump


@pytest.mark.anyio
async def test_a_user_id_made_to_look_like_a_session_reaches_no_session(store: RedisStore) -> None:
    record = a_record("ada")
    await store.create(A, record)
    for user in (A, f"../{A}", "x\r\nDEL session:" + A, "{" + A + "}"):
        await store.create(key(user), a_record(user))
        await store.delete_user(user)

    assert await store.get(A) == record


@pytest.mark.anyio
async def test_stores_with_different_prefixes_do_not_see_each_other(server: RedisServer, store: RedisStore) -> None:
    other = RedisStore(server.url, prefix="staff:")
    await store.create(A, a_record())

    assert await other.get(A) is None
    assert await other.delete_user("ada") == 0
    assert await store.get(A) is not None
    await other.aclose()


# Configuration


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@localhost",
        "localhost:6379",
        "user:hunter2@localhost",
        "redis://:hunter2/with-a-slash@localhost",
        "redis://:hunter2@localhost?colour=green",
        "redis+sentinel://:hunter2@localhost",
        "",
        "redis+cluster://:hunter2@localhost/3",
        "redis://:hunter2@localhost?socket_keepalive_options=x&max_connections=many",
    ],
)
def test_a_url_that_can_not_work_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        RedisStore(url)

    # Nor by an error of a URL parser behind it.
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    assert "hunter2" not in str(refusal.value)


def test_a_blocking_client_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="asyncio"):
        RedisStore(BlockingRedis())  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_that_never_ends_or_never_waits_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        RedisStore("redis://localhost", timeout=timeout)


@pytest.mark.anyio
async def test_a_unix_socket_works(tmp_path: Path) -> None:
    server = RedisServer(unixsocket=str(tmp_path / "s"))
    store = RedisStore(f"unix://{tmp_path}/s")

    assert await store.create(A, a_record()) is True
    await store.aclose()
    server.close()


@pytest.mark.anyio
async def test_a_database_number_and_a_valkey_url_work(server: RedisServer, look: Any) -> None:
    store = RedisStore(f"valkey://127.0.0.1:{server.port}/3")
    await store.create(A, a_record())
    await store.aclose()

    assert look.dbsize() == 0
    assert look.info("keyspace")["db3"]["keys"] == 2


@pytest.mark.anyio
async def test_a_session_that_is_rotated_while_it_is_listed_is_listed_under_its_new_key(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a change of rights by an administrator would miss it."""
    await store.create(A, a_record())
    find, rotated = store._find, False  # noqa: SLF001

    async def rotating(keys: Any, user_id: str) -> Any:
        nonlocal rotated
        if not rotated:
            rotated = True
            await store.create(B, a_record())
            assert await store.replace(A, replace(a_record(version=2), successor=B), version=1)
        return await find(keys, user_id)

    monkeypatch.setattr(store, "_find", rotating)

    assert [found for found, _ in await store.list_user("ada")] == [B]
