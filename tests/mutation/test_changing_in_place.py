"""Changes inside a session that was handed out are noticed and saved."""

from collections.abc import Callable
from typing import Annotated, Any

import anyio
from fastapi import Depends, HTTPException, Request

from fastapi_sessionkit import SessionKit, set_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import runs
from tests.support import ADA, AppSession, application, client_of


def in_place(kit: SessionKit[AppSession], act: Callable[[Request, AppSession], Any]) -> AppSession:
    async def change(request: Request) -> None:
        result = act(request, await kit.require_session(request))
        if result is not None:
            await result

    session = session_of(runs(kit, change), kit)
    assert session is not None
    return session


def test_a_change_inside_a_nested_value_is_noticed_and_saved(kit: SessionKit[AppSession]) -> None:
    def act(_: Request, session: AppSession) -> None:
        session.cart.append("book")
        session.settings["colour"] = {"of": ["the", "walls"]}

    session = in_place(kit, act)

    assert (session.cart, session.settings) == (["book"], {"colour": {"of": ["the", "walls"]}})


def test_a_change_inside_a_nested_value_is_noticed_beside_an_update(kit: SessionKit[AppSession]) -> None:
    def act(request: Request, session: AppSession) -> None:
        session.cart.append("before")
        update_session(request, tier="premium")

    session = in_place(kit, act)

    assert (session.cart, session.tier) == (["before"], "premium")


def test_a_change_inside_the_old_session_is_noticed_after_an_update(kit: SessionKit[AppSession]) -> None:
    def act(request: Request, session: AppSession) -> None:
        update_session(request, tier="premium")
        session.cart.append("after")

    session = in_place(kit, act)

    assert (session.cart, session.tier) == (["after"], "premium")


def test_a_change_inside_the_new_session_is_noticed_after_an_update(kit: SessionKit[AppSession]) -> None:
    async def act(request: Request, session: AppSession) -> None:
        update_session(request, tier="premium")
        (await kit.require_session(request)).cart.append("after")

    session = in_place(kit, act)

    assert (session.cart, session.tier) == (["after"], "premium")


def test_a_change_inside_a_session_between_two_updates_is_noticed(kit: SessionKit[AppSession]) -> None:
    async def act(request: Request, session: AppSession) -> None:
        update_session(request, tier="premium")
        between = await kit.require_session(request)
        update_session(request, note="second")
        between.cart.append("book")

    session = in_place(kit, act)

    assert (session.cart, session.tier, session.note) == (["book"], "premium", "second")


def test_an_update_wins_over_a_change_in_place_before_it(kit: SessionKit[AppSession]) -> None:
    def act(request: Request, session: AppSession) -> None:
        session.cart.append("book")
        update_session(request, cart=[])

    assert in_place(kit, act).cart == []


def test_a_change_inside_the_session_that_signs_in_is_noticed(kit: SessionKit[AppSession]) -> None:
    def sign_in(request: Request) -> None:
        session = AppSession(user_id="ada")
        set_session(request, session)
        session.cart.append("first")
        update_session(request, tier="premium")
        session.settings["late"] = True

    session = session_of(runs(kit, sign_in, None), kit)

    assert session == AppSession(user_id="ada", tier="premium", cart=["first"], settings={"late": True})


def test_a_change_in_place_is_seen_by_no_other_request(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.get("/spoil")
    async def spoil(session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        session.cart.append("spoiled")
        raise HTTPException(500)

    @app.get("/")
    async def read(session: Annotated[AppSession, Depends(kit.require_session)]) -> list[str]:
        return session.cart

    signed_in(client, kit, ADA)
    client.get("/")
    client.get("/spoil")

    assert client.get("/").json() == []


def test_a_change_in_place_that_the_model_refuses_is_not_saved(kit: SessionKit[AppSession]) -> None:
    app, _ = application(kit)
    client = client_of(app, raise_server_exceptions=False)

    @app.post("/")
    async def endpoint(session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        session.cart.append(object())  # type: ignore[arg-type]

    response = signed_in(client, kit, ADA).post("/")

    assert response.status_code == 500
    assert session_of(client, kit) == ADA


def test_a_change_in_place_becomes_a_patch_of_that_field_only(stored: SessionKit[AppSession]) -> None:
    app, client = application(stored)

    @app.post("/outer")
    async def outer(session: Annotated[AppSession, Depends(stored.require_session)]) -> None:
        session.cart.append("book")
        # Meanwhile another request changes another field.
        other = client_of(app, cookies=client.cookies)
        await anyio.to_thread.run_sync(other.post, "/inner")

    @app.post("/inner")
    async def inner(request: Request) -> None:
        update_session(request, tier="premium")

    signed_in(client, stored, ADA).post("/outer")
    session = session_of(client, stored)

    assert session is not None
    assert (session.cart, session.tier) == (["book"], "premium")
