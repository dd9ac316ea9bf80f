"""Arguments that don't fit: one line that says what to do, and exit code 2."""

import pytest

from tests.cli.conftest import Project


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'. See sessionkit --help"),
        (["--nope"], "No such option: --nope. See sessionkit --help"),
        (["routes", "--nope"], "No such option: --nope. See sessionkit routes --help"),
        (["routes", "--html"], "Option '--html' requires an argument. See sessionkit --help"),
        (["purge", "main:app", "more"], "Got unexpected extra argument(s) (more). See sessionkit purge --help"),
        (
            ["lock", "--format", "xml"],
            "Invalid value for '--format': 'xml' is not one of 'text', 'json', 'sarif', 'github'. See sessionkit lock --help",
        ),
    ],
)
def test_an_argument_that_does_not_fit_is_one_line(project: Project, arguments: list[str], said: str) -> None:
    result = project.run(*arguments, code=2)

    assert result.stderr == f"sessionkit: {said}\n"
    assert result.stdout == ""


def test_without_arguments_it_helps(project: Project) -> None:
    assert "explain" in project.run(code=2).output
