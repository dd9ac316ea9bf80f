"""``examples/accounts``: registration, the password, and what a stranger learns from either."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pwdlib import PasswordHash

from examples.accounts import door, users
from examples.accounts.settings import ADDRESS
from tests.examples.accounts.conftest import PASSWORD, Visit, row_of

BOB = {"email": "bob@example.org", "password": PASSWORD}


def new_link(stranger: TestClient, outbox: Path, email: str = "eve@example.org") -> str:
    stranger.post("/register", data={"email": email})
    return outbox.read_text().rpartition(ADDRESS)[2].strip()


def test_the_letter_leads_to_a_new_account(visit: Visit, outbox: Path) -> None:
    stranger = visit()
    link = new_link(stranger, outbox, "Eve@Example.org")

    assert "eve@example.org" in stranger.get(link).text
    assert stranger.post(link, data={"name": "Eve", "password": PASSWORD}).headers["location"] == "/account"
    assert stranger.get("/api/me").json()["email"] == "eve@example.org"
    assert visit().post("/login", data={**BOB, "email": "eve@example.org"}).status_code == 303


def test_a_registration_tells_nobody_who_has_an_account(visit: Visit, outbox: Path) -> None:
    stranger = visit()
    known, unknown = (stranger.post("/register", data={"email": f"{name}@example.org"}) for name in ("bob", "eve"))

    assert known.status_code == unknown.status_code == 200
    assert known.text.replace("bob", "eve") == unknown.text
    assert re.findall(r"To (\w+)@.*/(login|register)", outbox.read_text()) == [("bob", "login"), ("eve", "register")]


def test_a_letter_opens_one_account_once(visit: Visit, outbox: Path) -> None:
    link = new_link(visit(), outbox)
    visit().post(link, data={"name": "Eve", "password": PASSWORD})
    second = visit()

    assert second.post(link, data={"name": "Mallory", "password": PASSWORD}).status_code == 409
    assert list(second.cookies) == []


def test_a_made_up_or_old_link_opens_nothing(visit: Visit, outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = new_link(visit(), outbox)
    form = {"name": "Eve", "password": PASSWORD}

    assert visit().get(f"{link}x").status_code == visit().post(f"{link}x", data=form).status_code == 404
    monkeypatch.setattr(door, "LINKS_LAST", -1)
    assert visit().get(link).status_code == visit().post(link, data=form).status_code == 404


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 201])
def test_a_new_password_is_neither_short_nor_endless(visit: Visit, outbox: Path, password: str) -> None:
    assert visit().post(new_link(visit(), outbox), data={"name": "Eve", "password": password}).status_code == 422


def test_an_unknown_address_and_a_wrong_password_are_answered_alike(visit: Visit) -> None:
    wrong = visit().post("/login", data={**BOB, "password": "turnip"})
    unknown = visit().post("/login", data={**BOB, "email": "eve@example.org"})
    without_one = visit().post("/login", data={**BOB, "email": "cleo@example.com"})

    assert wrong.status_code == unknown.status_code == without_one.status_code == 422
    assert (
        wrong.text == unknown.text.replace("eve", "bob") == without_one.text.replace("cleo@example.com", BOB["email"])
    )


@pytest.mark.parametrize("email", ["bob@example.org", "eve@example.org", "cleo@example.com"])
def test_every_sign_in_takes_one_verification(visit: Visit, monkeypatch: pytest.MonkeyPatch, email: str) -> None:
    verified: list[str] = []
    verify = PasswordHash.verify

    def noted(self: Any, password: str, password_hash: str) -> bool:
        verified.append(password_hash)
        return verify(self, password, password_hash)

    monkeypatch.setattr(PasswordHash, "verify", noted)
    visit().post("/login", data={"email": email, "password": "turnip"})

    assert len(verified) == 1
    assert verified[0].startswith("$argon2id$")


def test_what_is_hashed_for_nobody_lets_nobody_in(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "NOBODYS_HASH", users.hasher.hash("turnip"))

    assert visit().post("/login", data={"email": "eve@example.org", "password": "turnip"}).status_code == 422
    assert visit().post("/login", data={"email": "cleo@example.com", "password": "turnip"}).status_code == 422


def test_who_is_remembered_outlives_the_browser_and_nobody_else(visit: Visit) -> None:
    remembered = visit().post("/login", data={**BOB, "remember": "on"}).headers["set-cookie"]

    assert re.search(r"Max-Age=(2592000|25919\d\d);", remembered)
    assert "Max-Age" not in visit().post("/login", data=BOB).headers["set-cookie"]


@pytest.mark.parametrize(("remember", "hours"), [("on", 30 * 24), ("", 8)])
def test_who_is_remembered_may_stay_away_for_long(visit: Visit, remember: str, hours: int) -> None:
    browser = visit()
    browser.post("/login", data={**BOB, "remember": remember} if remember else BOB)
    (device,) = browser.get("/api/devices").json()
    stays = datetime.fromisoformat(device["expires_at"]) - datetime.fromisoformat(device["last_seen_at"])

    assert abs(stays - timedelta(hours=hours)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [("/people", "/people"), ("https://evil.example", "/account"), ("//evil.example", "/account")],
)
def test_a_sign_in_leads_on_within_this_site(visit: Visit, wanted: str, reached: str) -> None:
    assert visit().post("/login", params={"next": wanted}, data=BOB).headers["location"] == reached


def test_session_fixation_a_sign_in_gives_a_new_id(visit: Visit) -> None:
    browser = visit("bob")
    before = dict(browser.cookies)
    browser.post("/login", data=BOB)
    planted = visit()
    planted.cookies.update(before)

    assert dict(browser.cookies) != before
    assert planted.get("/account").headers["location"] == "/login?next=/account"


@pytest.mark.parametrize("path", ["/login", "/register", "/account/delete", "/people/bob/role", "/logout"])
def test_csrf_a_form_of_another_site_is_refused(visit: Visit, path: str) -> None:
    browser = visit("ada", **{"sec-fetch-site": "cross-site"})

    assert browser.post(path, data={**BOB, "role": "admin"}).status_code == 403


def test_login_csrf_a_form_of_another_site_signs_nobody_in(visit: Visit) -> None:
    stranger = visit(**{"sec-fetch-site": "cross-site"})

    assert stranger.post("/login", data=BOB).status_code == 403
    assert list(stranger.cookies) == []


def test_passwords_are_kept_as_argon2_hashes(visit: Visit, outbox: Path) -> None:
    stranger = visit()
    stranger.post(new_link(stranger, outbox), data={"name": "Eve", "password": PASSWORD})
    row = row_of(stranger.get("/api/me").json()["user_id"])

    assert row is not None
    assert str(row.password_hash).startswith("$argon2id$")


def test_an_error_is_a_page_for_a_browser_and_json_for_a_program(visit: Visit) -> None:
    form = {"email": "no address", "password": ""}
    page, answer = visit("bob").post("/login", data=form), visit("bob", accept="*/*").post("/login", data=form)

    assert page.status_code == answer.status_code == 422
    assert "That did not work" in page.text
    assert answer.json()["detail"][0]["loc"] == ["body", "email"]
    assert visit("bob", accept="*/*").get("/nowhere").json() == {"detail": "Not Found"}
    assert "Bob Keller" in visit("bob").get("/static/nothing").text
