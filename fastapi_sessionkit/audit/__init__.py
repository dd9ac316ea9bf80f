"""Who may do what: every operation of an application with what it needs, findings, explanations and the access lock."""

from .audit import Audit
from .explain import Explanation, Step, Tried
from .findings import Finding
from .implication import implies
from .lock import Change
from .matrix import Cell, Row
from .operations import Operation
from .people import Person, Verdict

__all__ = [
    "Audit",
    "Cell",
    "Change",
    "Explanation",
    "Finding",
    "Operation",
    "Person",
    "Row",
    "Step",
    "Tried",
    "Verdict",
    "implies",
]
