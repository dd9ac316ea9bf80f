"""``examples/quickstart.py``: the first application that anybody reads."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from examples import quickstart
from tests.support import client_of


@pytest.fixture
def client() -> TestClient:
    return client_of(quickstart.app, follow_redirects=True)


def sign_in(client: TestClient, username: str) -> None:
    assert client.post("/login", data={"username": username, "password": "demo"}).status_code == 200


def test_it_is_under_sixty_lines() -> None:
    source = Path(quickstart.__file__).read_text(encoding="utf-8")

    assert len(source.splitlines()) < 60


def test_nobody_is_signed_in_at_first(client: TestClient) -> None:
    assert client.get("/").status_code == 401


def test_signing_in_leads_to_who_one_is(client: TestClient) -> None:
    me = client.post("/login", data={"username": "ada", "password": "demo"}).json()

    assert (me["user_id"], me["role"], me["tier"]) == ("ada", "admin", "premium")


@pytest.mark.parametrize(("username", "password"), [("ada", "guess"), ("nobody", "demo"), ("ada", "\N{SNOWMAN}")])
def test_a_wrong_name_or_password_shows_the_form_again(client: TestClient, username: str, password: str) -> None:
    response = client.post("/login", data={"username": username, "password": password})

    assert response.status_code == 401
    assert '<form method="post">' in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(("username", "status"), [("ada", 200), ("grace", 403)])
def test_only_the_admin_sees_the_health(client: TestClient, username: str, status: int) -> None:
    sign_in(client, username)

    assert client.get("/admin/health").status_code == status


def test_signing_out_ends_it(client: TestClient) -> None:
    sign_in(client, "ada")

    assert client.post("/logout").status_code == 204
    assert client.get("/").status_code == 401
