"""Findings that somebody has accepted, with a reason, in ``pyproject.toml``."""

from dataclasses import dataclass

from ..audit import Finding
from .discovery import PROJECT, UsageError, project_settings


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of ``[[tool.sessionkit.accept]]``."""

    code: str
    at: str
    reason: str


def accepted_findings() -> list[Accepted]:
    """What ``pyproject.toml`` in this folder accepts.

    Raises:
        UsageError: an entry is not complete.
    """
    entries = project_settings("sessionkit").get("accept", [])
    if not isinstance(entries, list):
        raise UsageError(f"{PROJECT}: findings are accepted in [[tool.sessionkit.accept]], with two brackets")
    return [_entry(each) for each in entries]


def _entry(given: object) -> Accepted:
    names = ("code", "at", "reason")
    values = [given.get(name) if isinstance(given, dict) else None for name in names]
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, str) or not value.strip():
            raise UsageError(
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
