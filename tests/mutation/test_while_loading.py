"""Several tasks of one request at once: one loads the session, and what another marks meanwhile stands."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import (
    SessionKit,
    StoreUnavailable,
    clear_session,
    get_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import ADA, COOKIE, AppSession, Clock, RecordingStore, app_kit, application, holding

BOB = AppSession(user_id="bob")


class Held(RecordingStore):
    """Holds up whoever reads, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = False
        self.go_on = anyio.Event()

    async def get(self, key: str) -> Any:
        if self.holds:
            self.holds = False
            await self.go_on.wait()
        return await super().get(key)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def kit(held: Held, clock: Clock) -> SessionKit[AppSession]:
    return app_kit(backend=held, clock=clock)


@pytest.fixture
def site(kit: SessionKit[AppSession]) -> tuple[FastAPI, TestClient]:
    app, client = application(kit)
    return app, signed_in(client, kit, ADA)


async def while_it_loads(held: Held, request: Request, act: Callable[[], Any]) -> Any:
    """What the request sees after something was done while it was loading."""
    held.holds, held.go_on = True, anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(get_session, request)
        await anyio.wait_all_tasks_blocked()
        act()
        held.go_on.set()
    return await get_session(request)


def test_a_sign_out_while_the_session_is_loading_stands(
    kit: SessionKit[AppSession], held: Held, site: tuple[FastAPI, TestClient]
) -> None:
    app, client = site
    seen: list[Any] = []

    @app.post("/")
    async def endpoint(request: Request) -> None:
        seen.append(await while_it_loads(held, request, lambda: clear_session(request)))

    token = client.cookies[COOKIE]
    answer = client.post("/")

    assert seen == [None]
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert session_of(holding(client, token), kit) is None


def test_a_sign_in_while_the_old_session_is_loading_stands(
    kit: SessionKit[AppSession], held: Held, site: tuple[FastAPI, TestClient]
) -> None:
    app, client = site
    seen: list[Any] = []

    @app.post("/")
    async def endpoint(request: Request) -> None:
        seen.append(await while_it_loads(held, request, lambda: set_session(request, BOB)))

    token = client.cookies[COOKIE]
    client.post("/")

    assert seen == [BOB]
    assert session_of(client, kit) == BOB
    assert session_of(holding(client, token), kit) is None


def test_a_sign_out_while_a_session_that_no_longer_fits_is_loading_stands(
    kit: SessionKit[AppSession], held: Held, site: tuple[FastAPI, TestClient]
) -> None:
    """The session that signs in meanwhile is not the one that does not fit, and is not removed for it."""
    app, client = site

    @app.post("/")
    async def endpoint(request: Request) -> None:
        [(key, record)] = await held.list_user("ada")
        await held.replace(key, unfit(record), version=record.version)
        await while_it_loads(held, request, lambda: set_session(request, BOB))

    client.post("/")

    assert session_of(client, kit) == BOB


def unfit(record: Any) -> Any:
    return replace(record, data=b'{"user_id":"ada","tier":"gold"}', version=record.version + 1)


@pytest.mark.parametrize("change", [lambda r: update_session(r, note="new"), regenerate_session], ids=["patch", "move"])
def test_a_change_while_the_session_is_loading_is_saved(
    kit: SessionKit[AppSession], held: Held, site: tuple[FastAPI, TestClient], change: Callable[[Request], None]
) -> None:
    app, client = site
    seen: list[Any] = []

    @app.post("/")
    async def endpoint(request: Request) -> None:
        seen.append(await while_it_loads(held, request, lambda: change(request)))

    before = client.cookies[COOKIE]
    client.post("/")

    assert session_of(client, kit) == seen[0] is not None
    assert (seen[0].note == "new") is (client.cookies[COOKIE] == before)


def test_of_several_tasks_that_ask_at_once_one_loads_for_all(held: Held, site: tuple[FastAPI, TestClient]) -> None:
    app, client = site
    seen: list[Any] = []

    async def ask(request: Request) -> None:
        seen.append(await get_session(request))

    @app.get("/")
    async def endpoint(request: Request) -> None:
        held.turns = lambda: 3
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask, request)
        await ask(request)
        held.turns = lambda: 0

    held.calls.clear()
    client.get("/")

    assert seen == [ADA] * 6
    assert all(one is seen[0] for one in seen)
    assert held.calls == ["get"]


def test_where_the_task_that_loads_fails_the_next_one_tries(held: Held, site: tuple[FastAPI, TestClient]) -> None:
    app, client = site
    seen: list[Any] = []

    async def ask(request: Request) -> None:
        try:
            seen.append(await get_session(request))
        except StoreUnavailable:
            held.broken = set()
            seen.append("unavailable")

    @app.get("/")
    async def endpoint(request: Request) -> None:
        held.holds, held.go_on = True, anyio.Event()
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(ask, request)
                await anyio.wait_all_tasks_blocked()
                held.broken = {"get"}
                held.go_on.set()
            await ask(request)

    client.get("/")

    assert seen == ["unavailable", ADA, ADA, ADA]
    assert held.calls.count("get") == 2
