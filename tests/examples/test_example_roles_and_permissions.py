"""``examples/roles_and_permissions.py``: who may do what."""

import pytest
from fastapi.testclient import TestClient

from examples.roles_and_permissions import app
from tests.support import client_of


@pytest.fixture
def client() -> TestClient:
    return client_of(app)


ANYBODY, READER, WRITER, EDITOR, ADMIN = "", "reader", "writer", "editor", "admin"

EXPECTED = {
    ("GET", "/admin/health"): {ANYBODY: 200, READER: 200},
    ("GET", "/admin/people"): {ANYBODY: 401, EDITOR: 403, ADMIN: 200},
    ("GET", "/admin/servers"): {ANYBODY: 401, EDITOR: 403, ADMIN: 200},
    ("GET", "/articles"): {ANYBODY: 200, READER: 200},
    ("POST", "/articles?title=Fern"): {ANYBODY: 401, READER: 403, WRITER: 201, EDITOR: 201},
    ("DELETE", "/articles/Moss"): {ANYBODY: 401, WRITER: 403, EDITOR: 204, ADMIN: 204},
    ("GET", "/newsroom/drafts"): {ANYBODY: 401, READER: 403, WRITER: 200, EDITOR: 200},
    ("POST", "/newsroom/drafts/Lichen/publish"): {ANYBODY: 401, WRITER: 403, EDITOR: 200},
    ("DELETE", "/newsroom/drafts"): {ANYBODY: 401, WRITER: 403, EDITOR: 200},
}


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [(*asked, who, status) for asked, answers in EXPECTED.items() for who, status in answers.items()],
)
def test_everybody_gets_the_answer_that_is_for_them(
    client: TestClient, method: str, path: str, who: str, status: int
) -> None:
    if who:
        client.post(f"/sign-in/{who}")

    assert client.request(method, path).status_code == status


@pytest.mark.parametrize(("who", "may_write"), [(READER, False), (WRITER, True)])
def test_an_open_endpoint_can_ask_without_refusing(client: TestClient, who: str, may_write: bool) -> None:
    client.post(f"/sign-in/{who}")

    assert client.get("/articles").json()["may_write"] is may_write


def test_the_padlocks_name_what_is_asked_for(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]

    assert paths["/admin/people"]["get"]["security"] == [{"session_cookie": ["role:admin"]}]
    assert paths["/articles/{title}"]["delete"]["security"] == [
        {"session_cookie": ["role:editor", "permission:publish"]},
        {"session_cookie": ["role:admin"]},
    ]
    assert "security" not in paths["/admin/health"]["get"]
