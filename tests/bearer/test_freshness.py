"""When the user of a token last proved who they are: a token that is got with a session is no way around step-up."""

from typing import Any

import pytest
from fastapi import Depends, Request

from fastapi_sessionkit import reauthenticate_session, require_fresh
from tests.bearer.support import Site
from tests.support import AppSession, Clock

ADA = AppSession(user_id="ada")


@pytest.fixture
def site(site: Site) -> Site:
    kit = site.kit

    @site.app.post("/mint", dependencies=[Depends(kit.require_session)])
    async def mint(request: Request) -> str:
        return await kit.issue_token(request, ADA)

    @site.app.post("/mint/with-a-password")
    async def mint_with_a_password(request: Request, _: Any = Depends(kit.require_session)) -> str:
        reauthenticate_session(request)
        return await kit.issue_token(request, ADA)

    @site.app.post("/password")
    async def password(request: Request) -> str:
        return await kit.issue_token(request, ADA)

    @site.app.get("/danger", dependencies=[Depends(require_fresh(60))])
    async def danger() -> None: ...

    return site


def is_fresh(site: Site, token: str) -> bool:
    return site.send("GET", "/danger", token).status_code == 200


@pytest.mark.parametrize("kind", ["token", "cookie"])
def test_attack_a_token_that_an_old_sign_in_gets_is_not_fresh(site: Site, clock: Clock, kind: str) -> None:
    brought = {kind: getattr(site, kind)("ada")}
    clock.advance(30)
    young = site.send("POST", "/mint", **brought).json()
    assert is_fresh(site, young)
    clock.advance(31)

    old = site.send("POST", "/mint", **brought).json()

    assert site.who(old) == "ada"
    assert not is_fresh(site, old)
    assert not is_fresh(site, young)


def test_attack_tokens_that_get_each_other_are_no_fresher_than_the_first(site: Site, clock: Clock) -> None:
    token = site.token("ada")
    for _ in range(3):
        clock.advance(30)
        token = site.send("POST", "/mint", token).json()

    assert not is_fresh(site, token)


def test_attack_a_clock_that_is_set_back_makes_no_token_fresh(stored: Site, clock: Clock) -> None:
    token = stored.token("ada")
    clock.advance(-3_600)

    @stored.app.post("/mint", dependencies=[Depends(stored.kit.require_session)])
    async def mint(request: Request) -> str:
        return await stored.kit.issue_token(request, ADA)

    stored.app.get("/danger", dependencies=[Depends(require_fresh(60))])(lambda: None)
    assert not is_fresh(stored, stored.send("POST", "/mint", token).json())


def test_a_token_that_a_password_gets_is_fresh_whatever_came_with_it(site: Site, clock: Clock) -> None:
    token = site.token("ada")
    clock.advance(61)

    assert is_fresh(site, site.send("POST", "/password", token).json())


def test_a_token_of_somebody_who_has_just_proved_it_is_fresh(site: Site, clock: Clock) -> None:
    cookie = site.cookie("ada")
    clock.advance(61)

    assert is_fresh(site, site.send("POST", "/mint/with-a-password", cookie=cookie).json())


def test_a_token_for_somebody_else_has_nothing_of_who_asked(site: Site, clock: Clock) -> None:
    token = site.token("grace")
    clock.advance(61)

    assert is_fresh(site, site.send("POST", "/mint", token).json())
