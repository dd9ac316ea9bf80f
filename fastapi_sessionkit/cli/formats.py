"""Operations, findings and changes as plain data, and changes as SARIF 2.1 and as annotations of GitHub."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..audit import Change, Explanation, Finding, Operation, Row
from ..audit.formulas import atoms_in, formula_of
from ..audit.lock import quoted_path
from ..audit.operations import in_words

_HOW_BAD = {
    "loosened": "error",
    "changed": "error",
    "unknown": "warning",
    "tightened": "warning",
    "new": "note",
    "removed": "note",
}
_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}
_HELP = 'Whoever means it writes the lock again with "sessionkit lock", so that a reviewer sees its lines.'
_TOLD = {
    "loosened": "Somebody may call it who could not before.",
    "changed": "Some may call it who could not before, and some who could may not any more.",
    "unknown": "A function of the application changed, so nobody can tell.",
    "tightened": "Somebody may not call it any more.",
    "new": "The operation is new.",
    "removed": "The operation is gone.",
}


def operation_data(operation: Operation) -> dict[str, Any]:
    """An operation for programs."""
    return {
        "method": operation.method,
        "path": operation.path,
        "needs": operation.needs,
        "rule": operation.rule,
        "certain": operation.certain,
        "open": operation.open,
        "kind": operation.kind,
        "name": operation.name,
        "tags": list(operation.tags),
        "said_by": list(operation.said_by),
        "cases": [{"where": case.where, "needs": in_words(case.requirement)} for case in operation.cases],
    }


def row_data(row: Row) -> dict[str, Any]:
    """A row of the table of people for programs."""
    access = {name: cell.access for name, cell in row.access.items()}
    why = {name: cell.why for name, cell in row.access.items() if cell.why}
    return {**operation_data(row.operation), "access": access, "why": why}


def explanation_data(found: Explanation) -> dict[str, Any]:
    """An explanation for programs."""
    step = found.decided_by
    return {
        "method": found.method,
        "path": found.path,
        "as": found.person.name,
        "allowed": found.allowed,
        "missing": list(found.missing),
        "operation": None if found.operation is None else found.operation.path,
        "decided_by": None if step is None else {"by": step.by, "reason": step.reason},
        "steps": [
            {
                "by": each.by,
                "reason": each.reason,
                "needs": in_words(each.requirement),
                "holds": each.verdict.holds,
                "missing": list(each.verdict.reasons),
                "tried": [{"rule": str(tried.rule), "outcome": tried.outcome} for tried in each.tried],
            }
            for each in found.steps
        ],
    }


def finding_data(finding: Finding, reason: str | None) -> dict[str, Any]:
    """A finding for programs, with the reason why it is accepted."""
    return {"code": finding.code, "at": finding.at, "text": finding.text, "advice": finding.advice, "accepted": reason}


def change_data(change: Change) -> dict[str, Any]:
    """A change for programs."""
    return {
        "label": change.label,
        "method": change.method,
        "path": change.path,
        "before": change.before,
        "after": change.after,
        "gains": None if change.gains is None else list(change.gains),
        "loses": None if change.loses is None else list(change.loses),
    }


def change_text(change: Change) -> str:
    """What changed, in one line: from what to what, and who gains or loses."""
    text = f"{change.before or 'nothing there'} -> {change.after or 'nothing there'}"
    return f"{text}: {change.witness}" if change.witness else text


def github_lines(changes: list[Change], file: str, lock: str) -> list[str]:
    """Changes as annotations that GitHub shows beside the lock file."""
    return [
        f"::{_GITHUB[_HOW_BAD[each.label]]} file={_property(file)},line={_line_of(each, lock)},"
        f"title={_property(f'{each.label}: {each.method} {each.path}')}::{_message(change_text(each))}"
        for each in changes
    ]


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def sarif(changes: list[Change], file: str, lock: str) -> dict[str, Any]:
    """Changes as a log in SARIF 2.1.0, which code scanning reads."""
    labels = sorted({each.label for each in changes})
    rules = [
        {
            "id": f"access-{label}",
            "shortDescription": {"text": _TOLD[label]},
            "fullDescription": {"text": f"Compared with the access lock the operation is {label}. {_TOLD[label]}"},
            "help": {"text": _HELP},
            "defaultConfiguration": {"level": _HOW_BAD[label]},
        }
        for label in labels
    ]
    driver = {"name": "sessionkit", "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(each, labels, file, lock) for each in changes]}],
    }


def _result(change: Change, labels: list[str], file: str, lock: str) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": _uri(file)}, "region": {"startLine": _line_of(change, lock)}}
    return {
        "ruleId": f"access-{change.label}",
        "ruleIndex": labels.index(change.label),
        "level": _HOW_BAD[change.label],
        "message": {"text": f"{change.method} {change.path} is {change.label}: {change_text(change)}"},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"operation/v1": f"{change.method} {change.path}"},
    }


def _uri(file: str) -> str:
    """A path as SARIF wants it: a relative reference as it is, with what a URI can't have encoded; any other one whole."""
    return Path(file).as_uri() if Path(file).is_absolute() else quote(file)


def _line_of(change: Change, lock: str) -> int:
    """Where the operation stands in the lock; for a new one, the first line."""
    start = re.compile(rf"{re.escape(change.method)} +{re.escape(quoted_path(change.path))}(?: |$)")
    return next((number for number, line in enumerate(lock.splitlines(), 1) if start.match(line)), 1)


def roles_named(operations: list[Operation]) -> list[str]:
    """The roles that somebody asks for, as people have them."""
    found = (atom for each in operations for case in each.cases for atom in atoms_in(formula_of(case.requirement)))
    return sorted({atom.text for atom in found if atom.kind == "role"})
