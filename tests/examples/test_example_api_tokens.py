"""``examples/api_tokens.py`` and its client: signed in by a script, kept in a file, revoked from a browser."""

import stat
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from examples.api_client import Api, SignedOut
from examples.api_tokens import app
from tests.support import client_of

ADA = {"username": "ada", "password": "demo"}
PHONE = "A phone"


class Wire(httpx.BaseTransport):
    """Leads the client to the application without a network."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = client_of(app).request(
            request.method, request.url.path, headers=dict(request.headers), content=request.read()
        )
        return httpx.Response(answer.status_code, content=answer.content)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "token"


@pytest.fixture
def api(token_file: Path) -> Api:
    return Api(httpx.Client(transport=Wire(), base_url="https://testserver"), token_file)


@pytest.fixture
def browser() -> TestClient:
    browser = client_of(app)
    assert browser.post("/login", json=ADA).status_code == 204
    return browser


def test_a_script_signs_in_once_and_is_known_from_then_on(api: Api, token_file: Path) -> None:
    api.login("ada", "demo", PHONE)

    assert api.me()["user_id"] == "ada"
    assert Api(httpx.Client(transport=Wire(), base_url="https://testserver"), token_file).me()["device"] == PHONE


def test_the_file_with_the_token_is_its_owners_alone(api: Api, token_file: Path) -> None:
    api.login("ada", "demo", PHONE)

    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600


def test_without_a_token_the_client_says_to_sign_in(api: Api) -> None:
    with pytest.raises(SignedOut, match="Sign in first"):
        api.me()


def test_a_wrong_password_gives_no_token(api: Api, token_file: Path) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        api.login("ada", "guess", PHONE)

    assert not token_file.exists()


def test_a_phone_is_revoked_from_the_browser_and_forgets_its_token(
    api: Api, browser: TestClient, token_file: Path
) -> None:
    api.login("ada", "demo", "The lost phone")
    [phone] = [each for each in browser.get("/devices").json() if each["device"] == "The lost phone"]

    assert browser.delete(f"/devices/{phone['handle']}").status_code == 204
    with pytest.raises(SignedOut, match="revoked"):
        api.me()
    assert not token_file.exists()
    assert browser.get("/me").status_code == 200


def test_a_script_sees_itself_among_the_devices_and_revokes_the_browser(api: Api, browser: TestClient) -> None:
    api.login("ada", "demo", PHONE)
    devices = api.devices()

    assert [each["device"] for each in devices if each["current"]] == [PHONE]
    for each in devices:
        if each["device"] == "A browser":
            api.revoke(each["handle"])
    assert browser.get("/me").status_code == 401


def test_nobody_revokes_another_persons_device(api: Api, browser: TestClient) -> None:
    api.login("grace", "demo", PHONE)
    [handle] = [each["handle"] for each in browser.get("/devices").json() if each["current"]]

    with pytest.raises(httpx.HTTPStatusError, match="404"):
        api.revoke(handle)


def test_signing_out_ends_the_token(api: Api, token_file: Path) -> None:
    api.login("ada", "demo", PHONE)
    token = token_file.read_text()
    api.logout()

    assert not token_file.exists()
    assert client_of(app).get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_roles_are_asked_of_a_token_too(api: Api, token_file: Path) -> None:
    client = client_of(app)
    for user, status in (("ada", 200), ("grace", 403)):
        api.login(user, "demo", PHONE)
        headers = {"Authorization": f"Bearer {token_file.read_text()}"}

        assert client.get("/statistics", headers=headers).status_code == status
