"""The tests that the table of the standard names exist, and where they were to run they have passed."""

import re

import pytest

from tests.docs.pages import ROOT
from tests.support import PASSED, is_whole_suite

_NAMED = re.compile(r"`(tests/[\w./]+\.py::test_\w+)`")
_LINE = re.compile(r"^\| (\d+\.\d+\.\d+) \|", re.MULTILINE)
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(_NAMED.findall(PAGE)))

WANTED = [
    *(f"7.{part}.{line}" for part, lines in enumerate((3, 4, 2, 5, 3, 2), 1) for line in range(1, lines + 1)),
    *(f"3.3.{line}" for line in range(1, 6)),
    *(f"3.5.{line}" for line in range(1, 9)),
    *("3.7.2", "4.4.2", "8.2.1", "8.3.1", "8.3.2"),
    *(f"9.1.{line}" for line in range(1, 4)),
    *(f"9.2.{line}" for line in range(1, 5)),
]


def test_the_table_has_every_line_of_the_standard_that_is_about_this_library() -> None:
    assert sorted(_LINE.findall(PAGE)) == sorted(WANTED)


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_the_table_names_exists(named: str) -> None:
    file, _, function = named.partition("::")
    assert re.search(rf"^(async )?def {function}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_last_of_all_what_the_table_names_has_passed(request: pytest.FixtureRequest) -> None:
    """Of a part of the suite, what was selected; of the whole suite, everything.

    Where several processes share the files, the one that hears of all results says it: ``tests/conftest.py``.
    """
    if hasattr(request.config, "workerinput"):
        return
    selected = {item.nodeid.partition("[")[0] for item in request.session.items}
    wanted = set(NAMED) if is_whole_suite(request.config) else selected & set(NAMED)
    assert wanted <= PASSED
