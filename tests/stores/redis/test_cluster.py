import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from redis.asyncio import RedisCluster as Client

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.testing import SessionStoreContract
from fastapi_sessionkit.testing.contract.tools import PATIENCE, ContractClock, eventually, key
from tests.stores.redis.support import A, a_record
from tests.stores.redis_servers import RedisCluster, RedisServer


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    cluster = RedisCluster()
    yield cluster
    cluster.close()


@pytest.fixture
async def store(cluster: RedisCluster) -> AsyncIterator[RedisStore]:
    cluster.flush()
    store = RedisStore(cluster.url, timeout=PATIENCE)
    yield store
    await store.aclose()


async def has_only(cluster: RedisCluster, kept: set[tuple[int, str]]) -> bool:
    """Whether every other connection is gone."""
    return cluster.connections() <= kept


class TestRedisStoreOnACluster(SessionStoreContract):
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, cluster: RedisCluster) -> AsyncIterator[RedisStore]:
        store = RedisStore(cluster.url, clock=clock, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()


class TestRedisStoreWithAClusterClient(SessionStoreContract):
    purges = False

    @pytest.fixture
    async def store(self, clock: ContractClock, cluster: RedisCluster) -> AsyncIterator[RedisStore]:
        client = Client.from_url(cluster.servers[1].url, decode_responses=True)
        store = RedisStore(client, clock=clock, prefix=f"{secrets.token_hex(4)}:", timeout=PATIENCE)
        yield store
        await store.aclose()
        await client.aclose()


@pytest.mark.anyio
async def test_a_users_sessions_lie_on_all_nodes_and_are_found_and_ended_together(
    store: RedisStore, cluster: RedisCluster
) -> None:
    names = [key(str(n)) for n in range(60)]
    for name in names:
        await store.create(name, a_record())

    assert {cluster.server_of(f"session:{name}").port for name in names} == {s.port for s in cluster.servers}
    assert {name for name, _ in await store.list_user("ada")} == set(names)
    assert await store.delete_user("ada") == 60


@pytest.mark.anyio
async def test_every_key_on_every_node_has_a_time_to_live(store: RedisStore, cluster: RedisCluster) -> None:
    for n in range(30):
        await store.create(key(str(n)), a_record(f"user-{n}"))
        await store.replace(key(str(n)), a_record("ada", version=2), version=1)
    endless, counted = [], 0
    for server in cluster.servers:
        with server.client() as client:
            names = list(client.scan_iter())
            counted += len(names)
            endless += [name for name in names if client.pttl(name) < 0]

    assert counted == 31
    assert endless == []


@pytest.mark.anyio
async def test_a_burst_of_a_thousand_reads_shares_one_connection_a_node(
    store: RedisStore, cluster: RedisCluster
) -> None:
    names = [key(str(n)) for n in range(100)]
    await asyncio.gather(*(store.create(name, a_record()) for name in names))
    before = cluster.connections()
    found = await asyncio.gather(*(store.get(names[n % 100]) for n in range(1000)))

    assert None not in found
    assert cluster.connections() <= before


@pytest.mark.anyio
async def test_closing_leaves_a_cluster_client_of_the_users_own_alone(cluster: RedisCluster) -> None:
    before = cluster.connections()
    client = Client.from_url(cluster.servers[0].url)
    await client.set("mine", "1")
    mine = cluster.connections() - before
    store = RedisStore(client)
    await store.create(A, a_record())
    await store.aclose()

    assert await client.get("mine") == b"1"
    assert await eventually(lambda: has_only(cluster, before | mine))
    assert cluster.connections() >= mine
    await client.aclose()


@pytest.mark.anyio
async def test_opening_and_closing_leaks_no_connection(cluster: RedisCluster) -> None:
    before = cluster.connections()
    store = RedisStore(cluster.url)
    for _ in range(10):
        await asyncio.gather(*(store.get(key(str(n))) for n in range(30)))
        await store.aclose()

    assert await eventually(lambda: has_only(cluster, before))


@pytest.fixture
async def moving() -> AsyncIterator[RedisCluster]:
    """A cluster of the test's own: the nodes of one in which a slot has moved go on to talk about it."""
    cluster = RedisCluster()
    yield cluster
    cluster.close()


@pytest.fixture
async def roaming(moving: RedisCluster) -> AsyncIterator[RedisStore]:
    store = RedisStore(moving.url, timeout=PATIENCE)
    yield store
    await store.aclose()


@pytest.mark.anyio
async def test_sessions_are_found_while_their_slot_moves_and_afterwards(
    roaming: RedisStore, moving: RedisCluster
) -> None:
    record = a_record(None)
    await roaming.create(A, record)
    move = SlotMove(moving, f"session:{A}")

    move.begin()
    # Gone from the old node, not yet announced by the new one: the answer is ASK.
    assert await roaming.get(A) == record
    assert await roaming.replace(A, a_record(None, version=2), version=1) is True

    move.finish()
    # The answer is MOVED, and the store remembers.
    assert await roaming.touch(A, last_seen_at=time.time(), expires_at=time.time() + 999) is True
    assert await roaming.delete(A) is True


@pytest.mark.anyio
async def test_a_hundred_calls_at_once_find_a_slot_that_has_moved(roaming: RedisStore, moving: RedisCluster) -> None:
    record = a_record(None)
    await roaming.create(A, record)
    move = SlotMove(moving, f"session:{A}")

    move.begin()
    assert await asyncio.gather(*(roaming.get(A) for _ in range(100))) == [record] * 100
    move.finish()
    assert await asyncio.gather(*(roaming.get(A) for _ in range(100))) == [record] * 100


@pytest.mark.anyio
async def test_a_session_is_found_when_its_slot_moved_and_the_old_node_died(
    roaming: RedisStore, moving: RedisCluster
) -> None:
    record = a_record(None)
    await roaming.create(A, record)
    move = SlotMove(moving, f"session:{A}")
    move.begin()
    move.finish()
    moving.server_of(f"session:{A}").kill()

    # Nobody is left to say MOVED: the store has to look where the slots are.
    assert await roaming.get(A) == record


@pytest.mark.anyio
async def test_a_read_whose_connection_breaks_is_asked_again(store: RedisStore, cluster: RedisCluster) -> None:
    record = a_record(None)
    await store.create(A, record)
    with cluster.server_of(f"session:{A}").client() as client:
        client.client_kill_filter(_type="normal", skipme=True)

    # The event loop has not heard of it yet, so the command is sent and lost.
    assert await store.get(A) == record


@pytest.mark.anyio
async def test_a_dead_node_takes_only_its_own_sessions_out_and_comes_back(
    store: RedisStore, cluster: RedisCluster
) -> None:
    names = {cluster.server_of(f"session:{key(str(n))}").port: key(str(n)) for n in range(60)}
    dead, *alive = cluster.servers
    for name in names.values():
        await store.create(name, a_record(None))
    dead.kill()
    try:
        for call in (store.get, store.delete):
            with pytest.raises(StoreError):
                await call(names[dead.port])
        for server in alive:
            assert await store.get(names[server.port]) is not None
    finally:
        dead.start()
        cluster.settle()

    assert await store.create(names[dead.port], a_record(None)) is True
    assert await store.get(names[dead.port]) is not None


@pytest.mark.anyio
async def test_a_node_that_does_not_answer_is_an_error_in_time(cluster: RedisCluster) -> None:
    cluster.flush()
    store = RedisStore(cluster.url, timeout=1)
    await store.create(A, a_record(None))
    server = cluster.server_of(f"session:{A}")
    server.freeze()
    try:
        async with asyncio.timeout(15):
            with pytest.raises(StoreError):
                await store.get(A)
    finally:
        server.thaw()
        cluster.settle()

    assert await eventually(lambda: finds_a(store))
    await store.aclose()


@pytest.mark.anyio
async def test_after_a_time_out_the_store_looks_where_the_slots_are(moving: RedisCluster) -> None:
    store, record = RedisStore(moving.url, timeout=2), a_record(None)
    name = next(key(str(n)) for n in range(60) if moving.server_of(f"session:{key(str(n))}") is moving.servers[2])
    await store.create(name, record)
    move = SlotMove(moving, f"session:{name}")
    move.begin()
    moving.servers[2].freeze()
    move.finish(without=moving.servers[2])
    # The node that had the slot says nothing any more, so nobody is left to say MOVED.
    with pytest.raises(StoreError, match="no reply"):
        await store.get(name)

    assert await eventually(lambda: finds(store, name))
    moving.servers[2].thaw()
    await store.aclose()


class SlotMove:
    """Moves the slot of one key to another node, in the two steps that a resharding takes."""

    def __init__(self, cluster: RedisCluster, name: str) -> None:
        self._name = name
        self._servers = cluster.servers
        self._source = cluster.server_of(name)
        self._target = next(server for server in cluster.servers if server is not self._source)
        with self._source.client() as source, self._target.client() as target:
            self._slot = int(source.execute_command("CLUSTER KEYSLOT", name))
            self._source_id = source.execute_command("CLUSTER MYID").decode()
            self._target_id = target.execute_command("CLUSTER MYID").decode()

    def begin(self) -> None:
        with self._source.client() as source, self._target.client() as target:
            target.execute_command("CLUSTER", "SETSLOT", self._slot, "IMPORTING", self._source_id)
            source.execute_command("CLUSTER", "SETSLOT", self._slot, "MIGRATING", self._target_id)
            source.execute_command("MIGRATE", "127.0.0.1", self._target.port, self._name, 0, 30_000)

    def finish(self, without: RedisServer | None = None) -> None:
        # The target first: it takes a newer epoch for it, against which no older word of the source's counts.
        for server in sorted(self._servers, key=lambda server: server is not self._target):
            if server is without:
                continue
            with server.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", self._slot, "NODE", self._target_id)


async def finds_a(store: RedisStore) -> bool:
    return await finds(store, A)


async def finds(store: RedisStore, name: str) -> bool:
    with suppress(StoreError):
        return await store.get(name) is not None
    return False
