"""Attacks and mistakes where two features meet: each has tests of its own, and these are about the seam."""

import pytest
from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import (
    CookieBackend,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    StoreBackend,
    fresh,
    get_session,
    owner,
    require,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import SECRET, Clock, client_of


@pytest.mark.parametrize("backend", [CookieBackend, lambda: StoreBackend(MemoryStore())], ids=["cookie", "memory"])
def test_attack_a_bearer_token_planted_beside_the_cookie_signs_nobody_out(backend: type[CookieBackend]) -> None:
    kit = SessionKit(secret_key=SECRET, backend=backend(), bearer=True)
    app = FastAPI()
    kit.install(app)

    @app.post("/token")
    async def token(request: Request) -> str:
        return await kit.issue_token(request, Session(user_id="eve"))

    @app.get("/me")
    async def me(request: Request) -> str:
        session = await get_session(request)
        return "nobody" if session is None else str(session.user_id)

    planted = client_of(app).post("/token").json()
    mine = signed_in(client_of(app), kit, Session(user_id="ada")).cookies[kit.cookie_name]
    for values in ((mine, planted), (planted, mine)):
        header = "; ".join(f"{kit.cookie_name}={value}" for value in values)
        assert client_of(app).get("/me", headers={"Cookie": header}).json() == "ada"


def test_a_bearers_token_is_not_said_to_be_fresh_and_forgotten() -> None:
    kit = SessionKit(secret_key=SECRET, backend=MemoryStore(), bearer=True)
    app = FastAPI()
    kit.install(app)

    @app.post("/token")
    async def token(request: Request) -> str:
        return await kit.issue_token(request, Session(user_id="ada"))

    @app.post("/again")
    async def again(request: Request) -> None:
        kit.reauthenticate_session(request)

    client = client_of(app)
    refused = client.post("/again", headers={"Authorization": f"Bearer {client.post('/token').json()}"})
    assert refused.status_code == 403
    assert "kit.issue_token" in refused.text


@pytest.mark.parametrize("path", ["/gated/ada", "/asked/ada"])
def test_what_is_ones_own_and_asks_for_a_fresh_sign_in_is_a_step_up(path: str, clock: Clock) -> None:
    needs = owner("user_id") & fresh(60)
    kit = SessionKit(secret_key=SECRET, backend=MemoryStore(), clock=clock)
    app = FastAPI()
    kit.install(app, guard=RouterGuard([Rule("/gated/{user_id}", requires=needs)]))

    @app.get("/gated/{user_id}")
    async def gated(user_id: str) -> str:
        return user_id

    @app.get("/asked/{user_id}", dependencies=[Depends(require(needs))])
    async def asked(user_id: str) -> str:
        return user_id

    ada, eve = (signed_in(client_of(app), kit, Session(user_id=name)) for name in ("ada", "eve"))
    assert ada.get(path).status_code == 200
    clock.advance(61)
    refused = ada.get(path)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (
        401,
        'Cookie error="insufficient_user_authentication", max_age="60"',
    )
    assert eve.get(path).status_code == 403  # no sign-in makes it hers
