"""README's application, the quickstart's and the smallest example, over plain http as ``fastapi dev`` serves them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from playwright.sync_api import Browser, Page

from examples.shop.smoke import REPOSITORY, free_port, wait_until_open
from tests.examples.first_applications import FORMS, PROTECTED, code_of


@pytest.fixture(scope="module", params=FORMS)
def served(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The page whose code is served, and the address that it is served at."""
    folder: Path = tmp_path_factory.mktemp("first")
    (folder / "main.py").write_text(code_of(request.param), encoding="utf-8")
    port = free_port()
    environment = {"FASTAPI_ENV": "development", "SESSIONKIT_SECRET_KEY": "k" * 40, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--log-level", "warning"],
        cwd=folder,
        env={**os.environ, **environment},
    )
    try:
        wait_until_open(process, port)
        yield request.param, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_every_protected_page_leads_to_a_form_and_back(browser: Browser, served: tuple[str, str]) -> None:
    name, address = served
    for path in PROTECTED[name]:
        with browser.new_context(base_url=address, java_script_enabled=False) as context:
            page = context.new_page()
            page.goto(path)
            assert page.url == f"{address}/login?next={path}"

            fill(page, FORMS[name][0])

            page.wait_for_url(f"{address}{path}")
            answer = page.reload()
            assert answer is not None
            assert answer.status == 200


def fill(page: Page, form: dict[str, str]) -> None:
    """Type what there are fields for, and press the button."""
    for field, value in form.items():
        if page.locator(f"input[name={field}]").count():
            page.locator(f"input[name={field}]").fill(value)
    page.locator(f"button[value='{form.get('name')}']" if "name" in form else "button").click()
