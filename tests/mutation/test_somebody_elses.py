"""What a slow request wants of ada's session is not done to it once it has become bob's."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import MemoryStore, SessionKit, regenerate_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import COOKIE, AppSession, app_kit, client_of, holding

ADA = AppSession(user_id="ada", role="user", cart=["tea"])
BOB = AppSession(user_id="bob", role="user", cart=["tea"])

Switch = Callable[[SessionKit[AppSession], TestClient], Any]
Change = Callable[[Request, AppSession], Any]

BECOMES_BOBS: dict[str, Switch] = {
    "fields": lambda _, client: client.post("/become-bob"),
    "a function": lambda _, client: client.post("/become-bob-by-a-function"),
    "after a move": lambda _, client: (client.post("/move"), client.post("/become-bob")),
    "before a move": lambda _, client: (client.post("/become-bob"), client.post("/move")),
    "revalidate": lambda _, client: client.get("/", headers={"x-answer": "bob"}),
}
CHANGES: dict[str, Change] = {
    "fields": lambda request, _: update_session(request, role="admin", cart=["ada's"]),
    "a field that moves nothing": lambda request, _: update_session(request, cart=["ada's"]),
    "a function": lambda request, _: update_session(request, lambda session: {"cart": [*session.cart, "ada's"]}),
    "a function of rights": lambda request, _: update_session(request, lambda _: {"role": "admin"}),
    "in place": lambda _, session: session.cart.append("ada's"),
    "inside another value": lambda _, session: vars(session)["settings"].update(plan="ada's"),
    "back to ada": lambda request, _: update_session(request, user_id="ada"),
    "a third user": lambda request, _: update_session(request, user_id="mallory"),
    "only a move": lambda request, _: regenerate_session(request),
}


def kit_of(grace: float) -> SessionKit[AppSession]:
    """A kit whose hook gives, once, what the test says."""

    async def look_again(session: AppSession) -> AppSession:
        return kit.answers.pop()(session) if kit.answers else session  # type: ignore[attr-defined]

    kit = app_kit(backend=MemoryStore(), rotation_grace=grace, revalidate=look_again, revalidate_every=0)
    kit.answers = []  # type: ignore[attr-defined]
    return kit


def fast_client(kit: SessionKit[AppSession]) -> TestClient:
    """The browser of ada, in which somebody becomes bob."""
    app = FastAPI()
    kit.install(app)

    @app.post("/become-bob")
    async def become_bob(request: Request) -> None:
        update_session(request, user_id="bob")

    @app.post("/become-bob-by-a-function")
    async def become_bob_by_a_function(request: Request) -> None:
        update_session(request, lambda _: {"user_id": "bob"})

    @app.post("/move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    @app.get("/")
    async def read(request: Request) -> None:
        if "x-answer" in request.headers:
            kit.answers.append(lambda session: session.model_copy(update={"user_id": "bob"}))  # type: ignore[attr-defined]
        await kit.require_session(request)

    return signed_in(client_of(app), kit, ADA)


def slow_answer(kit: SessionKit[AppSession], token: str, meanwhile: Callable[[], Any], change: Change) -> Any:
    """What a request under ada's token is answered, whose session becomes bob's before it is changed."""
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        session = await kit.require_session(request)
        meanwhile()
        change(request, session)

    return holding(client_of(app), token).post("/")


@pytest.mark.parametrize("grace", [0, 10], ids=["no grace", "grace"])
@pytest.mark.parametrize("switch", BECOMES_BOBS.values(), ids=BECOMES_BOBS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_was_made_for_ada_is_not_written_into_bobs_session(
    grace: float, switch: Switch, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    kit = kit_of(grace)
    client = fast_client(kit)

    with caplog.at_level(logging.WARNING):
        answer = slow_answer(kit, client.cookies[COOKIE], lambda: switch(kit, client), change)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert [record.message for record in caplog.records] == [
        "A change came after its session had become another user's: dropped"
    ]
    assert session_of(client, kit) == BOB


@pytest.mark.parametrize("grace", [0, 10], ids=["no grace", "grace"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.anyio
async def test_nor_where_an_administrator_made_it_bobs(grace: float, change: Change) -> None:
    kit = kit_of(grace)
    client = fast_client(kit)
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        session = await kit.require_session(request)
        assert await kit.sessions.update_user("ada", user_id="bob") == 1
        change(request, session)

    answer = holding(client_of(app), client.cookies[COOKIE]).post("/")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert [active.session for active in await kit.sessions.list("bob")] == [BOB]
    assert await kit.sessions.list("ada") == []
    assert session_of(client, kit) == BOB


@pytest.mark.parametrize("grace", [0, 10], ids=["no grace", "grace"])
@pytest.mark.parametrize("switch", BECOMES_BOBS.values(), ids=BECOMES_BOBS)
def test_what_revalidate_said_of_ada_is_not_written_into_bobs_session(grace: float, switch: Switch) -> None:
    kit = kit_of(grace)
    client = fast_client(kit)

    def promoted(session: AppSession) -> AppSession:
        switch(kit, client)
        return session.model_copy(update={"role": "admin"})

    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        kit.answers.append(promoted)  # type: ignore[attr-defined]
        await kit.require_session(request)

    answer = holding(client_of(app), client.cookies[COOKIE]).post("/")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert session_of(client, kit) == BOB


def test_a_request_under_an_old_id_changes_nothing_of_bobs_either() -> None:
    kit = kit_of(10)
    client = fast_client(kit)
    old = client.cookies[COOKIE]
    client.post("/move")
    answer = slow_answer(
        kit, old, lambda: client.post("/become-bob"), lambda request, _: update_session(request, role="admin")
    )

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert session_of(client, kit) == BOB


@pytest.mark.parametrize("grace", [0, 10], ids=["no grace", "grace"])
def test_where_the_user_changed_the_old_id_has_no_grace(grace: float) -> None:
    kit = kit_of(grace)
    client = fast_client(kit)
    old = client.cookies[COOKIE]
    client.post("/become-bob")

    assert session_of(holding(client_of(client.app), old), kit) is None


@pytest.mark.parametrize("grace", [0, 10], ids=["no grace", "grace"])
@pytest.mark.anyio
async def test_where_the_user_was_changed_from_outside_the_old_id_has_no_grace(grace: float) -> None:
    kit = kit_of(grace)
    client = fast_client(kit)
    old = client.cookies[COOKIE]
    await kit.sessions.update_user("ada", user_id="bob")
    client.get("/")  # this one moves it

    assert session_of(client, kit) == BOB
    assert session_of(holding(client_of(client.app), old), kit) is None


@pytest.mark.parametrize("switch", ["/become-bob", "/become-bob-by-a-function"])
def test_attack_a_thief_who_moved_the_session_does_not_become_bob(switch: str) -> None:
    """Somebody becomes bob under ada's old id: that is a sign-in, and ends the id that the thief moved to."""
    kit = kit_of(10)
    client = fast_client(kit)
    old = client.cookies[COOKIE]
    client.post("/move")
    thiefs = client.cookies[COOKIE]

    assert holding(client, old).post(switch).status_code == 200

    assert session_of(client, kit) == BOB
    assert session_of(holding(client, old), kit) is None
    assert session_of(holding(client, thiefs), kit) is None


@pytest.mark.parametrize("grace", [0, 10], ids=["no grace", "grace"])
@pytest.mark.anyio
async def test_requests_at_once_after_a_switch_from_outside_leave_one_id(grace: float) -> None:
    """A page that loads several things: whichever answer comes last, the browser keeps a cookie that is alive."""
    kit = kit_of(grace)
    client = fast_client(kit)
    await kit.sessions.update_user("ada", user_id="bob")

    late = slow_answer(kit, client.cookies[COOKIE], lambda: client.get("/"), lambda *_: None)

    assert late.status_code == 200
    assert "set-cookie" not in late.headers
    assert session_of(client, kit) == BOB


def test_in_one_request_a_change_for_ada_and_the_switch_to_bob_are_both_made() -> None:
    kit = kit_of(10)
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        (await kit.require_session(request)).cart.append("book")
        update_session(request, user_id="bob")
        update_session(request, role="admin")

    client = signed_in(client_of(app), kit, ADA)
    client.post("/")

    assert session_of(client, kit) == AppSession(user_id="bob", role="admin", cart=["tea", "book"])
