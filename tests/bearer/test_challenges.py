"""What a 401 says of signing in: both ways, and whether a token was refused (RFC 6750, section 3)."""

from typing import Any

import pytest
from fastapi import Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from fastapi_sessionkit import NotAuthenticated, RouterGuard, Rule, require_session
from tests.bearer.support import Site

REFUSED = ["Cookie", 'Bearer error="invalid_token"']


def challenges(site: Site, path: str, token: str | None = None, method: str = "GET", **headers: str) -> list[str]:
    response = site.send(method, path, token, **headers)
    assert response.status_code == 401
    found: list[str] = response.headers.get_list("www-authenticate")
    return found


def test_without_a_token_both_ways_are_named_and_no_error(site: Site) -> None:
    assert challenges(site, "/me") == ["Cookie", "Bearer"]


@pytest.mark.parametrize("token", ["nonsense", ""])
def test_a_token_that_is_nobodys_is_named_as_the_error(site: Site, token: str) -> None:
    assert challenges(site, "/me", token) == REFUSED


def test_credentials_of_another_scheme_are_no_token(site: Site) -> None:
    assert challenges(site, "/me", authorization="Basic YWRhOmRlbW8=") == ["Cookie", "Bearer"]


@pytest.mark.parametrize("expected", [401, 302])
def test_the_gate_says_it_too(expected: int) -> None:
    site = Site(guard=RouterGuard(protect=[Rule("/idle")], login_path="/login"))
    accept = {302: "text/html", 401: "*/*"}[expected]
    response = site.send("GET", "/idle", "nonsense", accept=accept)

    assert response.status_code == expected
    assert response.headers.get_list("www-authenticate") == (REFUSED if expected == 401 else [])


def test_an_error_of_the_application_s_own_says_it(site: Site) -> None:
    assert challenges(site, "/wrong-password", method="POST") == ["Cookie", "Bearer"]


def test_a_valid_token_is_not_called_invalid(site: Site) -> None:
    @site.app.get("/never", dependencies=[Depends(require_session)])
    async def never() -> None:
        raise NotAuthenticated("Type your password once more")

    assert challenges(site, "/never", site.token("ada")) == ["Cookie", "Bearer"]
    assert challenges(site, "/wrong-password", site.token("ada"), "POST") == ["Cookie", "Bearer"]


def test_what_a_challenge_of_the_cookie_asks_for_the_bearer_is_asked_for_too(site: Site) -> None:
    @site.app.get("/again")
    async def again() -> None:
        raise NotAuthenticated(headers={"WWW-Authenticate": 'Cookie error="insufficient_user_authentication"'})

    what = ' error="insufficient_user_authentication"'
    assert challenges(site, "/again", site.token("ada")) == ["Cookie" + what, "Bearer" + what]


def test_a_change_of_nobodys_session_that_is_found_out_late_says_it(stored: Site) -> None:
    assert challenges(stored, "/promote", stored.token("ada") + "x", method="POST") == REFUSED


def test_a_401_of_somebody_else_is_left_alone(site: Site) -> None:
    @site.app.get("/basic")
    async def basic() -> None:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Basic realm="staff"'})

    assert challenges(site, "/basic") == ['Basic realm="staff"']


def test_a_handler_of_ones_own_sees_the_error_and_its_answer_says_both(site: Site) -> None:
    @site.app.exception_handler(NotAuthenticated)
    async def answer(_: Request, error: Any) -> JSONResponse:
        return JSONResponse("sign in", 401, error.headers)

    assert challenges(site, "/me", "nonsense") == REFUSED
