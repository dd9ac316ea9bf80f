"""A change of privileges and ``regenerate_session`` move a session to a new id."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi import Request

from fastapi_sessionkit import SessionKit, regenerate_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import in_a_dependency
from tests.support import ADA, COOKIE, AppSession, Clock, RecordingStore, application


@pytest.mark.parametrize(
    "changes",
    [{"user_id": "grace"}, {"role": "admin"}, {"role": None}, {"roles": ["editor"]}, {"permissions": ["write"]}],
    ids=str,
)
@pytest.mark.parametrize("loaded", [False, True])
def test_a_change_of_privileges_moves_to_a_new_id(
    stored: SessionKit[AppSession], changes: dict[str, Any], loaded: bool
) -> None:
    async def change(request: Request) -> None:
        if loaded:
            await stored.require_session(request)
        update_session(request, **changes)

    app, client = application(stored)
    app.post("/")(change)
    old = signed_in(client, stored, ADA).cookies[COOKIE]
    client.post("/")

    assert client.cookies[COOKIE] != old
    assert session_of(client, stored) == AppSession.model_validate({**ADA.model_dump(), **changes})


@pytest.mark.parametrize("changes", [{"tier": "premium"}, {"role": "user"}, {"email": "a@b"}], ids=str)
def test_a_change_of_anything_else_keeps_the_id(stored: SessionKit[AppSession], changes: dict[str, Any]) -> None:
    app, client = application(stored)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, **changes)

    signed_in(client, stored, ADA)
    response = client.post("/")

    assert "set-cookie" not in response.headers


def test_regenerate_session_keeps_the_data_under_a_new_id(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)
    app.post("/")(in_a_dependency(regenerate_session))
    old = signed_in(client, stored, ADA).cookies[COOKIE]

    client.post("/")

    assert client.cookies[COOKIE] != old
    assert session_of(client, stored) == ADA


@pytest.mark.parametrize("looks", [False, True])
def test_regenerating_when_nobody_is_signed_in_is_401_and_takes_no_cookie(
    kit: SessionKit[AppSession], clock: Clock, looks: bool
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        regenerate_session(request)
        if looks:
            await kit.get_session(request)

    signed_in(client, kit, ADA)
    clock.advance(timedelta(days=60).total_seconds())
    response = client.post("/")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("looks", [False, True])
def test_regenerating_what_no_longer_fits_the_model_is_401_and_no_200(
    stored: SessionKit[AppSession], store: RecordingStore, looks: bool
) -> None:
    app, client = application(stored)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        [(key, record)] = await store.list_user("ada")
        await store.replace(key, replace(record, data=b'{"tier":"gold"}', version=2), version=1)
        regenerate_session(request)
        if looks:
            assert await stored.get_session(request) is None

    signed_in(client, stored, ADA)
    response = client.post("/")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers
