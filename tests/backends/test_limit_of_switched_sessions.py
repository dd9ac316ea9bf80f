"""``max_sessions_per_user`` where a session becomes another user's, which is a sign-in by another name."""

from typing import Any

import pytest
from fastapi import Request

from fastapi_sessionkit import MemoryStore, Session, update_session
from fastapi_sessionkit.testing import signed_in
from tests.support import Clock, RecordingStore, application, client_of, new_kit

BOB = Session(user_id="bob")


def switching(**options: Any) -> Any:
    kit = new_kit(**{"backend": MemoryStore(), "max_sessions_per_user": 1, "bearer": True, **options})
    app, client = application(kit)

    @app.post("/become-bob")
    async def become_bob(request: Request) -> None:
        update_session(request, user_id="bob", email="new@example.com")

    @app.post("/token")
    async def token(request: Request) -> str:
        return await kit.issue_token(request, Session(user_id="ada"))

    return kit, app, client


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["cookie", "token", "administrator"])
async def test_attack_more_sessions_of_a_user_by_switching_to_them(clock: Clock, how: str) -> None:
    kit, app, client = switching(clock=clock)
    signed_in(client_of(app), kit, BOB)
    clock.advance(1)

    if how == "token":
        token = client.post("/token").json()
        client.post("/become-bob", headers={"authorization": f"Bearer {token}"})
    elif how == "cookie":
        signed_in(client, kit, Session(user_id="ada")).post("/become-bob")
    else:
        signed_in(client, kit, Session(user_id="ada"))
        await kit.sessions.update_user("ada", user_id="bob", email="new@example.com")

    assert [active.session.email for active in await kit.sessions.list("bob")] == ["new@example.com"]


def test_a_store_that_can_not_list_keeps_nobody_from_switching(clock: Clock) -> None:
    class Unlisted(RecordingStore):
        async def list_user(self, user_id: str) -> Any:
            if user_id == "bob":
                raise ConnectionError("the engine is gone")
            return await super().list_user(user_id)

    kit, _, client = switching(clock=clock, backend=Unlisted())

    assert signed_in(client, kit, Session(user_id="ada")).post("/become-bob").status_code == 200
