"""Operations, and the table of people, as one HTML file that needs no other and asks no server."""

import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files

from ..audit import Operation, Person, Row
from ..audit.matrix import DEPENDS

_SIGNS = {"allowed": "✓", "refused": "–", "depends": "?"}


def routes_page(operations: list[Operation]) -> str:
    """The operations, with what each needs."""
    columns = ["Method", "Path", "Needs", "Rule", "Said by"]
    rows = [
        _row(
            each,
            [_cell(each.needs, "open" if each.open else ""), _cell(each.rule or ""), _cell(", ".join(each.said_by))],
        )
        for each in operations
    ]
    open_ones = sum(each.open for each in operations)
    return _page(
        "Operations", f"{len(operations)} operations, {open_ones} open", [(name, "") for name in columns], rows
    )


def matrix_page(table: list[Row], people: list[Person]) -> str:
    """The table of people."""
    columns = [
        ("Method", ""),
        ("Path", ""),
        *((person.name, ", ".join(sorted(person.atoms)) or "nobody") for person in people),
    ]
    rows = [
        _row(row.operation, [_access(row, person) for person in people] + [_cell(row.operation.needs)]) for row in table
    ]
    return _page("Who may do what", f"{len(table)} operations, {len(people)} people", [*columns, ("Needs", "")], rows)


def _page(title: str, summary: str, columns: list[tuple[str, str]], rows: Iterable[str]) -> str:
    head = "".join(
        f'<th scope="col"><button type="button" data-column="{number}">{escape(name)}</button>'
        f"{f'<small>{escape(note)}</small>' if note else ''}</th>"
        for number, (name, note) in enumerate(columns)
    )
    texts = {"TITLE": escape(title), "SUMMARY": escape(summary), "HEAD": head, "ROWS": "\n".join(rows)}
    template = files("fastapi_sessionkit.cli").joinpath("page.html").read_text(encoding="utf-8")
    return re.sub("<!--([A-Z]+)-->", lambda found: texts[found[1]], template)


def _row(operation: Operation, cells: list[str]) -> str:
    tags = ", ".join(operation.tags) or operation.kind
    start = f'<tr data-tag="{escape(tags)}" data-open="{str(operation.open).lower()}">'
    method = f'<td><span class="method {escape(operation.method.lower().strip("*")) or "any"}">{escape(operation.method)}</span></td>'
    return f'{start}{method}<th scope="row">{escape(operation.path)}</th>{"".join(cells)}</tr>'


def _cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def _access(row: Row, person: Person) -> str:
    cell = row.access[person.name]
    why = f"<small>{escape(cell.why)}</small>" if cell.access == DEPENDS else ""
    return (
        f'<td class="access {cell.access}" title="{escape(cell.why)}" data-sort="{cell.access}">'
        f'<span aria-hidden="true">{_SIGNS[cell.access]}</span> <span class="word">{cell.access}</span>{why}</td>'
    )
