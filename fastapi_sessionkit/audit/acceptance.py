"""Findings that somebody has accepted, with a reason, in ``pyproject.toml``."""

import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .findings import Finding

logger: logging.Logger = logging.getLogger(__name__)

PROJECT = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of ``[[tool.sessionkit.accept]]``."""

    code: str
    at: str
    reason: str


def project_settings(tool: str) -> dict[str, Any]:
    """What ``pyproject.toml`` in this folder says about a tool; nothing where there is none."""
    path = Path(PROJECT)
    if not path.is_file():
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get(tool, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise ConfigurationError(f"{PROJECT} can't be read: {error}") from None
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{PROJECT}: [tool.{tool}] is a table")
    return settings


def accepted_findings() -> list[Accepted]:
    """What ``pyproject.toml`` in this folder accepts.

    Raises:
        ConfigurationError: an entry is not complete.
    """
    entries = project_settings("sessionkit").get("accept", [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"{PROJECT}: findings are accepted in [[tool.sessionkit.accept]], with two brackets")
    return [_entry(each) for each in entries]


def _entry(given: object) -> Accepted:
    names = ("code", "at", "reason")
    values = [given.get(name) if isinstance(given, dict) else None for name in names]
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(
                f"{PROJECT}: each [[tool.sessionkit.accept]] has code, at and reason, each a text; one has no {name}"
            )
    return Accepted(*map(str, values))


def reason_for(finding: Finding, accepted: list[Accepted]) -> str | None:
    """Why a finding is accepted; ``None`` where it is not."""
    return next((each.reason for each in accepted if (each.code, each.at) == (finding.code, finding.at)), None)


def unused(accepted: list[Accepted], findings: list[Finding]) -> list[Accepted]:
    """What is accepted and was not found."""
    places = {(each.code, each.at) for each in findings}
    return [each for each in accepted if (each.code, each.at) not in places]


def report_findings(findings: list[Finding], *, must_be_none: bool) -> None:
    """Log in one line what nobody has accepted.

    Raises:
        ConfigurationError: there is something, and there must be nothing.
    """
    accepted = accepted_findings()
    left = [f"{each.code} at {each.at}" for each in findings if reason_for(each, accepted) is None]
    if not left:
        return
    text = f"{', '.join(left)}. The command sessionkit check says what to do"
    if must_be_none:
        raise ConfigurationError(f"The application has findings: {text}, and how to accept one")
    logger.info("The application has findings: %s", text)
