"""``examples/shop``: closing an account asks for the password again, unless the sign-in was a moment ago."""

from dataclasses import replace
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

from examples.shop.app import app
from examples.shop.pages.devices import kept_here
from examples.shop.sessions import CLOSE, CONFIRM, kit
from examples.shop.stock import Shop
from tests.examples.conftest import Visit

STALE = f"{CONFIRM}?next={CLOSE}"
EMIL = {"username": "emil", "password": "trellis"}


@pytest.fixture
def stale(emil: TestClient) -> TestClient:
    """Emil's browser, in which he signed in an hour ago."""
    anyio.run(sign_in_an_hour_ago)
    return emil


async def sign_in_an_hour_ago() -> None:
    store: Any = getattr(kit.backend, "store")  # noqa: B009
    for key, record in await store.list_user("emil"):
        old = replace(record, authenticated_at=record.authenticated_at - 3_600, version=record.version + 1)
        await store.replace(key, old, version=record.version)


def test_a_recent_sign_in_may_close_the_account_at_once(emil: TestClient, shop: Shop) -> None:
    assert emil.get(CLOSE).status_code == 200
    assert emil.post(CLOSE).headers["location"] == "/"

    assert shop.closed == {"emil"}


def test_an_old_sign_in_is_asked_for_the_password(stale: TestClient, shop: Shop) -> None:
    assert stale.get(CLOSE).headers["location"] == STALE
    assert stale.post(CLOSE).headers["location"] == CONFIRM
    assert stale.post(CLOSE, headers={"accept": "*/*"}).status_code == 401
    assert shop.closed == set()


def test_the_password_leads_on_and_the_account_can_be_closed(stale: TestClient, shop: Shop) -> None:
    assert "Is it still you?" in stale.get(STALE).text
    assert stale.post(STALE, data={"password": "trellis"}).headers["location"] == CLOSE

    assert stale.get(CLOSE).status_code == 200
    assert stale.post(CLOSE).status_code == 303
    assert shop.closed == {"emil"}


@pytest.mark.parametrize("password", ["", "turnip", "radish"])
def test_another_password_is_refused(stale: TestClient, password: str) -> None:
    assert stale.post(STALE, data={"password": password}).status_code == 422
    assert stale.get(CLOSE).headers["location"] == STALE


@pytest.mark.parametrize("kept", [True, False])
def test_a_closed_account_is_signed_out_and_stays_out(emil: TestClient, visit: Visit, kept: bool) -> None:
    app.dependency_overrides[kept_here] = lambda: kept
    elsewhere = visit("emil")

    emil.post(CLOSE)

    assert emil.get("/dashboard").headers["location"] == "/login?next=/dashboard"
    assert (elsewhere.get("/dashboard").status_code == 200) is not kept
    assert emil.post("/login", data=EMIL).status_code == 422


def test_the_confirmation_is_for_those_who_are_signed_in(stranger: TestClient) -> None:
    assert stranger.get(CONFIRM).headers["location"] == f"/login?next={CONFIRM}"
    assert stranger.post(CONFIRM, data={"password": "trellis"}).headers["location"] == "/login"
