"""``examples/accounts``: the way in by an OpenID provider, with Authlib, from the first redirect to the session."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt

from examples.accounts import users
from examples.accounts.settings import CALLBACK, CLIENT_SECRET, ISSUER
from tests.examples.accounts.conftest import Visit, row_of, sign_in_an_hour_ago


def come_back(browser: TestClient, elsewhere: TestClient, person: str = "dan", wanted: str = "/account") -> Any:
    """Leave for Town ID, say there who it is, and come back."""
    question = browser.get("/login/town", params={"next": wanted}).headers["location"]
    assert question.startswith(f"{ISSUER}/authorize?")
    assert "prompt=login" in question
    assert "Who are you?" in elsewhere.get(question).text
    answer = elsewhere.post(question, data={"person": person}).headers["location"]
    assert answer.startswith(CALLBACK)
    return browser.get(f"/login/town/callback?{answer.partition('?')[2]}")


def rewritten_claims(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    encode = jwt.encode
    monkeypatch.setattr(jwt, "encode", lambda header, claims, key: encode(header, {**claims, **changes}, key))


def test_somebody_new_gets_an_account_and_comes_back_to_it(visit: Visit, elsewhere: TestClient) -> None:
    browser = visit()

    assert come_back(browser, elsewhere).headers["location"] == "/account"
    assert browser.get("/api/me").json()["email"] == "dan@example.com"
    first = browser.get("/api/me").json()["user_id"]
    again = visit()
    come_back(again, elsewhere)
    assert again.get("/api/me").json()["user_id"] == first


def test_they_come_back_to_where_they_wanted_to_go(visit: Visit, elsewhere: TestClient) -> None:
    assert come_back(visit(), elsewhere, wanted="/account/delete").headers["location"] == "/account/delete"
    assert come_back(visit(), elsewhere, wanted="https://evil.example").headers["location"] == "/account"


def test_a_verified_address_finds_the_account_that_has_it(
    visit: Visit, elsewhere: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten_claims(monkeypatch, email="Bob@example.org")
    browser = visit()
    come_back(browser, elsewhere)

    assert browser.get("/api/me").json()["user_id"] == "bob"
    bob = row_of("bob")
    assert bob is not None
    assert bob.town_id == "dan"


def test_an_address_that_was_taken_at_this_moment_is_no_error_of_the_server(
    visit: Visit, elsewhere: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_yet(*_: Any) -> None: ...

    rewritten_claims(monkeypatch, email="bob@example.org")
    monkeypatch.setattr(users, "with_email", not_yet)
    browser = visit()

    assert come_back(browser, elsewhere).status_code == 422
    assert browser.get("/account").headers["location"].startswith("/login?")


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "bob@example.org", "email_verified": False},
        {"email": "eve@example.org", "email_verified": False},
        {"email": "cleo@example.com"},  # the account of another person there
        {"auth_time": 1_000_000_000},  # prompt=login was taken out of the address
        {"auth_time": 0},
    ],
)
def test_a_provider_that_does_not_vouch_signs_nobody_in(
    visit: Visit, elsewhere: TestClient, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any]
) -> None:
    rewritten_claims(monkeypatch, **claims)
    browser = visit()

    assert come_back(browser, elsewhere).status_code == 422
    assert browser.get("/account").status_code == 302


@pytest.mark.parametrize("query", ["", "?code=x&state=y", "?error=access_denied"])
def test_an_answer_that_nobody_asked_for_signs_nobody_in(visit: Visit, elsewhere: TestClient, query: str) -> None:
    browser = visit()
    page = browser.get(f"/login/town/callback{query}")

    assert page.status_code == 422
    assert "did not sign you in" in page.text
    assert browser.get("/account").status_code == 302


def test_login_csrf_an_answer_for_another_browser_signs_nobody_in(visit: Visit, elsewhere: TestClient) -> None:
    thief, victim = visit(), visit()
    question = thief.get("/login/town").headers["location"]
    answer = elsewhere.post(question, data={"person": "dan"}).headers["location"].partition("?")[2]

    assert victim.get(f"/login/town/callback?{answer}").status_code == 422
    assert thief.get(f"/login/town/callback?{answer}").status_code == 303
    assert thief.get(f"/login/town/callback?{answer}").status_code == 422


@pytest.mark.parametrize(
    ("secret", "verifier", "status"),
    [(CLIENT_SECRET, "v" * 43, 200), (CLIENT_SECRET, "w" * 43, 400), ("another", "v" * 43, 400)],
)
def test_a_code_is_worth_nothing_without_secret_and_verifier(
    elsewhere: TestClient, secret: str, verifier: str, status: int
) -> None:
    challenge = urlsafe_b64encode(sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    question = {"state": "s", "nonce": "n", "code_challenge": challenge}
    answer = elsewhere.post("/authorize", params=question, data={"person": "dan"}).headers["location"]
    form = {"code": parse_qs(urlsplit(answer).query)["code"][0], "code_verifier": verifier}

    assert elsewhere.post("/token", data=form, auth=("accounts", secret)).status_code == status
    assert elsewhere.post("/token", data=form, auth=("accounts", secret)).status_code == 400  # good once


def test_who_has_no_password_confirms_at_the_provider(visit: Visit, elsewhere: TestClient) -> None:
    browser = visit("cleo")
    sign_in_an_hour_ago("cleo")
    confirm = browser.get("/account/delete").headers["location"]
    page = browser.get(confirm).text

    assert 'href="/login/town?next=/account/delete"' in page
    assert "password" not in page
    assert come_back(browser, elsewhere, "cleo", "/account/delete").headers["location"] == "/account/delete"
    assert browser.get("/account/delete").status_code == 200
