"""Closing an account in a browser that was signed in long ago: it asks for the password, and goes on from there."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.shop.smoke import free_port, running_shop

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from playwright.sync_api import Browser, Page, expect


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def address(browser: Browser, folder: Path) -> Iterator[str]:
    with running_shop(free_port(), folder) as address:
        yield address


def test_closing_the_account_asks_for_the_password_again(page: Page, folder: Path) -> None:
    page.goto("/login")
    page.get_by_role("button", name="Sign in as Cleo").click()
    page.wait_for_url("**/dashboard")
    with closing(sqlite3.connect(folder / "shop.sqlite3")) as database, database:
        database.execute(
            "UPDATE sessionkit_sessions SET authenticated_at = authenticated_at - 3600, version = version + 1"
        )

    page.get_by_role("link", name="Close your account").click()
    expect(page).to_have_url(re.compile(r"/account/confirm\?next=/account/close$"))
    page.get_by_label("Password").fill("turnip")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("not the password")
    page.get_by_label("Password").fill("radish")
    page.get_by_role("button", name="Go on").click()

    expect(page).to_have_url(re.compile(r"/account/close$"))
    page.get_by_role("button", name="Close the account").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    page.goto("/login")
    page.get_by_role("button", name="Sign in as Cleo").click()
    expect(page.get_by_role("alert")).to_be_visible()
