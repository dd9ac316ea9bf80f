"""``kit.sessions.update_user`` from outside: it holds at the next request, which moves to a new id."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import MemoryStore, Session, SessionKit, require_role, require_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import COOKIE, SECRET, Clock, client_of, holding

pytestmark = pytest.mark.anyio


@pytest.fixture
def kit(clock: Clock) -> SessionKit[Session]:
    return SessionKit(secret_key=SECRET, backend=MemoryStore(), clock=clock)


@pytest.fixture
def app(kit: SessionKit[Session]) -> FastAPI:
    app = FastAPI()
    kit.install(app)

    @app.get("/me")
    async def me(session: Any = Depends(require_session)):
        return session

    @app.get("/admin", dependencies=[Depends(require_role("admin"))])
    async def admin():
        pass

    @app.post("/theme")
    async def theme(request: Request):
        update_session(request, theme="dark")

    @app.get("/broken", dependencies=[Depends(require_session)])
    async def broken():
        raise RuntimeError

    @app.get("/unasked")
    async def unasked():
        pass

    return app


@pytest.fixture
def client(app: FastAPI, kit: SessionKit[Session]) -> TestClient:
    return signed_in(client_of(app, raise_server_exceptions=False), kit, Session(user_id="ada", role="reader"))


async def test_a_role_that_is_given_holds_at_the_next_request(client: TestClient, kit: SessionKit[Session]) -> None:
    assert client.get("/admin").status_code == 403
    await kit.sessions.update_user("ada", role="admin")

    assert client.get("/admin").status_code == 200


@pytest.mark.parametrize("changes", [{"role": "admin"}, {"roles": ["author"]}, {"permissions": ["pay"]}])
async def test_the_next_request_after_a_change_of_rights_moves_the_session(
    changes: dict[str, Any], app: FastAPI, client: TestClient, kit: SessionKit[Session], clock: Clock
) -> None:
    old = client.cookies[COOKIE]
    await kit.sessions.update_user("ada", **changes)

    client.get("/me")
    moved = client.cookies[COOKIE]
    clock.advance(10)

    assert moved != old
    assert session_of(holding(client_of(app), old, COOKIE), kit) is None
    assert "set-cookie" not in client.get("/me").headers


async def test_a_change_that_is_about_no_rights_moves_nothing(client: TestClient, kit: SessionKit[Session]) -> None:
    await kit.sessions.update_user("ada", role="reader", theme="dark")

    assert "set-cookie" not in client.get("/me").headers
    assert client.get("/me").json()["theme"] == "dark"


async def test_a_request_that_fails_leaves_the_move_to_the_next(client: TestClient, kit: SessionKit[Session]) -> None:
    await kit.sessions.update_user("ada", role="admin")

    assert client.get("/broken").status_code == 500
    assert "set-cookie" not in client.get("/unasked").headers
    assert "set-cookie" in client.get("/me").headers


async def test_a_change_of_the_request_itself_goes_with_the_move(client: TestClient, kit: SessionKit[Session]) -> None:
    await kit.sessions.update_user("ada", role="admin")

    assert "set-cookie" in client.post("/theme").headers

    assert client.get("/me").json() == {
        "user_id": "ada",
        "email": None,
        "role": "admin",
        "roles": [],
        "permissions": [],
        "theme": "dark",
    }


async def test_what_is_noted_about_the_move_shows_nowhere(client: TestClient, kit: SessionKit[Session]) -> None:
    await kit.sessions.update_user("ada", role="admin")

    [active] = await kit.sessions.list("ada")
    session = session_of(client, kit)

    assert active.session.model_extra == {}
    assert session is not None
    assert session.model_extra == {}


async def test_the_name_of_the_note_is_no_field(app: FastAPI, client: TestClient) -> None:
    @app.post("/note")
    async def note(request: Request):
        with pytest.raises(ValueError, match="the library's own name"):
            update_session(request, __sessionkit__=["moves"])

    assert client.post("/note").status_code == 200
