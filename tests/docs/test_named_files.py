"""Files of the repository that a page names are there."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, name

_NAMED = re.compile(r"`((?:tests|docs|examples|fastapi_sessionkit|\.ci)/[\w./-]*\w)/?`")

NAMED = sorted({(name(page), file) for page in PAGES for file in _NAMED.findall(page.read_text(encoding="utf-8"))})


@pytest.mark.parametrize(("page", "file"), NAMED)
def test_a_file_that_a_page_names_is_there(page: str, file: str) -> None:
    assert (ROOT / file).exists()
