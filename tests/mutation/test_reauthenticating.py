"""``reauthenticate_session``: the sign-in is as new as can be, under a new id, and no other id gets any of it."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import (
    SessionKit,
    clear_session,
    get_session_info,
    reauthenticate_session,
    regenerate_session,
    require_fresh,
    update_session,
)
from fastapi_sessionkit._request.request_session import SCOPE_KEY
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import ADA, COOKIE, AppSession, Clock, app_kit, client_of, holding


def application(kit: SessionKit[AppSession]) -> TestClient:
    app = FastAPI()
    kit.install(app)

    @app.post("/again")
    async def again(request: Request) -> None:
        reauthenticate_session(request)

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/both")
    async def both(request: Request, session: Any = Depends(kit.get_session)) -> list[float | None]:
        kit.reauthenticate_session(request)
        update_session(request, tier="premium")
        info = await get_session_info(request)
        return [None if info is None else info.authenticated_at.timestamp()]

    @app.post("/out")
    async def out(request: Request) -> None:
        clear_session(request)
        reauthenticate_session(request)

    @app.post("/from-elsewhere")
    async def from_elsewhere(request: Request) -> None:
        headers: Any = request.scope[SCOPE_KEY].scope["headers"]
        headers.append((b"sec-fetch-site", b"cross-site"))  # past the check of the request itself
        reauthenticate_session(request)

    @app.post("/at-once")
    async def at_once(request: Request) -> None:
        reauthenticate_session(request)
        await require_fresh(1)(request)

    @app.get("/danger", dependencies=[Depends(require_fresh(600))])
    async def danger() -> None: ...

    @app.websocket("/refused")
    async def refused(socket: WebSocket) -> None:
        reauthenticate_session(socket)
        await socket.close()

    return client_of(app)


def stale(kit: SessionKit[AppSession], clock: Clock) -> TestClient:
    client = signed_in(application(kit), kit, ADA)
    clock.advance(3_600)
    assert client.get("/danger").status_code == 401
    return client


def test_it_is_as_fresh_as_a_sign_in_and_the_data_stays(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = stale(kit, clock)
    old = client.cookies[COOKIE]

    assert client.post("/again").status_code == 200

    assert client.cookies[COOKIE] != old
    assert session_of(client, kit) == ADA
    assert client.get("/danger").status_code == 200
    clock.advance(601)
    assert client.get("/danger").status_code == 401


def test_it_extends_no_session_beyond_its_absolute_lifetime(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = signed_in(application(kit), kit, ADA)

    for _ in range(5):
        clock.advance(timedelta(days=6).total_seconds())
        client.post("/again")

    assert session_of(client, kit) is None


def test_the_same_request_sees_it_and_may_change_more(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = stale(kit, clock)

    assert client.post("/both").json() == [clock()]
    session = session_of(client, kit)
    assert session is not None
    assert session.tier == "premium"
    assert client.get("/danger").status_code == 200


@pytest.mark.parametrize("path", ["/at-once", "/both"])
def test_its_age_is_none_at_once(kit: SessionKit[AppSession], clock: Clock, path: str) -> None:
    assert stale(kit, clock).post(path).status_code == 200


def test_the_old_id_has_no_grace(stored: SessionKit[AppSession], clock: Clock) -> None:
    client = stale(stored, clock)
    old = client.cookies[COOKIE]
    client.post("/again")

    assert session_of(holding(client, old), stored) is None


def test_an_old_cookie_gets_no_fresher(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = stale(kit, clock)
    old = client.cookies[COOKIE]
    client.post("/again")

    assert holding(client, old).get("/danger").status_code == 401


def test_attack_an_id_in_its_grace_gets_no_fresher(stored: SessionKit[AppSession], clock: Clock) -> None:
    """The grace is that of a move before: the id of it leads to the session all the same."""
    client = stale(stored, clock)
    old = client.cookies[COOKIE]
    client.post("/rotate")
    client.post("/again")

    assert holding(client, old).get("/danger").status_code == 401


def test_attack_a_thief_who_moved_the_session_gets_no_fresher_by_its_owner(
    stored: SessionKit[AppSession], clock: Clock
) -> None:
    """The owner still has the old id, and proves under it who they are: that ends the id that the thief moved to."""
    client = stale(stored, clock)
    owners = client.cookies[COOKIE]
    client.post("/rotate")
    thiefs = client.cookies[COOKIE]

    owner = holding(client, owners)
    assert owner.post("/again").status_code == 200

    assert owner.get("/danger").status_code == 200
    for old in (owners, thiefs):
        assert session_of(holding(client, old), stored) is None


def test_attack_a_thief_moves_the_session_as_its_owner_proves_it(stored: SessionKit[AppSession], clock: Clock) -> None:
    client, thief = stale(stored, clock), application(stored)
    owners = client.cookies[COOKIE]
    app: Any = client.app

    @app.post("/password")  # type: ignore[untyped-decorator]
    async def password(request: Request, session: Any = Depends(stored.get_session)) -> None:
        holding(thief, owners).post("/rotate")
        reauthenticate_session(request)

    assert client.post("/password").status_code == 200

    assert client.get("/danger").status_code == 200
    assert session_of(thief, stored) is None


def test_nobody_can_not_reauthenticate(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = application(kit)

    assert client.post("/again").status_code == 401
    signed_in(client, kit, ADA)
    assert client.post("/out").status_code == 401
    clock.advance(timedelta(days=60).total_seconds())
    response = client.post("/again")
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("trusted", [False, True])
def test_csrf_makes_no_session_fresh(clock: Clock, trusted: bool) -> None:
    kit = app_kit(clock=clock, trusted_origins=["https://partner.example"] if trusted else [])
    client = stale(kit, clock)

    response = client.post("/again", headers={"origin": "https://partner.example", "sec-fetch-site": "cross-site"})

    assert response.status_code == (200 if trusted else 403)
    assert client.get("/danger").status_code == (200 if trusted else 401)


def test_csrf_is_refused_by_the_helper_itself_as_for_a_sign_in(kit: SessionKit[AppSession], clock: Clock) -> None:
    client = stale(kit, clock)

    assert client.post("/from-elsewhere").status_code == 403
    assert client.get("/danger").status_code == 401


def test_a_handshake_that_can_carry_no_cookie_makes_nothing_fresh(stored: SessionKit[AppSession], clock: Clock) -> None:
    client = stale(stored, clock)

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/refused"):
        pass

    assert client.get("/danger").status_code == 401
