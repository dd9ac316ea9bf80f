"""``sessionkit lock``: the file, and what became of it since."""

from collections.abc import Callable

import pytest

from fastapi_sessionkit.audit.sources import fingerprint
from tests.cli.conftest import MAIN, Project


def test_a_lock_is_written_and_equal_to_the_application(project: Project) -> None:
    project.run("lock", "main:app")

    assert "GET       /admin/users" in (project.folder / "access.lock").read_text(encoding="utf-8")
    assert project.run("lock", "main:app", "--check").stdout == "Nothing changed\n"


def test_a_lock_may_have_another_name(project: Project) -> None:
    project.run("lock", "main:app", "--file", "who.lock")

    assert (project.folder / "who.lock").exists()
    project.run("lock", "main:app", "--check", "--file", "who.lock")


def test_what_is_loosened_ends_with_one(project: Project, change: Callable[[str], None]) -> None:
    project.run("lock")
    change("admin,support")

    lines = project.run("lock", "--check", code=1).stdout.splitlines()
    assert lines[1].split(maxsplit=3) == [
        "loosened", "GET", "/admin/users", "role:admin -> role:admin | role:support: role:support gains"
    ]  # fmt: skip


def test_what_is_written_in_another_way_ends_with_nothing(project: Project, change: Callable[[str], None]) -> None:
    project.run("lock")
    change("admin,admin")
    project.run("lock", "--check")

    project.write(
        "main.py",
        MAIN.replace('"/admin/**", roles', '"/admin/*", roles').replace('"/admin/users", tags', '"/admin/users", tags'),
    )
    project.run("lock", "--check")


def test_new_and_removed_operations_end_with_one(project: Project) -> None:
    project.run("lock")
    project.write("main.py", MAIN.replace('"/log"', '"/protocol"'))

    found = project.json("lock", "--check", "--json", code=1)
    assert [(each["label"], each["path"]) for each in found] == [("removed", "/log"), ("new", "/protocol")]


def test_changes_as_json(project: Project, change: Callable[[str], None]) -> None:
    project.run("lock")
    change("support")

    assert project.json("lock", "--check", "--format", "json", code=1) == [
        {
            "label": "changed", "method": "GET", "path": "/admin/users", "before": "role:admin", "after": "role:support",
            "gains": ["role:support"], "loses": ["role:admin"],
        }
    ]  # fmt: skip


def test_changes_as_annotations_of_github(project: Project, change: Callable[[str], None]) -> None:
    project.run("lock")
    change("admin,support")
    lock = (project.folder / "access.lock").read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lock, 1) if "/admin/users" in text)

    assert project.run("lock", "--check", "--format", "github", code=1).stdout == (
        f"::error file=access.lock,line={line},title=loosened%3A GET /admin/users::"
        "role:admin -> role:admin | role:support: role:support gains\n"
    )


def test_changes_as_sarif(project: Project, change: Callable[[str], None]) -> None:
    project.run("lock")
    change("admin,support")

    found = project.json("lock", "--check", "--format", "sarif", code=1)
    (run,) = found["runs"]
    (result,) = run["results"]
    assert found["version"] == "2.1.0"
    assert (result["ruleId"], result["level"]) == ("access-loosened", "error")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "access.lock"}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["access-loosened"]


@pytest.mark.parametrize("form", ["sarif", "github", "json"])
def test_no_change_has_no_results(form: str, project: Project) -> None:
    project.run("lock")

    printed = project.run("lock", "--check", "--format", form).stdout
    assert "access-" not in printed
    assert "::" not in printed


def test_a_lock_that_is_none_names_the_line(project: Project) -> None:
    project.write("access.lock", "# version: 1\nnonsense\n")

    assert "Line 2 of the lock can't be read" in project.run("lock", "--check", code=2).stderr


def test_the_lock_of_another_version_of_python_is_the_same() -> None:
    """A function is named by its source, which byte code is not."""
    assert fingerprint(is_somebody) == "7df4667bb881"


def is_somebody(session: object) -> bool:
    """Whoever it is."""
    return session is not None  # a comment
