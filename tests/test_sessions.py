"""``kit.sessions``: seen and ended from outside the request that made them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from pydantic import ConfigDict, ValidationError

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    SessionRecord,
    StoreUnavailable,
    regenerate_session,
    testing,
)
from tests.stack.application import ABSOLUTE, GRACE, IDLE, Browser, World
from tests.support import SECRET, Clock, client_of, new_kit

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(clock: Clock) -> World:
    return World(MemoryStore(), clock)


async def signed_in(world: World, clock: Clock, count: int, user: str = "ada") -> list[Browser]:
    """That many sessions of a user, a second between them."""
    browsers = []
    for _ in range(count):
        clock.advance(1)
        browsers.append(await world.signed_in(user))
    return browsers


async def open_ones(world: World, browsers: list[Browser]) -> list[bool]:
    return [await world.opens(browser.token) for browser in browsers]


# list


async def test_list_gives_the_live_sessions_of_a_user_oldest_first(world: World, clock: Clock) -> None:
    first, second = await signed_in(world, clock, 2)
    await signed_in(world, clock, 1, "grace")
    await first.post("/fields/device/phone")
    await second.post("/fields/device/laptop")
    listed = await world.kit.sessions.list("ada")

    assert [active.session.model_extra for active in listed] == [{"device": "phone"}, {"device": "laptop"}]
    assert [active.session.user_id for active in listed] == ["ada", "ada"]


async def test_list_says_when_a_session_began_was_used_and_will_end(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    began = clock()
    clock.advance(IDLE / 2)
    await browser.get("/me")
    [active] = await world.kit.sessions.list("ada")

    assert active.created_at == datetime.fromtimestamp(began, UTC)
    assert active.last_seen_at == datetime.fromtimestamp(began + IDLE / 2, UTC)
    assert active.expires_at == datetime.fromtimestamp(began + IDLE / 2 + IDLE, UTC)


async def test_list_of_somebody_without_sessions_is_empty(world: World) -> None:
    assert await world.kit.sessions.list("nobody") == []


async def test_list_leaves_out_what_has_expired(world: World, clock: Clock) -> None:
    await signed_in(world, clock, 1)
    clock.advance(IDLE)

    assert await world.kit.sessions.list("ada") == []


async def test_list_leaves_out_what_a_shorter_absolute_lifetime_ends(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    await World(store, clock).signed_in()
    clock.advance(60)

    assert await World(store, clock, idle_timeout=60, absolute_timeout=60).kit.sessions.list("ada") == []


async def test_a_rotated_session_is_listed_once(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    await browser.post("/rotate")

    assert len(await world.kit.sessions.list("ada")) == 1


async def test_a_session_that_no_longer_fits_is_not_listed_and_hides_no_other(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    world = World(store, clock)
    stale, _ = await signed_in(world, clock, 2)
    await stale.post("/fields/tier/free")

    handle = (await world.kit.sessions.list("ada"))[1].handle

    class Demanding(Session):
        model_config = ConfigDict(extra="forbid")
        n: int = 0

    strict = SessionKit(Demanding, secret_key=SECRET, backend=store, clock=clock)

    assert [active.handle for active in await strict.sessions.list("ada")] == [handle]
    assert await strict.sessions.revoke_user("ada") == 2


def application_that_lists(kit: SessionKit[Any]) -> FastAPI:
    app = FastAPI()
    kit.install(app)

    @app.post("/login/{user}")
    async def login(request: Request, user: str):
        kit.set_session(request, Session(user_id=user))

    @app.get("/devices")
    async def devices(request: Request) -> list[bool]:
        return [active.current for active in await kit.sessions.list("ada", current=request)]

    @app.post("/others/end")
    async def end_others(request: Request) -> int:
        return await kit.sessions.revoke_user("ada", keep_current=request)

    @app.get("/me")
    async def me(session: Annotated[Session, Depends(kit.require_session)]) -> Session:
        return session

    return app


async def test_list_marks_the_session_of_the_request(clock: Clock) -> None:
    app = application_that_lists(new_kit(backend=MemoryStore(), clock=clock))
    clients = [client_of(app) for _ in range(3)]
    for client in clients:
        clock.advance(1)
        client.post("/login/ada")
    stranger = client_of(app)

    assert clients[1].get("/devices").json() == [False, True, False]
    assert stranger.get("/devices").json() == [False, False, False]


# Handles


async def test_a_handle_is_not_an_id_and_opens_nothing(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    [active] = await world.kit.sessions.list("ada")
    token = str(browser.token)

    assert active.handle not in token
    assert token.partition(".")[0] not in active.handle
    assert not await world.opens(active.handle)
    assert not await world.opens(f"{active.handle}.{token.partition('.')[2]}")


async def test_revoke_ends_one_session_at_once(world: World, clock: Clock) -> None:
    browsers = await signed_in(world, clock, 3)
    listed = await world.kit.sessions.list("ada")

    assert await world.kit.sessions.revoke(listed[1].handle) is True
    assert await open_ones(world, browsers) == [True, False, True]


async def test_a_handle_works_once(world: World, clock: Clock) -> None:
    await signed_in(world, clock, 1)
    [active] = await world.kit.sessions.list("ada")
    await world.kit.sessions.revoke(active.handle)

    assert await world.kit.sessions.revoke(active.handle) is False


async def test_a_handle_from_before_a_rotation_ends_the_session_where_it_is_now(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    [active] = await world.kit.sessions.list("ada")
    await browser.post("/rotate")

    assert await world.kit.sessions.revoke(active.handle, user_id="ada") is True
    assert not await world.opens(browser.token)


async def test_another_users_handle_with_ones_own_user_id_ends_nothing(world: World, clock: Clock) -> None:
    """Insecure direct object reference (OWASP API1): the handle comes from the client, the user from the session."""
    [ada] = await signed_in(world, clock, 1)
    await signed_in(world, clock, 1, "mallory")
    [active] = await world.kit.sessions.list("ada")

    assert await world.kit.sessions.revoke(active.handle, user_id="mallory") is False
    assert await world.opens(ada.token)


async def test_revoking_an_expired_session_says_that_there_is_none(world: World, clock: Clock) -> None:
    await signed_in(world, clock, 1)
    [active] = await world.kit.sessions.list("ada")
    clock.advance(IDLE)

    assert await world.kit.sessions.revoke(active.handle) is False


# revoke_user


async def test_revoke_user_ends_every_session_of_that_user_and_no_other(world: World, clock: Clock) -> None:
    browsers, others = await signed_in(world, clock, 3), await signed_in(world, clock, 1, "grace")

    assert await world.kit.sessions.revoke_user("ada") == 3
    assert await open_ones(world, browsers + others) == [False, False, False, True]


async def test_revoke_user_ends_the_old_id_of_a_rotation_too(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    await browser.post("/rotate")
    await world.kit.sessions.revoke_user("ada")

    assert [await world.opens(token) for token in browser.tokens] == [False, False]


async def test_attack_a_thief_who_moved_the_session_is_not_kept_as_its_owners(clock: Clock) -> None:
    """The owner changes the password under the id from before. Better both sign in again than the thief stays."""
    app = application_that_lists(kit := new_kit(backend=MemoryStore(), clock=clock))

    @app.post("/move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    owner, thief = client_of(app), client_of(app)
    owner.post("/login/ada")
    thief.cookies = owner.cookies.__class__(owner.cookies)
    thief.post("/move")
    assert owner.cookies != thief.cookies

    assert owner.post("/others/end").json() == 1
    assert await kit.sessions.list("ada") == []
    assert thief.get("/me").status_code == 401


async def test_revoke_user_keeps_the_session_of_the_request(world: World, clock: Clock) -> None:
    browsers = await signed_in(world, clock, 3)
    answer = await browsers[1].post("/others/end")

    assert (answer.status, answer.body) == (200, 2)
    assert await open_ones(world, browsers) == [False, True, False]


@pytest.mark.parametrize("user", ["grace", None])
async def test_revoke_user_keeps_nothing_for_a_request_of_nobody_or_somebody_else(
    clock: Clock, user: str | None
) -> None:
    app = application_that_lists(new_kit(backend=MemoryStore(), clock=clock))
    ada, asking = client_of(app), client_of(app)
    ada.post("/login/ada")
    if user is not None:
        asking.post(f"/login/{user}")

    assert asking.post("/others/end").json() == 1
    assert ada.get("/me").status_code == 401
    assert asking.get("/me").status_code == (401 if user is None else 200)


# update_user


async def test_update_user_reaches_every_session_of_the_user_at_once(world: World, clock: Clock) -> None:
    browsers, others = await signed_in(world, clock, 3), await signed_in(world, clock, 1, "grace")

    assert await world.kit.sessions.update_user("ada", role="admin") == 3
    assert [(await browser.get("/me")).body["role"] for browser in browsers + others] == ["admin"] * 3 + [None]


async def test_roles_that_are_taken_away_are_gone_at_the_next_request(clock: Clock) -> None:
    kit = new_kit(backend=MemoryStore(), clock=clock)
    app = FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/admin", role="admin")]))

    @app.post("/login")
    async def login(request: Request):
        kit.set_session(request, Session(user_id="ada", role="admin"))

    @app.get("/admin")
    async def admin():
        return "welcome"

    client = client_of(app)
    client.post("/login")
    before = client.get("/admin").status_code
    await kit.sessions.update_user("ada", role=None)

    assert (before, client.get("/admin").status_code) == (200, 403)


async def test_update_user_leaves_cookies_and_lifetimes_alone(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    [before] = await world.kit.sessions.list("ada")
    clock.advance(IDLE / 2)
    await world.kit.sessions.update_user("ada", email="ada@example.org")
    [after] = await world.kit.sessions.list("ada")

    assert (after.handle, after.last_seen_at, after.expires_at) == (
        before.handle, before.last_seen_at, before.expires_at,
    )  # fmt: skip
    assert (await browser.get("/me")).token is None


async def test_update_user_with_a_value_that_does_not_fit_changes_no_session(world: World, clock: Clock) -> None:
    browsers = await signed_in(world, clock, 2)
    with pytest.raises(ValidationError):
        await world.kit.sessions.update_user("ada", role="admin", n="many")

    assert [(await browser.get("/me")).body["role"] for browser in browsers] == [None, None]


async def test_update_user_of_nobody_changes_nothing(world: World) -> None:
    assert await world.kit.sessions.update_user("nobody", role="admin") == 0


async def test_update_user_during_a_request_loses_neither_change(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    slow = asyncio.ensure_future(browser.post("/slow/fields/color/red"))
    await world.pauses.reached.acquire()
    await world.kit.sessions.update_user("ada", role="admin")
    world.pauses.go.set()
    await slow
    session = (await browser.get("/me")).body

    assert (session["role"], session["color"]) == ("admin", "red")


# purge


async def test_purge_drops_what_has_expired_and_says_how_many(world: World, clock: Clock) -> None:
    await signed_in(world, clock, 3)
    clock.advance(IDLE / 2)
    [browser] = await signed_in(world, clock, 1)
    clock.advance(IDLE / 2)

    assert await world.kit.sessions.purge() == 3
    assert await world.opens(browser.token)
    assert await world.kit.sessions.purge() == 0


# max_sessions_per_user


async def test_signing_in_once_more_than_allowed_ends_the_oldest_session(clock: Clock) -> None:
    world = World(MemoryStore(), clock, max_sessions_per_user=3)
    browsers, others = await signed_in(world, clock, 3), await signed_in(world, clock, 3, "grace")
    browsers += await signed_in(world, clock, 2)

    assert await open_ones(world, browsers) == [False, False, True, True, True]
    assert await open_ones(world, others) == [True, True, True]


async def test_signing_in_again_in_the_same_browser_counts_once(clock: Clock) -> None:
    world = World(MemoryStore(), clock, max_sessions_per_user=2)
    [other, browser] = await signed_in(world, clock, 2)
    for _ in range(3):
        clock.advance(1)
        await browser.post("/login/ada")

    assert await open_ones(world, [other, browser]) == [True, True]


async def test_a_rotation_does_not_count_as_one_more(clock: Clock) -> None:
    world = World(MemoryStore(), clock, max_sessions_per_user=2)
    browsers = await signed_in(world, clock, 2)
    await browsers[0].post("/rotate")
    clock.advance(GRACE / 2)
    browsers += await signed_in(world, clock, 1)

    assert await open_ones(world, browsers) == [False, True, True]


async def test_expired_sessions_do_not_count(clock: Clock) -> None:
    world = World(MemoryStore(), clock, max_sessions_per_user=2)
    await signed_in(world, clock, 2)
    clock.advance(IDLE)
    browsers = await signed_in(world, clock, 2)

    assert await open_ones(world, browsers) == [True, True]


# Stateless, and broken

CALLS: dict[str, Callable[[SessionKit[Any]], Any]] = {
    "list": lambda kit: kit.sessions.list("ada"),
    "revoke": lambda kit: kit.sessions.revoke("0" * 64),
    "revoke_user": lambda kit: kit.sessions.revoke_user("ada"),
    "update_user": lambda kit: kit.sessions.update_user("ada", role="admin"),
    "purge": lambda kit: kit.sessions.purge(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_with_a_stateless_backend_every_method_says_why_not_and_what_to_use(name: str) -> None:
    kit = new_kit(backend=CookieBackend())
    with pytest.raises(ConfigurationError, match=r"kept on the server; CookieBackend keeps none.*StoreBackend"):
        await CALLS[name](kit)


@pytest.mark.parametrize("name", CALLS)
async def test_with_a_broken_store_every_method_says_that_it_is_unavailable(name: str, clock: Clock) -> None:
    class Broken(MemoryStore):
        async def get(self, *_: Any, **__: Any) -> Any:
            raise OSError("the network is gone")

        list_user = delete_user = purge = get

    kit = new_kit(backend=Broken(), clock=clock)
    with pytest.raises(StoreUnavailable):
        await CALLS[name](kit)


async def test_a_session_that_is_as_old_as_can_be_is_not_listed(world: World, clock: Clock) -> None:
    [browser] = await signed_in(world, clock, 1)
    while (await browser.get("/me")).status == 200:
        clock.advance(IDLE / 2)

    assert clock() - 1_700_000_001.0 == ABSOLUTE
    assert await world.kit.sessions.list("ada") == []


async def test_update_user_leaves_alone_what_has_become_another_users_meanwhile(clock: Clock) -> None:
    class Slow(MemoryStore):
        async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
            found = await super().list_user(user_id)
            for key, record in found if user_id == "support" else ():
                data = record.data.replace(b"support", b"mallory")
                taken = replace(record, data=data, user_id="mallory", version=record.version + 1)
                assert await self.replace(key, taken, version=record.version)
            return found

    kit = new_kit(backend=Slow(), clock=clock)
    testing.signed_in(client_of(FastAPI()), kit, Session(user_id="support"))

    assert await kit.sessions.update_user("support", role="admin") == 0
    [session] = await kit.sessions.list("mallory")
    assert session.session.role is None


@pytest.mark.parametrize("user_id", ["a\x00b", "\ud800"])
async def test_a_user_id_that_no_store_can_hold_has_no_sessions(user_id: str, clock: Clock) -> None:
    kit = new_kit(backend=MemoryStore(), clock=clock)

    assert await kit.sessions.list(user_id) == []
    assert await kit.sessions.revoke_user(user_id) == 0


async def test_a_user_id_that_is_no_text_is_an_error_and_revokes_nothing(clock: Clock) -> None:
    kit = new_kit(backend=MemoryStore(), clock=clock)

    with pytest.raises(TypeError, match="as text"):
        await kit.sessions.revoke_user(7)  # type: ignore[arg-type]


async def test_a_rotation_that_the_store_fails_leaves_no_session_that_nobody_has(clock: Clock) -> None:
    class Failing(MemoryStore):
        async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
            raise OSError("gone")

    kit = new_kit(backend=Failing(), clock=clock)
    app = FastAPI()
    kit.install(app)

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    client = testing.signed_in(client_of(app), kit, Session(user_id="ada"))

    assert client.post("/rotate").status_code == 503
    assert len(await kit.sessions.list("ada")) == 1
