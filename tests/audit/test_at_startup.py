"""What becomes of findings when an application starts: ``install(check=...)``."""

import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import ConfigurationError, RouterGuard, Rule
from tests.audit.support import endpoint
from tests.support import client_of, new_kit

STRONG = "q7Zp-0mVx_3kTn9LrWc2YdHs8BfJu1GaEe5KiO4oMvXt"
FOUND = "unreachable-rule at /nowhere, open-write at POST /a"


def application(*rules: Rule, **options: Any) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/a", endpoint, methods=["POST"])
    new_kit(secret_key=STRONG).install(app, guard=RouterGuard(rules), **options)
    return app


def started(app: FastAPI) -> None:
    with client_of(app):
        pass


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        each.getMessage()
        for each in caplog.records
        if each.name.startswith("fastapi_sessionkit") and each.levelno == level
    ]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_findings_are_one_line_at_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        started(application(Rule("/nowhere")))

    assert lines(caplog, logging.INFO) == [
        f"The application has findings: {FOUND}. The command sessionkit check says what to do"
    ]
    assert len(lines(caplog, logging.WARNING)) == 1


def test_without_a_finding_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        started(application(Rule("/a")))

    assert lines(caplog, logging.INFO) == lines(caplog, logging.WARNING) == []


def test_findings_may_fail_the_start() -> None:
    app = application(Rule("/nowhere"), check="raise")

    with pytest.raises(ConfigurationError, match=FOUND):
        started(app)
    with pytest.raises(ConfigurationError, match=FOUND):
        client_of(app).post("/a")


def test_what_is_accepted_does_not_fail_the_start() -> None:
    entry = '[[tool.sessionkit.accept]]\ncode = "open-write"\nat = "POST /a"\nreason = "a form"\n'
    Path("pyproject.toml").write_text(entry, encoding="utf-8")

    started(application(check="raise"))


def test_nothing_is_said_where_that_is_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        started(application(Rule("/nowhere"), check="off"))

    assert lines(caplog, logging.INFO) == lines(caplog, logging.WARNING) == []


@pytest.mark.parametrize("check", ["on", None, True])
def test_another_word_is_an_error(check: Any) -> None:
    with pytest.raises(ConfigurationError, match='"log", "raise" or "off"'):
        application(check=check)
