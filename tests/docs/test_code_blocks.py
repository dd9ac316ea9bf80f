"""Every Python block in README and docs runs: blocks of one page share a namespace, from top to bottom.

Those of the course are parts of files that run: ``test_learn.py``.
"""

import inspect
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import anyio
import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks, name
from tests.support import SECRET


def python_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page.read_text(encoding="utf-8")) if block.language == "python"]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """Where a page's code lives; a real module, because Pydantic and FastAPI look annotations up in theirs.

    What a page sets in the environment, and at which level it has the package log, ends with it.
    """
    logger = logging.getLogger("fastapi_sessionkit")
    level = logger.level
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    with patch.dict(os.environ, {"SESSIONKIT_SECRET_KEY": SECRET}):
        yield module
    logger.setLevel(level)


def run(page: Path, block: Block, module: ModuleType) -> None:
    """Run a block with the page's own line numbers in tracebacks, then the tests that it defines."""
    code = "\n" * (block.line - 1) + block.code
    before = dict(vars(module))
    exec(compile(code, str(page), "exec"), vars(module))  # noqa: S102 (the repository's own documentation)
    for key, value in vars(module).copy().items():
        if key.startswith("test_") and before.get(key) is not value:
            call(value)


def call(test: object) -> None:
    if inspect.iscoroutinefunction(test):
        anyio.run(test)
    elif inspect.isfunction(test):
        test()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if python_blocks(page) and page.parent.name != "learn"], ids=name
)
def test_code_blocks_of_a_page_run(page: Path, module: ModuleType) -> None:
    for block in python_blocks(page):
        if block.not_run is None and block.run_by is None:
            run(page, block, module)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_python_block_hides_from_the_test_above_by_its_spelling(page: Path) -> None:
    languages = {block.language for block in blocks(page.read_text(encoding="utf-8"))}

    assert languages <= {"python", "sh", "ts", "text", "json", "toml", "yaml", "diff", "mermaid"}


def test_a_block_that_another_test_runs_names_that_test() -> None:
    named = [block.run_by for page in PAGES for block in python_blocks(page) if block.run_by]

    assert named
    for test in named:
        assert "documented(" in (ROOT / test).read_text(encoding="utf-8"), test


def test_few_blocks_are_exempt() -> None:
    exempt = [(name(page), block.line) for page in PAGES for block in python_blocks(page) if block.not_run]

    assert len(exempt) <= 2, exempt
