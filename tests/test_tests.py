"""The tests themselves, as docs/contributing.md wants them: a file is read at one sitting, and a name fits a line."""

import ast
from pathlib import Path

FILES = sorted(Path(__file__).parent.rglob("*.py"))


def test_no_file_is_longer_than_six_hundred_lines() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}

    assert {name: length for name, length in lengths.items() if length > 600} == {}


def test_no_name_of_a_test_is_longer_than_seventy_two_characters() -> None:
    names = [
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert [name for name in names if name.startswith("test_") and len(name) > 72] == []
