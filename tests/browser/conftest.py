"""The shop's real server and a real browser; skipped, with the reason, where there is none."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from examples.shop.smoke import free_port, running_shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 60_000
"""Milliseconds that a page may take to show what is expected of it: slow machines take some."""


# Not for the whole session: while Playwright runs, no other test of this process can start an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    from playwright.sync_api import expect

    from tests.browser.chromium import installed_chromium, running_chromium

    expect.set_options(timeout=PATIENCE)
    if installed_chromium() is None:
        pytest.skip("no Chromium is installed")
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_shop(free_port(), tmp_path_factory.mktemp("shop")) as address:
        yield address


@pytest.fixture
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    """A window of its own, as a person opens it for the first time. A script's error fails the test."""
    errors: list[object] = []

    def note(error: object) -> None:  # Playwright wants a function that it can set attributes on
        errors.append(error)

    with browser.new_context(base_url=address) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", note)
        yield page
    assert errors == []
