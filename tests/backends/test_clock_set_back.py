"""The clock is set back by less than the limit: nobody is signed out by what they change meanwhile."""

from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import CookieBackend, reauthenticate_session, regenerate_session, set_session, update_session
from tests.support import AppSession, Clock, client_of, new_kit

CHANGES: dict[str, Any] = {
    "update": lambda request: update_session(request, role="editor"),
    "regenerate": regenerate_session,
    "reauthenticate": reauthenticate_session,
}


def browser(clock: Clock, *, encrypt: bool) -> TestClient:
    kit, app = new_kit(backend=CookieBackend(encrypt=encrypt), clock=clock), FastAPI()
    kit.install(app)

    @app.post("/sign-in")
    async def sign_in(request: Request) -> None:
        set_session(request, AppSession(user_id="ada"))

    @app.post("/{change}")
    async def change(request: Request, change: str) -> None:
        CHANGES[change](request)

    @app.get("/me")
    async def me(request: Request) -> bool:
        return await kit.get_session(request) is not None

    return client_of(app)


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_on_a_clock_that_is_behind_signs_nobody_out(change: str, encrypt: bool, clock: Clock) -> None:
    client = browser(clock, encrypt=encrypt)
    client.post("/sign-in")
    clock.advance(-9)

    assert client.post(f"/{change}").status_code == 200
    assert client.get("/me").json() is True
    clock.advance(10)
    assert client.get("/me").json() is True
