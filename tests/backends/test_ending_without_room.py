"""A session ends although its store takes nothing new any more: nobody who signs out stays signed in."""

import pytest
from fastapi.testclient import TestClient

from fastapi_sessionkit import MemoryStore, SessionRecord
from fastapi_sessionkit.backends.pointers import pointer
from fastapi_sessionkit.testing import session_of
from tests.backends.support import browser, make
from tests.support import ADA, COOKIE, AppSession, Clock, RecordingStore, holding

pytestmark = pytest.mark.anyio


class Full(RecordingStore):
    """Takes no change, as Redis does that is out of memory; a session may move just before it is full."""

    moves = False

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        if self.moves:
            self.moves = False
            there = await self.get(key)
            assert there is not None
            await super().create("a" * 64, there)
            await super().replace(key, pointer(there, "a" * 64, there.expires_at), version=version)
        raise MemoryError


@pytest.mark.parametrize("moves", [False, True], ids=["where it is", "where it has just moved"])
@pytest.mark.parametrize("path", ["/out", "/in/as-grace"])
async def test_a_store_that_takes_no_change_ends_a_session_all_the_same(clock: Clock, path: str, moves: bool) -> None:
    store = Full()
    kit = make(store, clock)
    client = browser(kit)
    token = client.cookies[COOKIE]
    store.moves = moves

    assert client.post(path).status_code == 200
    assert session_of(holding(client, token), kit) is None
    assert await store.list_user("ada") == []


async def test_whoever_signs_out_of_a_full_memory_leaves_room_and_ends_nobody(clock: Clock) -> None:
    store = MemoryStore(max_sessions=3)
    kit = make(store, clock)
    clients: list[TestClient] = []
    for name in ("ada", "bob", "carol"):
        clients.append(browser(kit, AppSession(user_id=name)))
        clock.advance(1)
    tokens = [client.cookies[COOKIE] for client in clients]

    assert clients[2].post("/out").status_code == 200
    assert session_of(holding(clients[2], tokens[2]), kit) is None
    browser(kit, ADA)

    assert [len(await store.list_user(name)) for name in ("ada", "bob", "carol")] == [2, 1, 0]
