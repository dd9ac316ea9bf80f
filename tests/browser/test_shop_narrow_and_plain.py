"""The shop in narrow windows, and in browsers that run no scripts."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from playwright.sync_api import Browser, Locator, Page, expect

WIDTHS = [320, 390, 768]
PAGES = ["/", "/dashboard", "/account/devices", "/admin", "/almanac", "/logout", "/no-such-page"]


@pytest.fixture
def plain(browser: Browser, address: str) -> Iterator[Page]:
    """A window of a browser without JavaScript."""
    with browser.new_context(base_url=address, java_script_enabled=False) as context:
        yield context.new_page()


def sign_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_role("button", name=f"Sign in as {name}").click()
    page.wait_for_url("**/dashboard")


def is_whole(link: Locator, width: int) -> bool:
    """Whether one sees all of it, and it is what one clicks on there."""
    box = link.bounding_box()
    assert box is not None
    link.click(trial=True)
    return box["x"] >= 0 and box["x"] + box["width"] <= width


def in_each_width(page: Page) -> Iterator[int]:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        yield width


@pytest.mark.parametrize(("name", "places"), [("", 3), ("Cleo", 3), ("Emil", 5), ("Ada", 6)])
def test_no_place_of_the_navigation_is_cut_off(page: Page, name: str, places: int) -> None:
    if name:
        sign_in(page, name)

    page.goto("/")

    header = page.get_by_role("banner")
    navigation = header.get_by_role("navigation")
    expect(navigation.get_by_role("link")).to_have_count(places)
    reached = [*navigation.get_by_role("link").all(), *header.get_by_role("button").all()]
    for width in in_each_width(page):
        assert all(is_whole(link, width) for link in reached)
        assert navigation.evaluate("nav => nav.scrollWidth <= nav.clientWidth")


@pytest.mark.parametrize("name", ["", "Cleo", "Ada"])
def test_no_page_is_wider_than_its_window(page: Page, name: str) -> None:
    if name:
        sign_in(page, name)

    for path in (*PAGES, "/login", "/docs"):
        page.goto(path)

        for width in in_each_width(page):
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_without_scripts_one_signs_in_buys_and_signs_out(plain: Page) -> None:
    plain.goto("/dashboard")
    plain.get_by_role("button", name="Sign in as Cleo").click()
    expect(plain).to_have_url(re.compile(r"/dashboard$"))

    plain.goto("/")
    plain.get_by_role("button", name="Add to basket Chioggia").click()
    plain.goto("/dashboard")
    plain.get_by_role("button", name="Place the order").click()
    expect(plain.get_by_role("heading", name="Your orders")).to_be_visible()

    plain.get_by_role("button", name="Sign out").click()
    plain.goto("/dashboard")
    expect(plain).to_have_url(re.compile(r"/login\?next=/dashboard$"))


def test_without_scripts_the_api_says_where_its_description_is(plain: Page) -> None:
    plain.goto("/docs")

    expect(plain.get_by_text("This page needs JavaScript")).to_be_visible()
    expect(plain.get_by_role("link", name="Sign in")).to_be_visible()


@pytest.mark.parametrize(("remembered", "lifetime"), [(False, timedelta(hours=8)), (True, timedelta(days=30))])
def test_a_sign_in_by_one_click_is_remembered_if_wished(plain: Page, *, remembered: bool, lifetime: timedelta) -> None:
    plain.goto("/login")
    plain.get_by_label("Keep me signed in").set_checked(remembered)
    plain.get_by_role("button", name="Sign in as Cleo").click()

    ends = plain.get_by_text("Ends, unless used").locator("xpath=..").locator("time").get_attribute("datetime")
    assert ends is not None
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    assert lifetime - timedelta(hours=1) < left <= lifetime


def test_enter_in_the_form_is_the_form_and_no_one_click(plain: Page) -> None:
    """The first button of a form is the one that Enter means."""
    plain.goto("/login")
    plain.get_by_label("Name", exact=True).fill("emil")
    plain.get_by_label("Password", exact=True).fill("trellis")
    plain.keyboard.press("Enter")

    expect(plain.get_by_role("heading", level=1)).to_have_text("Hello, Emil.")


def test_a_click_on_one_of_the_three_counts_whatever_stands_in_the_fields(plain: Page) -> None:
    plain.goto("/login")
    plain.get_by_label("Name", exact=True).fill("emil")
    plain.get_by_role("button", name="Sign in as Cleo").click()

    expect(plain.get_by_role("heading", level=1)).to_have_text("Hello, Cleo.")
