"""docs/contributing.md breaks promises on purpose: each change can be made as shown, and the tests that it names fail."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks


@dataclass(frozen=True)
class Broken:
    """A change as a diff, the command that runs its tests, and the lines about those that fail."""

    change: str
    command: str
    failed: str


def shown() -> list[Broken]:
    found = list(blocks((ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")))
    starts = [at for at, block in enumerate(found) if block.language == "diff"]
    return [Broken(*map(_code, found[at : at + 3])) for at in starts]


def _code(block: Block) -> str:
    return block.code.rstrip("\n")


SHOWN = shown()


def apply(change: str, folder: Path) -> None:
    """Make the change, whose lines stand in the file once."""
    _, name, *lines = change.splitlines()
    file = folder / name.removeprefix("+++ b/")
    before = "\n".join(line[1:] for line in lines if line[0] in " -")
    after = "\n".join(line[1:] for line in lines if line[0] in " +")
    text = file.read_text(encoding="utf-8")
    assert text.count(f"\n{before}\n") == 1
    file.write_text(text.replace(f"\n{before}\n", f"\n{after}\n"), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its tests, which may be changed."""
    for folder in ("fastapi_sessionkit", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_there_is_a_promise_to_break_for_each_journey() -> None:
    assert len(SHOWN) == 3


@pytest.mark.parametrize("broken", SHOWN, ids=lambda broken: broken.command.split()[1])
def test_a_promise_that_is_broken_as_shown_fails_the_tests_named(broken: Broken, copy: Path) -> None:
    program, *arguments = shlex.split(broken.command)
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    apply(broken.change, copy)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = {line.partition(" - ")[0] for line in run.stdout.splitlines()}

    assert program == ".venv/bin/pytest"
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert set(broken.failed.splitlines()) <= lines
