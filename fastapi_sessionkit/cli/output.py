"""What commands print: tables on a terminal, plain lines elsewhere, JSON for programs."""

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TextIO

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
    """Print a line; what the output can't show, in the notation of Python."""
    print(_writable(text, sys.stdout))  # noqa: T201 - this is the command line


def complain(text: str) -> None:
    """Print a line that is no part of the answer."""
    print(_writable(text, sys.stderr), file=sys.stderr)  # noqa: T201 - the same


def print_json(value: Any) -> None:
    """Print a value for programs."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    say(text if _writable(text, sys.stdout) == text else json.dumps(value, indent=2))


def _writable(text: str, stream: TextIO) -> str:
    """The text as a stream can take it: Windows has no UTF-8 for what goes into a pipe, and no system has it under ``C``."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def without_log() -> Iterator[None]:
    """Keep to one line: what the library logs of an error is what the command says, unless the application has a log."""
    logger, handler = logging.getLogger(__name__.partition(".")[0]), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


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
            table.add_row(*(Text(_writable(cell, sys.stdout), style=_STYLES.get(cell, "")) for cell in row))
        out.print(table, soft_wrap=False)
        return
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
