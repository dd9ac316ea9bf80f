"""``sessionkit check``: findings, and those that somebody accepted."""

import pytest

from tests.cli.conftest import MAIN, Project

OPEN = MAIN + '\n\n@app.post("/public")\nasync def write(): ...\n'
ACCEPT = '[[tool.sessionkit.accept]]\ncode = "open-write"\nat = "POST /public"\nreason = "a form for visitors"\n'


def test_no_finding_ends_with_nothing(project: Project) -> None:
    assert project.run("check", "main:app").stdout == "0 findings, 0 accepted\n"


def test_a_finding_says_what_to_do_and_ends_with_one(project: Project) -> None:
    project.write("main.py", OPEN)

    assert project.run("check", code=1).stdout.splitlines() == [
        "open-write  POST /public",
        "    Everybody may call it, and it may change something.",
        "    Protect it by a rule; or say that it is open, by Rule(..., public=True) or @public.",
        "1 finding, 0 accepted",
    ]


def test_an_accepted_finding_ends_with_nothing(project: Project) -> None:
    project.write("main.py", OPEN)
    project.write("pyproject.toml", ACCEPT)

    assert project.run("check").stdout == "0 findings, 1 accepted\n"
    (found,) = project.json("check", "--json")
    assert (found["code"], found["at"], found["accepted"]) == ("open-write", "POST /public", "a form for visitors")


def test_what_is_accepted_elsewhere_is_not_accepted_here(project: Project) -> None:
    project.write("main.py", OPEN)
    project.write("pyproject.toml", ACCEPT.replace("POST /public", "POST /other"))

    result = project.run("check", code=1)
    assert "Accepted and not found any more: open-write at POST /other" in result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ACCEPT.replace('reason = "a form for visitors"\n', ""), "one has no reason"),
        (ACCEPT.replace("a form for visitors", " "), "one has no reason"),
        (ACCEPT.replace("[[", "[").replace("]]", "]"), "with two brackets"),
        ("[tool.sessionkit]\naccept = [1]\n", "one has no code"),
    ],
)
def test_nothing_is_accepted_without_a_reason(text: str, says: str, project: Project) -> None:
    project.write("main.py", OPEN)
    project.write("pyproject.toml", text)

    assert says in project.run("check", code=2).stderr
