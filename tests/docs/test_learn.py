"""The course in docs/learn: each page shows what its file changes, and what one sees when one does what it says."""

import json
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import ndiff
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.docs.pages import ROOT, blocks
from tests.docs.walking import Terminal, Visit, Walker, walk_of

PAGES = sorted((ROOT / "docs" / "learn").glob("*.md"))
NUMBERS = range(1, len(PAGES) + 1)
SITE = "http://127.0.0.1:8000"


def text_of(number: int) -> str:
    return PAGES[number - 1].read_text(encoding="utf-8")


def file_of(number: int) -> Path:
    return ROOT / "examples" / "learn" / f"step_{number}.py"


def lines_of(number: int) -> list[str]:
    """The lines of a step's file behind the docstring that names its page; before the first there is nothing."""
    return file_of(number).read_text(encoding="utf-8").splitlines()[1:] if number else []


def shown_code(number: int) -> list[str]:
    return [
        block.code for block in blocks(text_of(number)) if block.language == "python" and "--8<--" not in block.code
    ]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the reader has ``main.py``, in a terminal that has the settings of the first page."""
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", secrets.token_urlsafe(48))
    monkeypatch.setenv("FASTAPI_ENV", "development")
    monkeypatch.delenv("SESSIONS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])  # the command line puts the folder there
    return tmp_path


@contextmanager
def serving(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walker]:
    """Somebody who has a step's file as ``main.py`` and serves it."""
    shutil.copy(file_of(number), folder / "main.py")
    spec = spec_from_file_location("main", folder / "main.py")
    assert spec is not None
    assert spec.loader is not None
    main = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "main", main)  # where Pydantic and FastAPI look annotations up
    spec.loader.exec_module(main)
    navigating = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
    with TestClient(main.app, base_url=SITE, headers=navigating) as browser:
        yield Walker(browser, TestClient(main.app, base_url=SITE, follow_redirects=False))


def follow(walker: Walker, each: Visit | Terminal) -> None:
    """Do what a page says, and see what it shows."""
    if isinstance(each, Visit):
        assert walker.visit(each.does) == (each.at, each.sees)
        return
    answers = [walker.run(command).rstrip("\n") for command in each.commands]
    if each.answer is not None:
        wanted, got = each.answer.splitlines(), "\n".join(filter(None, answers)).splitlines()
        assert matching(wanted, got if wanted[0][:5] != "HTTP/" else only(wanted, got)) == wanted


def only(wanted: list[str], got: list[str]) -> list[str]:
    """The lines that a page shows of an answer's head, which has more."""
    return [line for line in got if any(matches(each, line) for each in wanted)]


def matching(wanted: list[str], got: list[str]) -> list[str]:
    """What was got, in the page's words where it says the same."""
    return [next((each for each in wanted if matches(each, line)), line) for line in got]


def matches(wanted: str, line: str) -> bool:
    """Whether a line is as a page shows it; three dots stand for what is another each time."""
    return re.fullmatch(re.escape(wanted).replace("…", "[^;]+"), line) is not None


@pytest.mark.parametrize("number", NUMBERS)
def test_what_a_page_shows_is_in_its_file(number: int) -> None:
    text = file_of(number).read_text(encoding="utf-8")

    for code in shown_code(number):
        assert f"\n{code}" in text


@pytest.mark.parametrize("number", NUMBERS)
def test_a_page_shows_every_line_that_its_file_adds(number: int) -> None:
    shown = {line for code in shown_code(number) for line in code.splitlines()}
    added = {line[2:] for line in ndiff(lines_of(number - 1), lines_of(number)) if line.startswith("+ ")}

    assert added - shown <= {""}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_page_has_the_whole_of_its_file(number: int) -> None:
    assert f'--8<-- "examples/learn/step_{number}.py"' in text_of(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_one_sees_what_a_page_shows(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before a page's code is about the application as the last page left it."""
    text = text_of(number)
    code = min(block.line for block in blocks(text) if block.language == "python")
    walk = walk_of(text)
    before = [each for each in walk if each.line < code]
    if number == NUMBERS[-1]:
        monkeypatch.delenv("FASTAPI_ENV")
    for step, todo in ((number - 1, before), (number, walk[len(before) :])):
        if todo:
            with serving(step, folder, monkeypatch) as walker:
                for each in todo:
                    follow(walker, each)

    assert walk


def test_the_schema_of_the_api_is_as_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [shown] = [json.loads(block.code) for block in blocks(text_of(4)) if block.language == "json"]
    with serving(4, folder, monkeypatch) as walker:
        walker.run(f"curl -c jar -d username=bob -d 'password=battery staple' {SITE}/login")
        schema = json.loads(walker.run(f"curl -b jar {SITE}/openapi.json"))

        assert shown.items() <= schema["paths"]["/api/notices"]["post"].items()


@pytest.mark.parametrize("number", NUMBERS[1:])
def test_nothing_is_found_from_the_second_page_on(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(number, folder, monkeypatch) as walker:
        assert walker.run("sessionkit check main.py") == "0 findings, 0 accepted\n"
