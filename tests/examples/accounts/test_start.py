"""``python -m examples.accounts``: what a start leaves behind and what the next one finds. And how long it all is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

import examples.accounts
from examples.accounts.__main__ import kept_key, prepare
from examples.accounts.users import User, database_session, everybody
from tests.examples.accounts.conftest import Visit

HERE = Path(examples.accounts.__file__).parent
TEMPLATES = sorted(HERE.glob("templates/*.html"))


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key.secret"
    key = kept_key(file)

    assert len(key) == 64
    assert kept_key(file) == key
    assert file.stat().st_mode & 0o777 == 0o600


def test_two_people_are_there_at_the_first_start_and_nobody_comes_back(visit: Visit) -> None:
    async def people_after(*gone: str) -> list[str]:
        async with database_session() as database:
            for user_id in gone:
                await database.delete(await database.get_one(User, user_id))
            await database.commit()
        await prepare()
        async with database_session() as database:
            return [user.email for user in await everybody(database)]

    assert anyio.run(people_after, "ada", "bob") == ["cleo@example.com"]
    assert anyio.run(people_after, "cleo") == ["ada@example.com", "bob@example.com"]
    ada = {"email": "ada@example.com", "password": "correct horse battery"}
    assert visit().post("/login", data=ada).status_code == 303


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_no_page_asks_another_host_for_anything(file: Path) -> None:
    assert "//" not in file.read_text(encoding="utf-8")


def test_it_is_read_at_one_go() -> None:
    """Lines of Python and of templates that are no blank lines, comments or docstrings."""
    lines = sum(len(list(code_lines(file))) for file in HERE.glob("*.py"))
    lines += sum(
        bool(line.strip()) and not line.startswith("{#")
        for file in TEMPLATES
        for line in file.read_text(encoding="utf-8").splitlines()
    )

    assert lines < 600


def code_lines(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#") and number not in docstrings:
            yield line
