"""``examples/kratos.py``: people sign in elsewhere, and a stand-in for Kratos says who they are."""

import runpy
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from tests.examples.serving import served
from tests.support import SITE

identity_service = FastAPI()
ROLES = {"ada": "admin", "bob": "member"}


@identity_service.get("/sessions/whoami")
async def whoami(request: Request) -> dict[str, Any]:
    name = request.cookies.get("ory_kratos_session") or request.headers.get("X-Session-Token", "")
    if name not in ROLES:
        raise HTTPException(401)
    return {
        "active": True,
        "authenticated_at": "2026-11-27T10:00:00Z",
        "identity": {
            "id": f"id-of-{name}",
            "traits": {"email": f"{name}@example.com"},
            "metadata_public": {"role": ROLES[name]},
        },
    }


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with served(identity_service) as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRATOS_URL", f"http://{host}")
        app = runpy.run_path("examples/kratos.py")["app"]
        with TestClient(app, base_url=SITE, follow_redirects=False) as client:
            yield client


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        ("/", "ada", 200),
        ("/", "bob", 200),
        ("/", "eve", 401),
        ("/admin/people", "ada", 200),
        ("/admin/people", "bob", 403),
    ],
)
def test_who_kratos_knows_is_let_at_what_the_rules_say(client: TestClient, path: str, who: str, status: int) -> None:
    by_cookie = client.get(path, headers={"Cookie": f"ory_kratos_session={who}"})
    by_token = client.get(path, headers={"X-Session-Token": who})

    assert [by_cookie.status_code, by_token.status_code] == [status, status]


def test_a_browser_is_sent_to_the_login_of_kratos(client: TestClient) -> None:
    home = client.get("/", headers={"Accept": "text/html"})
    login = client.get(home.headers["location"], headers={"Accept": "text/html"})

    assert home.headers["location"].startswith("/login")
    assert login.headers["location"].endswith("/self-service/login/browser")
