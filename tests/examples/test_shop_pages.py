"""``examples/shop``: its pages as documents: they need no other host, and everybody can read them."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import examples.shop
from examples.shop.pages.page import price

HERE = Path(examples.shop.__file__).parent
FILES = [*HERE.glob("pages/templates/*.html"), *HERE.glob("static/*")]
PATHS = [
    "/",
    "/dashboard",
    "/account/devices",
    "/account/close",
    "/account/confirm",
    "/almanac",
    "/editor",
    "/settings",
    "/admin",
    "/admin/orders",
    "/no-such-page",
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_page_asks_another_host_for_anything(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")

    assert not re.search(r"https?://|url\(|@import", text)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_a_language_a_title_and_one_heading(ada: TestClient, path: str) -> None:
    page = ada.get(path).text

    assert '<html lang="en">' in page
    assert re.search(r"<title>\S.+ · Furrow</title>", page)
    assert page.count("<h1") == 1


@pytest.mark.parametrize("path", PATHS)
def test_no_two_elements_of_a_page_share_an_id(ada: TestClient, path: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', ada.get(path).text)

    assert len(ids) == len(set(ids))


def test_every_field_of_a_form_has_a_label(stranger: TestClient, ada: TestClient) -> None:
    for page in (stranger.get("/login").text, ada.get("/settings").text):
        fields = set(re.findall(r'<(?:input|textarea) id="([^"]+)"', page))

        assert fields
        assert fields == set(re.findall(r'<label for="([^"]+)"', page))


@pytest.mark.parametrize("path", ["/", "/almanac", "/editor", "/settings", "/admin", "/dashboard"])
def test_the_navigation_says_where_one_is(ada: TestClient, path: str) -> None:
    assert re.search(rf'href="{path}" aria-current="page"', ada.get(path).text)


@pytest.mark.parametrize(("cents", "shown"), [(0, "€0.00"), (5, "€0.05"), (420, "€4.20"), (123_456, "€1234.56")])
def test_prices_are_shown_in_euros(cents: int, shown: str) -> None:
    assert price(cents) == shown
