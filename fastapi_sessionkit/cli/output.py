"""What commands print: tables on a terminal, plain lines elsewhere, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {
    "open": "yellow",
    "allowed": "green",
    "refused": "red",
    "depends": "yellow",
    "loosened": "red",
    "changed": "red",
}
_STYLES |= {"unknown": "red", "tightened": "yellow", "new": "yellow", "removed": "yellow", "equivalent": "green"}


def console() -> Console:
    """What is printed to now; tests and shells may have put another one in its place since the last time."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line as it is."""
    print(text)  # noqa: T201 - this is the command line


def complain(text: str) -> None:
    """Print a line that is no part of the answer."""
    print(text, file=sys.stderr)  # noqa: T201 - the same


def print_json(value: Any) -> None:
    """Print a value for programs."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def working(what: str) -> AbstractContextManager[Any]:
    """Show that something takes its time, on a terminal."""
    errors = Console(stderr=True)
    return errors.status(what) if errors.is_terminal else nullcontext()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; where nobody looks at it, lines that programs can cut."""
    out = console()
    if out.is_terminal:
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        out.print(table, soft_wrap=False)
        return
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
