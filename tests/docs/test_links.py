"""Links within the repository lead somewhere. MkDocs checks its own pages too; README it doesn't see."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, links, name


def is_internal(target: str) -> bool:
    return "://" not in target and not target.startswith("mailto:")


def anchors(page: Path) -> set[str]:
    """The ids that the page's headings get, from MkDocs and from code hosts alike where headings are plain words."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(text):
        text = text.replace(block.code, "")
    headings = [line.lstrip("#") for line in text.splitlines() if line.startswith("#")]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


INTERNAL = [
    pytest.param(page, target, id=f"{name(page)}: {target}")
    for page in PAGES
    for target in sorted(set(links(page.read_text(encoding="utf-8"))))
    if is_internal(target)
]


@pytest.mark.parametrize(("page", "target"), INTERNAL)
def test_internal_link_leads_to_a_file_and_a_heading(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page

    assert file.is_relative_to(ROOT)
    assert file.exists()
    assert not anchor or file.suffix != ".md" or anchor in anchors(file)
