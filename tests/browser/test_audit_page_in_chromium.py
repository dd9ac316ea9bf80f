"""The page of ``sessionkit matrix --html``, opened as a file in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastapi_sessionkit.audit import Person
from fastapi_sessionkit.cli.pages import matrix_page
from tests.audit.support import audit_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(browser: "Browser", tmp_path: Path) -> Iterator["Page"]:
    people = [Person.read("admin=role:admin"), Person.read("ada=user:ada"), Person.read("anonymous")]
    file = tmp_path / "matrix.html"
    file.write_text(matrix_page(audit_of(tmp_path).matrix(people), people), encoding="utf-8")
    mistakes: list[object] = []

    def note(mistake: object) -> None:  # Playwright wants a function that it can set attributes on
        mistakes.append(mistake)

    opened = browser.new_page()
    opened.on("console", note)
    opened.on("pageerror", note)
    opened.goto(file.as_uri())
    yield opened
    opened.close()
    assert mistakes == []


def paths(page: "Page") -> list[str]:
    return page.locator("tbody th").all_inner_texts()


def test_the_table_is_filtered_by_what_is_typed(page: "Page") -> None:
    page.get_by_role("searchbox").fill("role:admin get")

    assert paths(page) == ["/admin/users", "/users/{user_id}/mail"]
    assert page.get_by_role("status").inner_text() == "(2 shown)"


def test_only_what_is_open_may_be_shown(page: "Page") -> None:
    page.get_by_label("Open only").check()

    assert paths(page) == ["/", "/admin/health", "/login", "/prices", "/public/x"]


def test_a_person_is_sorted_by_and_highlighted(page: "Page") -> None:
    page.get_by_role("button", name="anonymous").click()
    page.get_by_role("button", name="anonymous").click()

    assert page.locator("th[aria-sort=descending]").inner_text().startswith("anonymous")
    assert paths(page)[-1] == "/public/x"
    assert page.locator("tbody td.marked").count() == page.locator("tbody tr").count()


def test_operations_are_grouped_by_tag(page: "Page") -> None:
    page.get_by_label("Group by tag").check()

    assert page.locator("tr.group").all_inner_texts() == [
        "frontend", "mount", "operation", "page", "pages", "route", "static", "websocket"
    ]  # fmt: skip


def colour_of(page: "Page", name: str) -> str:
    return str(page.evaluate(f"getComputedStyle(document.body).{name}"))


def test_it_is_dark_where_the_reader_wants_that(page: "Page") -> None:
    page.emulate_media(color_scheme="light")
    light = colour_of(page, "backgroundColor"), colour_of(page, "color")
    page.emulate_media(color_scheme="dark")

    assert (colour_of(page, "backgroundColor"), colour_of(page, "color")) == ("rgb(20, 24, 29)", "rgb(230, 233, 237)")
    assert light != ("rgb(20, 24, 29)", "rgb(230, 233, 237)")


def test_on_paper_it_is_black_on_white_and_has_all_rows_and_no_filters(page: "Page") -> None:
    page.emulate_media(media="print", color_scheme="dark")

    assert (colour_of(page, "backgroundColor"), colour_of(page, "color")) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    assert page.get_by_role("searchbox").is_hidden()
    frame = page.locator(".frame")
    assert frame.evaluate("frame => frame.scrollHeight <= frame.clientHeight")
