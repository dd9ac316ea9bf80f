"""What pages are written with: headings that stand alone, and nothing that is said twice."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_blank_line_stands_before_each_heading(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks(text):
        text = text.replace(block.code, "")
    lines = ["", *text.splitlines()]

    assert [line for before, line in pairwise(lines) if line.startswith("#") and before] == []


def test_no_entry_of_the_changelog_stands_twice() -> None:
    entries = (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8").split("\n- ")

    assert [entry for entry, times in Counter(map(str.strip, entries)).items() if times > 1] == []
