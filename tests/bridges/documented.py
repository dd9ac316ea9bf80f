"""What the page on ``request.session`` says to write for a library."""

import sys
from types import ModuleType
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks
from tests.support import SECRET

PAGE = ROOT / "docs/request-session.md"


def documented(test: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the one block that this test runs, once it has run."""
    path = f"tests/bridges/{test}"
    (block,) = (block for block in blocks(PAGE.read_text(encoding="utf-8")) if block.run_by == path)
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", SECRET)
    module = ModuleType("documented_block")  # where Pydantic and FastAPI look annotations up
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = "\n" * (block.line - 1) + block.code
    exec(compile(code, str(PAGE), "exec"), vars(module))  # noqa: S102 (the repository's own documentation)
    return vars(module)
