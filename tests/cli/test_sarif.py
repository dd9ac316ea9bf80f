"""The log of ``sessionkit lock --check --format sarif``: what the specification and GitHub's code scanning ask for.

Sources: OASIS, Static Analysis Results Interchange Format 2.1.0; GitHub Docs, SARIF support for code scanning.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Project

LOCK = "my locks/access 1.lock"


@pytest.fixture
def log(project: Project, change: Callable[[str], None]) -> Any:
    (project.folder / "my locks").mkdir()
    project.run("lock", "main:app", "--file", LOCK)
    text = Path(LOCK).read_text(encoding="utf-8")
    Path(LOCK).write_text(text.replace("GET       /login", "GET       /gone"), encoding="utf-8")
    change("admin,support")
    return project.json("lock", "main:app", "--check", "--file", LOCK, "--format", "sarif", code=1)


def test_the_log_has_what_the_specification_requires(log: Any) -> None:
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "sessionkit"
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert all(isinstance(each, str) for each in result["partialFingerprints"].values())


def test_each_result_has_one_place_in_the_lock(log: Any) -> None:
    lines = Path(LOCK).read_text(encoding="utf-8").splitlines()
    found = {}
    for result in log["runs"][0]["results"]:
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert re.fullmatch(r"[\w./~%-]+", place["artifactLocation"]["uri"])
        assert place["artifactLocation"]["uri"] == "my%20locks/access%201.lock"
        found[result["ruleId"]] = lines[place["region"]["startLine"] - 1].split(" ")[0]

    assert found == {"access-loosened": "GET", "access-new": "#", "access-removed": "GET"}


def test_each_rule_says_what_code_scanning_shows(log: Any) -> None:
    rules = log["runs"][0]["tool"]["driver"]["rules"]

    assert [each["id"] for each in rules] == ["access-loosened", "access-new", "access-removed"]
    for each in rules:
        assert all(each[name]["text"] for name in ("shortDescription", "fullDescription", "help"))
        assert each["defaultConfiguration"]["level"] in {"note", "warning", "error"}
