"""``examples/accounts`` as people use it: a letter, another device, a new role, another site's account, and the end."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.shop.smoke import REPOSITORY, free_port, wait_until_open

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from playwright.sync_api import Browser, Page, expect

PASSWORD = "correct horse battery"
SAME_PAGE = "window.stayed = true"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("accounts")


@pytest.fixture(scope="module")
def address(browser: Browser, folder: Path) -> Iterator[str]:
    port, provider = free_port(), free_port()
    environment = {"ACCOUNTS_PORT": str(port), "ACCOUNTS_PROVIDER_PORT": str(provider), "ACCOUNTS_FOLDER": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.accounts"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_open(process, port)
        wait_until_open(process, provider)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def elsewhere(page: Page, address: str) -> Iterator[Page]:
    """A second device."""
    browser = page.context.browser
    assert browser is not None
    with browser.new_page(base_url=address, user_agent="A telephone") as other:
        yield other


def sign_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/account")


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_a_letter_leads_to_an_account(page: Page, folder: Path) -> None:
    page.goto("/")
    page.get_by_role("link", name="Register").click()
    page.get_by_label("Email").fill("eve@example.com")
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_role("status")).to_contain_text("on its way to eve@example.com")

    page.goto((folder / "outbox.txt").read_text().split()[-1])
    page.get_by_label("Name").fill("Eve Ito")
    page.get_by_label("Password").fill("a password of hers")
    page.get_by_role("button", name="Create the account").click()

    heading(page, "Your account")
    expect(page.get_by_role("link", name="Eve Ito")).to_be_visible()


def test_a_device_is_ended_without_leaving_the_page(page: Page, elsewhere: Page) -> None:
    sign_in(elsewhere, "bob")
    sign_in(page, "bob")
    page.evaluate(SAME_PAGE)

    device = page.get_by_role("listitem").filter(has_text="A telephone")
    device.get_by_role("button", name="End").click()

    expect(device).to_have_count(0)
    expect(page.get_by_text("this device")).to_be_visible()
    assert page.evaluate("window.stayed") is True
    elsewhere.reload()
    expect(elsewhere).to_have_url(re.compile(r"/login\?next=/account$"))


def test_a_click_of_htmx_leads_to_the_sign_in_once_the_session_has_ended(page: Page, elsewhere: Page) -> None:
    sign_in(elsewhere, "bob")
    sign_in(page, "bob")
    elsewhere.reload()
    elsewhere.get_by_role("button", name="End all others").click()
    expect(elsewhere.get_by_role("listitem")).to_have_count(1)

    page.get_by_role("button", name="End all others").click()

    expect(page).to_have_url(re.compile(r"/login\?next=/account$"))


def test_it_all_works_without_a_script(page: Page, address: str) -> None:
    sign_in(page, "bob")
    browser = page.context.browser
    assert browser is not None
    with browser.new_page(base_url=address, java_script_enabled=False) as plain:
        sign_in(plain, "bob")
        plain.get_by_role("button", name="End all others").click()

        expect(plain.get_by_role("listitem")).to_have_count(1)
    page.reload()
    heading(page, "Sign in")


def test_a_new_role_is_there_with_the_next_click(page: Page, elsewhere: Page) -> None:
    sign_in(elsewhere, "bob")
    sign_in(page, "ada")
    expect(elsewhere.get_by_role("link", name="People")).to_have_count(0)

    page.get_by_role("link", name="People").click()
    page.evaluate(SAME_PAGE)
    row = page.get_by_role("listitem").filter(has_text="bob@example.com")
    row.get_by_label("Role of Bob Keller").select_option("admin")
    row.get_by_role("button", name="Save").click()
    expect(row.locator("option[selected]")).to_have_text("admin")

    assert page.evaluate("window.stayed") is True
    elsewhere.reload()
    elsewhere.get_by_role("link", name="People").click()
    heading(elsewhere, "People")


def test_an_account_elsewhere_opens_one_here(page: Page) -> None:
    page.goto("/account")
    page.get_by_role("link", name="Sign in with Town ID").click()
    heading(page, "Town ID")
    page.get_by_role("button", name="I am Dan Okafor").click()

    heading(page, "Your account")
    expect(page.get_by_role("main")).to_contain_text("dan@example.com")


def test_the_account_is_deleted_once_the_password_was_asked_for(page: Page, folder: Path) -> None:
    sign_in(page, "bob")
    with closing(sqlite3.connect(folder / "accounts.sqlite3")) as database, database:
        database.execute(
            "UPDATE sessionkit_sessions SET authenticated_at = authenticated_at - 3600, version = version + 1"
        )

    page.get_by_role("link", name="Delete your account").click()
    expect(page).to_have_url(re.compile(r"/account/confirm\?next=/account/delete$"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Delete the account of bob@example.com").click()

    heading(page, "Welcome")
    page.goto("/login")
    page.get_by_label("Email").fill("bob@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()


def test_nothing_is_asked_of_another_host_and_fits_on_a_phone(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 360, "height": 640})
    sign_in(page, "ada")

    for path in ("/", "/account", "/people", "/account/confirm", "/account/delete", "/nowhere"):
        page.goto(path)

        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    assert all(url.startswith(address) for url in asked)
