"""``examples/shop``: ``/docs``: whose name operations are tried out in, and where to sign in."""

import re

import pytest
from fastapi.testclient import TestClient

from tests.examples.conftest import Visit


def test_a_stranger_reads_where_to_sign_in(stranger: TestClient) -> None:
    page = stranger.get("/docs").text

    assert "Nobody is signed in" in page
    assert 'href="/login?next=/docs"' in page


def test_signing_in_from_there_leads_back(stranger: TestClient) -> None:
    answer = stranger.post("/login?next=/docs", data={"username": "cleo", "password": "radish"})

    assert answer.headers["location"] == "/docs"


@pytest.mark.parametrize(
    ("username", "shown"), [("cleo", "Cleo Adeyemi</a>, customer"), ("ada", "Ada Moreau</a>, admin")]
)
def test_whoever_is_signed_in_reads_in_whose_name(visit: Visit, username: str, shown: str) -> None:
    page = visit(username).get("/docs")

    assert shown in page.text
    assert "Nobody is signed in" not in page.text
    assert page.headers["cache-control"] == "no-store"


def test_everything_is_loaded_from_the_shop_itself(stranger: TestClient, cleo: TestClient) -> None:
    for browser, files in ((stranger, 5), (cleo, 6)):
        page = browser.get("/docs").text
        loaded = re.findall(r'<(?:link|script)[^>]+(?:src|href)="([^"]+)"', page)

        assert len(loaded) == files
        assert all(browser.get(address).status_code == 200 for address in loaded)


def test_without_scripts_it_says_where_the_description_is(stranger: TestClient) -> None:
    assert 'This page needs JavaScript. What it shows stands in <a href="/openapi.json">' in stranger.get("/docs").text


def test_authorize_explains_itself(stranger: TestClient) -> None:
    schemes = stranger.get("/openapi.json").json()["components"]["securitySchemes"]

    assert list(schemes) == ["session_cookie"]
    assert "nothing to fill in" in schemes["session_cookie"]["description"]
    assert "(/login?next=/docs)" in schemes["session_cookie"]["description"]


def test_it_says_what_is_answered_where_something_is_missing(stranger: TestClient) -> None:
    paths = stranger.get("/openapi.json").json()["paths"]

    assert set(paths["/api/products/{slug}"]["get"]["responses"]) == {"200", "400", "404", "422"}
    assert set(paths["/api/products/{slug}"]["patch"]["responses"]) == {"200", "400", "401", "403", "404", "422"}
    assert set(paths["/api/orders"]["post"]["responses"]) == {"201", "401", "403", "409"}
