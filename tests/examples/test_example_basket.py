"""``examples/basket.py``: the cart comes along, and a message is said once."""

import pytest
from fastapi.testclient import TestClient

from examples.basket import app, users, visits
from tests.support import client_of


@pytest.fixture
def client() -> TestClient:
    return client_of(app, follow_redirects=True)


def test_somebody_who_only_looks_gets_no_cookie(client: TestClient) -> None:
    assert "Your cart: empty" in client.get("/").text
    assert list(client.cookies.jar) == []


def test_the_cart_is_filled_before_signing_in_and_ordered_afterwards(client: TestClient) -> None:
    client.post("/cart/tea")
    client.post("/cart/tea")
    assert client.post("/order").status_code == 401

    welcome = client.post("/login").text
    assert "Your cart: 2 x tea" in welcome
    ordered = client.post("/order").text

    assert "Ordered for 12, ada" in ordered
    assert "Your cart: empty" in ordered


def test_a_message_is_shown_once(client: TestClient) -> None:
    assert "Added: bread" in client.post("/cart/bread").text
    assert "Added: bread" not in client.get("/").text
    assert "Your cart: 1 x bread" in client.get("/").text


def test_signing_out_empties_the_cart_too(client: TestClient) -> None:
    client.post("/cart/tea")
    client.post("/login")
    client.post("/logout")

    assert "Your cart: empty" in client.get("/").text
    assert list(client.cookies.jar) == []


def test_each_kit_has_a_cookie_by_its_name(client: TestClient) -> None:
    client.post("/cart/tea")
    client.post("/login")

    assert set(client.cookies) == {users.cookie_name, visits.cookie_name} == {"__Host-session", "__Host-visit"}


def test_what_is_not_sold_is_not_put_into_the_cart(client: TestClient) -> None:
    assert client.post("/cart/gold").status_code == 404
    assert list(client.cookies.jar) == []
