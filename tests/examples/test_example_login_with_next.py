"""``examples/login_with_next.py``: refused, signed in, and back where one wanted to go."""

import pytest
from fastapi.testclient import TestClient

from examples.login_with_next import app
from tests.support import client_of

ADA = {"username": "ada", "password": "demo"}


@pytest.fixture
def client() -> TestClient:
    return client_of(app, headers={"accept": "text/html"})


def test_a_refused_browser_is_sent_to_the_login_page(client: TestClient) -> None:
    response = client.get("/reports/march")

    assert response.status_code == 302
    assert response.headers["location"] == "/login?next=/reports/march"


def test_signing_in_leads_back_to_where_one_wanted_to_go(client: TestClient) -> None:
    login = client.get("/reports/march").headers["location"]

    response = client.post(login, data=ADA)

    assert (response.status_code, response.headers["location"]) == (303, "/reports/march")
    assert "For the eyes of ada" in client.get("/reports/march").text


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://elsewhere.example",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "/\t/elsewhere.example",
        "javascript:0",
    ],
)
def test_an_open_redirect_through_next_ends_on_the_front_page(client: TestClient, elsewhere: str) -> None:
    response = client.post("/login", params={"next": elsewhere}, data=ADA)

    assert (response.status_code, response.headers["location"]) == (303, "/")


def test_a_wrong_password_shows_the_form_again(client: TestClient) -> None:
    response = client.post("/login", data={"username": "ada", "password": "guess"})

    assert response.status_code == 422
    assert "go together" in response.text
    assert "set-cookie" not in response.headers


def test_somebody_signed_in_has_no_use_for_the_login_page(client: TestClient) -> None:
    client.post("/login", data=ADA)

    response = client.get("/login")

    assert (response.status_code, response.headers["location"]) == (302, "/")


def test_the_front_page_greets_who_is_signed_in(client: TestClient) -> None:
    assert "Signed in" not in client.get("/").text

    client.post("/login", data=ADA)

    assert "Signed in as ada" in client.get("/").text


def test_signing_out_closes_the_reports(client: TestClient) -> None:
    client.post("/login", data=ADA)

    assert client.post("/logout").headers["location"] == "/"
    assert client.get("/reports/march").status_code == 302


def test_markup_in_a_path_is_escaped(client: TestClient) -> None:
    client.post("/login", data=ADA)

    page = client.get("/reports/%3Cscript%3E").text

    assert "<script>" not in page.lower()
