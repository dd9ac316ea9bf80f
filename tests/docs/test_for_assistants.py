"""What coding assistants read: ``llms.txt`` on the site, and the skill in the package. The skill's code runs with the pages'."""

import re

import pytest

import fastapi_sessionkit
from tests.docs.pages import ROOT, SKILL, links

DOCS = ROOT / "docs"
LLMS = (DOCS / "llms.txt").read_text(encoding="utf-8")
TEXT = SKILL.read_text(encoding="utf-8")


def sources(address: str) -> list[str]:
    """The pages that may be served at an address of the site, as MkDocs makes it."""
    return [f"{address.rstrip('/')}.md", f"{address}index.md"]


@pytest.mark.parametrize("address", links(LLMS))
def test_llms_txt_names_pages_that_are_there(address: str) -> None:
    assert address.endswith("/")
    assert any((DOCS / source).is_file() for source in sources(address))


def test_llms_txt_begins_as_its_readers_expect() -> None:
    title, _, summary = LLMS.splitlines()[:3]

    assert title == "# fastapi_sessionkit"
    assert summary.startswith("> ")


def test_the_skill_is_named_for_its_folder_and_says_when_to_use_it() -> None:
    _, head, _ = TEXT.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines())

    assert fields["name"] == SKILL.parent.name
    assert "Use when" in fields["description"]
    assert len(fields["description"]) <= 1_024


def test_what_llms_txt_imports_is_public() -> None:
    (names,) = re.findall(r"`from fastapi_sessionkit import ([^`]+)`", LLMS)

    assert set(names.split(", ")) <= set(fastapi_sessionkit.__all__)


def test_the_skill_is_short() -> None:
    assert len(TEXT.splitlines()) < 200
