"""``examples/shop``: what can't be answered is a page for a browser and JSON for everything else."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from examples.shop.sessions import kit
from fastapi_sessionkit import StoreBackend

PROGRAM = {"accept": "application/json"}


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it takes the storage away until the test is over."""

    async def out(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    def begin() -> None:
        assert isinstance(kit.backend, StoreBackend)
        for method in ("get", "create", "replace", "touch", "delete", "list_user", "delete_user"):
            monkeypatch.setattr(kit.backend.store, method, out)

    return begin


@pytest.mark.parametrize("path", ["/", "/dashboard", "/account/devices", "/docs", "/no-such-page"])
def test_an_outage_of_the_storage_is_a_page(cleo: TestClient, outage: Callable[[], None], path: str) -> None:
    outage()

    page = cleo.get(path)

    assert page.status_code == 503
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers
    assert "Back in a moment" in page.text
    assert f'href="{path}">Try again' in page.text


def test_an_outage_looks_like_no_sign_out(cleo: TestClient, outage: Callable[[], None]) -> None:
    outage()

    page = cleo.get("/dashboard").text

    assert "Sign in" not in page
    assert "Nobody was signed out" in page


def test_an_outage_while_signing_in_is_a_page(stranger: TestClient, outage: Callable[[], None]) -> None:
    outage()

    page = stranger.post("/login", data={"username": "cleo", "password": "radish"})

    assert (page.status_code, page.headers["cache-control"]) == (503, "no-store")
    assert "Back in a moment" in page.text
    assert "Try again</a>" not in page.text
    assert "set-cookie" not in page.headers


def test_an_outage_does_not_touch_who_has_no_session(stranger: TestClient, outage: Callable[[], None]) -> None:
    outage()

    assert [stranger.get(path).status_code for path in ("/", "/login", "/docs", "/public/shop.css")] == [200] * 4


def test_an_outage_is_json_for_a_program(cleo: TestClient, outage: Callable[[], None]) -> None:
    outage()

    answer = cleo.get("/api/me", headers=PROGRAM)

    assert answer.status_code == 503
    assert "detail" in answer.json()


def test_after_an_outage_everything_is_as_before(
    cleo: TestClient, outage: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    outage()
    assert cleo.get("/dashboard").status_code == 503

    monkeypatch.undo()

    assert "Hello, Cleo" in cleo.get("/dashboard").text


def test_what_is_missing_stays_missing_in_an_outage(cleo: TestClient, outage: Callable[[], None]) -> None:
    """The page of the error asks who is signed in, and does without an answer."""
    outage()

    page = cleo.get("/public/no-such-file")

    assert page.status_code == 404
    assert "Nothing grows here" in page.text


@pytest.mark.parametrize(
    ("method", "path", "data", "status", "said"),
    [
        ("GET", "/logout", None, 405, "Method Not Allowed"),
        ("GET", "/a//b", None, 400, ""),
        ("POST", "/settings", {"notice": "x" * 141}, 422, "at most 140 characters"),
        ("POST", "/account/devices/end", {}, 422, "Field required"),
    ],
)
def test_what_is_not_understood_is_a_page_too(
    ada: TestClient, method: str, path: str, data: dict[str, str] | None, status: int, said: str
) -> None:
    page = ada.request(method, path, data=data)

    assert page.status_code == status
    assert "Not like this" in page.text
    assert said in page.text
    assert ada.request(method, path, data=data, headers=PROGRAM).json()["detail"]


def test_the_page_of_an_error_has_its_headers(ada: TestClient) -> None:
    assert ada.get("/logout").headers["allow"] == "POST"
