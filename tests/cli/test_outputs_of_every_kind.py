"""What is printed where the output is a pipe of another encoding, and files that another system has written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import MAIN, Project


def printed(folder: Path, *arguments: str, encoding: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "fastapi_sessionkit", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    return result.stdout.decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_an_output_can_not_show_is_spelled_out(encoding: str, project: Project) -> None:
    project.write("main.py", MAIN.replace('role="editor"', 'role="\u7ba1\U0001f512"'))

    assert "role:\\u7ba1\\U0001f512" in printed(project.folder, "routes", encoding=encoding)
    operations = json.loads(printed(project.folder, "routes", "--json", encoding=encoding))
    assert "role:\u7ba1\U0001f512" in str(operations)


def test_a_lock_that_windows_has_written_is_equal(project: Project) -> None:
    project.run("lock")
    lock = Path("access.lock")
    assert b"\r" not in lock.read_bytes()
    lock.write_bytes(b"\xef\xbb\xbf" + lock.read_bytes().replace(b"\n", b"\r\n"))

    assert project.run("lock", "--check").stdout == "Nothing changed\n"
