"""``examples/shop``: who gets in where, and what the others see."""

import re

import pytest
from fastapi.testclient import TestClient

from examples.shop.people import PEOPLE
from tests.examples.conftest import Visit

TO_LOGIN = 302

# What each path answers to: nobody, the customer, the editor, the admin.
PAGES = {
    "/": (200, 200, 200, 200),
    "/docs": (200, 200, 200, 200),
    "/openapi.json": (200, 200, 200, 200),
    "/public/shop.css": (200, 200, 200, 200),
    "/public/docs/swagger-ui.css": (200, 200, 200, 200),
    "/dashboard": (TO_LOGIN, 200, 200, 200),
    "/account/devices": (TO_LOGIN, 200, 200, 200),
    "/almanac": (TO_LOGIN, 403, 200, 200),
    "/editor": (TO_LOGIN, 403, 200, 200),
    "/settings": (TO_LOGIN, 403, 200, 200),
    "/admin": (TO_LOGIN, 403, 403, 200),
    "/admin/orders": (TO_LOGIN, 403, 403, 200),
    "/api/products": (200, 200, 200, 200),
    "/api/products/pea": (200, 200, 200, 200),
    "/api/me": (TO_LOGIN, 200, 200, 200),
    "/api/orders": (TO_LOGIN, 200, 200, 200),
    "/api/almanac": (TO_LOGIN, 403, 200, 200),
    "/api/admin/orders": (TO_LOGIN, 403, 403, 200),
    "/no-such-page": (TO_LOGIN, 404, 404, 404),
}

CHANGES = {
    "/upgrade": (303, 303, 303, 303),
    "/order": (303, 303, 303, 303),
    "/account/devices/end-others": (303, 303, 303, 303),
    "/settings": (303, 403, 200, 200),
    "/editor/rain/publish": (303, 403, 303, 303),
    "/admin": (303, 403, 403, 405),
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_open_to_whom_it_is_for(visit: Visit, path: str) -> None:
    answers = tuple(visit(username).get(path).status_code for username in ("", "cleo", "emil", "ada"))

    assert answers == PAGES[path]


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_is_open_to_whom_it_is_for(visit: Visit, path: str) -> None:
    answers = tuple(visit(username).post(path).status_code for username in ("", "cleo", "emil", "ada"))

    assert answers == CHANGES[path]


@pytest.mark.parametrize("path", [path for path, answers in PAGES.items() if answers[0] == TO_LOGIN])
def test_a_stranger_is_sent_to_sign_in_and_back(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).headers["location"] == f"/login?next={path}"


def test_a_program_gets_json_instead_of_a_page(stranger: TestClient, cleo: TestClient) -> None:
    program = {"accept": "application/json"}

    assert stranger.get("/admin", headers=program).json() == {"detail": "Not authenticated"}
    assert cleo.get("/admin", headers=program).json() == {"detail": "Requires role:admin"}
    assert cleo.get("/nowhere", headers=program).json() == {"detail": "Not Found"}


def test_a_refused_browser_gets_a_friendly_page(cleo: TestClient) -> None:
    page = cleo.get("/admin")

    assert page.headers["content-type"].startswith("text/html")
    assert "This gate is locked" in page.text
    assert "Cleo Adeyemi" in page.text
    assert "Requires role:admin" in page.text


def test_only_at_the_almanac_does_the_friendly_page_offer_membership(cleo: TestClient) -> None:
    offer = 'action="/upgrade"'

    assert offer in cleo.get("/almanac").text
    assert offer not in cleo.get("/admin").text


def test_csrf_shows_the_friendly_page_and_changes_nothing(cleo: TestClient) -> None:
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert cleo.post("/upgrade", headers=headers).status_code == 403
    assert cleo.get("/almanac").status_code == 403


@pytest.mark.parametrize(
    ("username", "places"),
    [
        ("", {"/", "/almanac", "/docs"}),
        ("cleo", {"/", "/almanac", "/docs"}),
        ("emil", {"/", "/almanac", "/docs", "/editor", "/settings"}),
        ("ada", {"/", "/almanac", "/docs", "/editor", "/settings", "/admin"}),
    ],
)
def test_the_navigation_shows_the_doors_that_are_open_and_the_almanac(
    visit: Visit, username: str, places: set[str]
) -> None:
    navigation = re.search(r"<nav.*?</nav>", visit(username).get("/").text, re.DOTALL)

    assert navigation is not None
    assert set(re.findall(r'<a href="([^"]+)"', navigation[0])) == places


@pytest.mark.parametrize(("username", "locked"), [("cleo", 4), ("emil", 1), ("ada", 0)])
def test_the_dashboard_counts_the_locked_doors(visit: Visit, username: str, locked: int) -> None:
    assert visit(username).get("/dashboard").text.count('<td class="no">') == locked


@pytest.mark.parametrize("username", PEOPLE)
@pytest.mark.parametrize("path", [path for path in PAGES if not path.startswith(("/api", "/public", "/docs", "/open"))])
def test_no_cache_keeps_a_page_made_for_somebody(visit: Visit, username: str, path: str) -> None:
    assert visit(username).get(path).headers["cache-control"] == "no-store"
