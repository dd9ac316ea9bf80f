"""A full ``MemoryStore``: what makes room, and what does not."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI, Request

from fastapi_sessionkit import Session, regenerate_session, set_session
from fastapi_sessionkit.stores.base import SessionRecord
from fastapi_sessionkit.stores.memory import MemoryStore
from fastapi_sessionkit.testing.contract.tools import ContractClock, key
from tests.support import SITE, new_kit

pytestmark = pytest.mark.anyio


@pytest.fixture
def time() -> ContractClock:
    return ContractClock(real=False)


async def fill(store: MemoryStore, time: ContractClock, *users: str, apart: float) -> None:
    for user in users:
        await store.create(key(user), time.record(user))
        time.advance(apart)


async def move(store: MemoryStore, time: ContractClock, old: str, new: str, user_id: str | None = None) -> bool:
    """As a backend moves a session to a new key: the new record first, then a pointer in place of the old one."""
    found = await store.get(key(old))
    assert found is not None
    moved = replace(found, version=1, user_id=user_id or found.user_id)
    assert await store.create(key(new), moved) is True
    return await store.replace(key(old), pointer(found, new, time), version=found.version)


def pointer(old: SessionRecord, new: str, time: ContractClock) -> SessionRecord:
    return replace(old, version=old.version + 1, successor=key(new), expires_at=time() + 610)


@pytest.mark.parametrize("apart", [1.0, 0.0], ids=["one after the other", "all at once"])
@pytest.mark.parametrize("room", [1, 2, 3, 20])
@pytest.mark.parametrize("user_id", [None, "somebody else"])
async def test_a_move_in_a_full_store_ends_neither_the_session_nor_its_new_home(
    time: ContractClock, apart: float, room: int, user_id: str | None
) -> None:
    store = MemoryStore(max_sessions=room, clock=time)
    users = [f"user-{n}" for n in range(room)]
    await fill(store, time, *users, apart=apart)

    assert await move(store, time, "user-0", "new", user_id) is True
    found = await store.get(key("new"))
    assert found is not None
    assert found.user_id == (user_id or "user-0")


async def test_moves_in_a_full_store_end_nobodys_session(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=3, clock=time)
    users = ["ada", "bob", "carol"]
    await fill(store, time, *users, apart=1)
    for n in range(5):
        for user in users:
            assert await move(store, time, f"{user}{n or ''}", f"{user}{n + 1}") is True

    assert [len(await store.list_user(user)) for user in users] == [1, 1, 1]
    assert len(vars(store)["_records"]) == 3


async def test_a_move_that_another_one_overtook_ends_nobodys_session(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=3, clock=time)
    await fill(store, time, "ada", "bob", "carol", apart=1)
    found = await store.get(key("ada"))
    assert found is not None
    await move(store, time, "ada", "new")
    await store.create(key("late"), replace(found, version=1))

    assert await store.replace(key("ada"), pointer(found, "late", time), version=1) is False
    await store.delete(key("late"))
    assert [len(await store.list_user(user)) for user in ("ada", "bob", "carol")] == [1, 1, 1]


async def test_sixty_moves_of_one_user_end_nobody_elses_session(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=50, clock=time)
    others = [f"user-{n}" for n in range(48)]
    await fill(store, time, *others, "ada-0", apart=1)
    for n in range(60):
        assert await move(store, time, f"ada-{n}", f"ada-{n + 1}") is True

    assert [len(await store.list_user(user)) for user in others] == [1] * 48
    assert await store.get(key("ada-60")) is not None
    assert len(vars(store)["_records"]) <= 50


async def test_the_oldest_pointer_makes_room_first(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=4, clock=time)
    await fill(store, time, "ada", "bob", apart=1)
    await move(store, time, "bob", "bob-2")
    await move(store, time, "ada", "ada-2")
    await store.create(key("carol"), time.record("carol"))

    assert await store.get(key("bob")) is None
    assert await store.get(key("ada")) is not None
    assert [len(await store.list_user(user)) for user in ("ada", "bob", "carol")] == [1, 1, 1]


async def test_pointers_that_are_gone_are_not_looked_for_again(time: ContractClock) -> None:
    store = MemoryStore(max_sessions=5, clock=time)
    gone: list[Callable[[str], Awaitable[object]]] = [store.delete, lambda _: store.delete_user("ada")]
    for end in gone:
        await store.create(key("a"), time.record())
        await move(store, time, "a", "b")
        await end(key("a"))
        await store.delete_user("ada")
    await store.create(key("a"), time.record())
    await move(store, time, "a", "b")
    time.advance(10_000)
    await store.purge()

    assert vars(store)["_pointers"] == {}


async def test_making_room_with_pointers_is_no_warning(time: ContractClock, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(max_sessions=3, clock=time)
    await fill(store, time, "ada", apart=1)
    for n in range(20):
        await move(store, time, f"ada-{n}" if n else "ada", f"ada-{n + 1}")
    assert caplog.records == []
    await fill(store, time, "bob", "carol", "dora", apart=1)
    await store.get(key("dora"))

    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_through_a_kit_a_rotation_in_a_full_store_keeps_everybody_signed_in(time: ContractClock) -> None:
    kit = new_kit(backend=MemoryStore(max_sessions=3), clock=time)
    app = FastAPI()
    kit.install(app)

    @app.post("/login/{user}")
    async def login(request: Request, user: str):
        set_session(request, Session(user_id=user))

    @app.post("/rotate")
    async def rotate(request: Request):
        regenerate_session(request)

    @app.get("/me")
    async def me(request: Request) -> str | None:
        session = await kit.get_session(request)
        return None if session is None else session.user_id

    transport = httpx.ASGITransport(app)
    clients = [httpx.AsyncClient(transport=transport, base_url=SITE) for _ in range(3)]
    for n, client in enumerate(clients):
        await client.post(f"/login/{n}")
    for client in clients * 5:
        assert (await client.post("/rotate")).status_code == 200

    assert [(await client.get("/me")).json() for client in clients] == ["0", "1", "2"]


async def test_a_touched_record_is_purged_when_it_has_expired_after_all(time: ContractClock) -> None:
    store = MemoryStore(clock=time)
    await store.create(key("a"), time.record(lifetime=10))
    await store.touch(key("a"), last_seen_at=time(), expires_at=time() + 100)
    time.advance(50)
    assert await store.purge() == 0
    time.advance(50)

    assert await store.purge() == 1


async def test_a_record_that_a_change_made_live_longer_is_purged_after_all(time: ContractClock) -> None:
    store = MemoryStore(clock=time)
    await store.create(key("a"), time.record(lifetime=10))
    await store.replace(key("a"), time.record(version=2, lifetime=100), version=1)
    time.advance(50)
    assert await store.purge() == 0
    time.advance(50)

    assert await store.purge() == 1


async def test_a_record_is_purged_although_what_finds_the_due_ones_was_rebuilt(time: ContractClock) -> None:
    store = MemoryStore(clock=time)
    await store.create(key("a"), time.record(lifetime=10))
    await store.touch(key("a"), last_seen_at=time(), expires_at=time() + 100)
    for n in range(3000):
        await store.create(key(f"k{n}"), time.record(f"user-{n}"))
        await store.delete(key(f"k{n}"))
    time.advance(100)

    assert await store.purge() == 1
