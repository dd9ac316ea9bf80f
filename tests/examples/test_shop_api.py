"""``examples/shop``: its JSON API and the docs."""

import pytest
from fastapi.testclient import TestClient

from examples.shop.stock import Shop

ADMIN = [{"session_cookie": ["role:admin"]}]
SIGNED_IN: list[dict[str, list[str]]] = [{"session_cookie": []}]

PADLOCKS = {
    ("get", "/api/products"): None,
    ("get", "/api/products/{slug}"): None,
    ("patch", "/api/products/{slug}"): [*ADMIN, {"session_cookie": ["permission:stock:write"]}],
    ("get", "/api/me"): SIGNED_IN,
    ("get", "/api/orders"): SIGNED_IN,
    ("post", "/api/orders"): SIGNED_IN,
    ("get", "/api/almanac"): [{"session_cookie": ["custom:almanac_member"]}],
    ("get", "/api/admin/orders"): ADMIN,
}


def test_every_operation_has_the_padlock_that_its_rule_asks_for(stranger: TestClient) -> None:
    paths = stranger.get("/openapi.json").json()["paths"]

    assert {
        (method, path): operation.get("security") for path, item in paths.items() for method, operation in item.items()
    } == PADLOCKS


def test_me_is_the_typed_session(cleo: TestClient) -> None:
    me = cleo.get("/api/me").json()

    assert me == {
        "user_id": "cleo",
        "email": "cleo@example.com",
        "name": "Cleo Adeyemi",
        "role": "customer",
        "roles": [],
        "permissions": [],
        "tier": "free",
        "device": "An unknown device",
    }


def test_the_admin_counts_the_shelf(ada: TestClient, stranger: TestClient) -> None:
    response = ada.patch("/api/products/bean", json={"packets": 25})

    assert response.json()["packets"] == 25
    assert stranger.get("/api/products/bean").json()["packets"] == 25


def test_nobody_else_counts_the_shelf(stranger: TestClient, cleo: TestClient, emil: TestClient, shop: Shop) -> None:
    program = {"accept": "application/json"}

    answers = [
        browser.patch("/api/products/bean", json={"packets": 25}, headers=program).status_code
        for browser in (stranger, cleo, emil)
    ]

    assert answers == [401, 403, 403]
    assert shop.products["bean"].packets == 0


@pytest.mark.parametrize("packets", [-1, 10_001, "many"])
def test_a_count_that_can_not_be_is_refused(ada: TestClient, packets: object) -> None:
    assert ada.patch("/api/products/bean", json={"packets": packets}).status_code == 422


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_an_unknown_product_is_not_found(ada: TestClient, method: str) -> None:
    body = {"packets": 1} if method == "PATCH" else None

    assert ada.request(method, "/api/products/gold", json=body).status_code == 404


def test_the_basket_is_ordered_once(cleo: TestClient) -> None:
    cleo.post("/basket/squash")

    first, second = cleo.post("/api/orders"), cleo.post("/api/orders")

    assert (first.status_code, second.status_code) == (201, 409)
    assert [order["packets"] for order in cleo.get("/api/orders").json()] == [{"squash": 1}]


def test_one_sees_only_ones_own_orders(cleo: TestClient, emil: TestClient, ada: TestClient) -> None:
    cleo.post("/basket/squash")
    cleo.post("/api/orders")

    assert emil.get("/api/orders").json() == []
    assert [order["username"] for order in ada.get("/api/admin/orders").json()] == ["cleo"]


def test_the_almanac_has_every_month(ada: TestClient) -> None:
    months = ada.get("/api/almanac").json()

    assert [month["month"] for month in months] == list(range(1, 13))
    assert "Black Krim" in months[2]["sow"]
    assert "Black Krim" in months[8]["harvest"]
