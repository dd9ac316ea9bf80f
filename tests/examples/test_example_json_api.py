"""``examples/json_api.py``: what a single-page client relies on."""

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from examples.json_api import FRONTEND_ORIGIN, app
from tests.support import client_of

ADA = {"username": "ada", "password": "demo"}
GRACE = {"username": "grace", "password": "demo"}
BROWSER = {"accept": "text/html,*/*", "sec-fetch-mode": "navigate"}


@pytest.fixture
def client() -> TestClient:
    return client_of(app)


def from_the_frontend(client: TestClient, method: str, path: str, **options: object) -> Response:
    """As the browser sends it for a page at FRONTEND_ORIGIN: same site here, another origin."""
    headers = {"origin": FRONTEND_ORIGIN, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}
    return client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_a_stranger_gets_401_as_json_and_never_a_redirect(client: TestClient, headers: dict[str, str]) -> None:
    response = client.get("/me", headers=headers)

    assert response.status_code == 401
    assert response.json() == {"detail": "Not authenticated"}
    assert "www-authenticate" in response.headers


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_who_may_not_gets_403_as_json_and_never_a_redirect(client: TestClient, headers: dict[str, str]) -> None:
    client.post("/login", json=GRACE)

    response = client.get("/statistics", headers=headers)

    assert response.status_code == 403
    assert response.json() == {"detail": "Requires role:admin"}


def test_who_may_is_answered(client: TestClient) -> None:
    client.post("/login", json=ADA)

    assert client.get("/statistics").json() == {"users": 2}


def test_an_unknown_path_tells_a_stranger_nothing(client: TestClient) -> None:
    assert client.get("/no-such-thing").status_code == 401


def test_a_wrong_password_is_401(client: TestClient) -> None:
    response = client.post("/login", json={"username": "ada", "password": "guess"})

    assert response.status_code == 401
    assert response.json() == {"detail": "Wrong name or password"}


def test_a_preference_is_kept_in_the_session(client: TestClient) -> None:
    client.post("/login", json=ADA)

    client.patch("/me", json={"theme": "dark"})

    assert client.get("/me").json()["theme"] == "dark"


def test_signing_out_ends_it(client: TestClient) -> None:
    client.post("/login", json=ADA)

    assert client.post("/logout").status_code == 204
    assert client.get("/me").status_code == 401


def test_the_cookie_is_out_of_reach_for_scripts(client: TestClient) -> None:
    cookie = client.post("/login", json=ADA).headers["set-cookie"]

    assert "httponly" in cookie.lower()


def test_the_frontend_of_another_origin_signs_in_and_writes(client: TestClient) -> None:
    signed_in = from_the_frontend(client, "POST", "/login", json=ADA)
    changed = from_the_frontend(client, "PATCH", "/me", json={"theme": "dark"})

    assert (signed_in.status_code, changed.status_code) == (200, 200)
    assert changed.headers["access-control-allow-origin"] == FRONTEND_ORIGIN
    assert changed.headers["access-control-allow-credentials"] == "true"


def test_the_frontend_can_read_a_refusal(client: TestClient) -> None:
    response = from_the_frontend(client, "GET", "/me")

    assert response.status_code == 401
    assert response.headers["access-control-allow-origin"] == FRONTEND_ORIGIN


def test_a_preflight_passes_without_a_session(client: TestClient) -> None:
    headers = {"origin": FRONTEND_ORIGIN, "access-control-request-method": "PATCH"}

    assert client.options("/me", headers=headers).status_code == 200


def test_csrf_from_another_site_is_refused(client: TestClient) -> None:
    client.post("/login", json=ADA)

    response = client.patch(
        "/me", json={"theme": "dark"}, headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    )

    assert response.status_code == 403
    assert client.get("/me").json()["theme"] == "light"


def test_login_csrf_from_another_site_is_refused(client: TestClient) -> None:
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}

    response = client.post("/login", json=ADA, headers=headers)

    assert response.status_code == 403
    assert "set-cookie" not in response.headers
