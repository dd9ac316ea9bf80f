"""From the figures to a table in Markdown and a bar chart in SVG."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

WIDTH, LEFT, BAR, ROW = 760, 300, 380, 26

LABELS = {
    "by hand": "Starlette's middleware, by hand",
    "bare": "the bare endpoint",
    "unused": "installed, unused",
    "role, cookie, seen": "require_role, cookie, token seen before",
    "role, cookie, never seen": "require_role, cookie, token never seen",
    "role, bearer, seen": "require_role, bearer token seen before",
    "role, memory, seen": "require_role, memory, token seen before",
    "role, memory, never seen": "require_role, memory, token never seen",
    "gate, cookie, seen": "gate alone, cookie, token seen before",
    "gate, cookie, never seen": "gate alone, cookie, token never seen",
    "gate, memory, seen": "gate alone, memory, token seen before",
    "gate, memory, never seen": "gate alone, memory, token never seen",
    "1,000 rules against 1: the gate": "1,000 rules against one: the gate",
    "1,000 rules against 1: the decision, path never seen": "1,000 rules against one: deciding on a new path",
    "role, cookie": "require_role, cookie",
    "role, memory": "require_role, memory",
    "gate, cookie": "gate alone, cookie",
}

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 14px; }
  .note { fill: #59636e; font-size: 12px; }
  .value { font-variant-numeric: tabular-nums; }
  .bar { fill: #2f6fd0; } .other { fill: #8c959f; }
  .spread, .target { stroke: #1f2328; fill: none; } .target { stroke: #c2410c; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; }
    .bar { fill: #5b9bff; } .other { fill: #6e7681; } .spread { stroke: #e6edf3; } .target { stroke: #fb923c; }
  }
""".strip("\n")

Figures = list[dict[str, Any]]


def table(cost: dict[str, Any] | None, server: dict[str, Any] | None) -> str:
    """Both kinds of figures, for a page in Markdown."""
    lines: list[str] = []
    if cost is not None:
        lines += ["| Cost on top of the bare endpoint | by hand = 1 | middle half | at most |", "|---|--:|--:|--:|"]
        lines += _rows(cost["figures"])
    if server is not None:
        lines += [
            "",
            "| Requests a second, one uvicorn worker | bare = 1 | middle half | at least |",
            "|---|--:|--:|--:|",
        ]
        lines += _rows(server["figures"])
    return "\n".join(lines).strip() + "\n"


def _rows(figures: Figures) -> Iterator[str]:
    for figure in figures:
        target = "" if figure["target"] is None else f"{figure['target']:g}"
        middle = "" if figure["low"] == figure["high"] else f"{figure['low']:.2f} to {figure['high']:.2f}"
        yield f"| {LABELS[figure['name']]} | {figure['median']:.2f} | {middle} | {target} |"


def chart(cost: dict[str, Any], server: dict[str, Any] | None) -> str:
    """Bars for both, with their spread and with what they should be; readable on light and on dark."""
    shown = [figure for figure in cost["figures"] if not figure["name"].startswith("1,000")]
    parts, height = _section("Cost of a request on top of the bare endpoint (less is better)", shown, 24)
    if server is not None:
        more, height = _section(
            "Requests a second, one uvicorn worker (more is better)", server["figures"], height + 24
        )
        parts += more
    environment = cost["environment"]
    note = ", ".join(f"{name} {environment[name]}" for name in ("python", "fastapi", "starlette", "pydantic"))
    parts.append(_text(16, height + 20, f"Thin line: middle half of all blocks. Mark: the target. {note}", "note"))
    return _svg(height + 36, parts)


def _section(title: str, figures: Figures, top: int) -> tuple[list[str], int]:
    scale = BAR / max(1.0, *(figure["high"] for figure in figures))
    parts = [_text(16, top, title, "title")]
    for number, figure in enumerate(figures):
        parts += _bar(figure, top + 12 + number * ROW, scale)
    return parts, top + 12 + len(figures) * ROW


def _bar(figure: dict[str, Any], top: int, scale: float) -> Iterator[str]:
    middle, end = top + ROW / 2, LEFT + figure["median"] * scale
    yield _text(LEFT - 10, middle + 4, LABELS[figure["name"]], anchor="end")
    kind = "other" if figure["name"] in {"by hand", "bare"} else "bar"
    yield f'<rect class="{kind}" x="{LEFT}" y="{top + 4}" width="{end - LEFT:.1f}" height="{ROW - 8}" rx="2"/>'
    if figure["low"] != figure["high"]:
        yield _line("spread", LEFT + figure["low"] * scale, middle, LEFT + figure["high"] * scale, middle)
    if figure["target"] is not None:
        yield _line("target", LEFT + figure["target"] * scale, top + 2, LEFT + figure["target"] * scale, top + ROW - 2)
    beside = LEFT + max(figure["median"], figure["high"], figure["target"] or 0) * scale + 8
    yield _text(beside, middle + 4, f"{figure['median']:.2f}", "value")


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'


def _svg(height: float, parts: Iterable[str]) -> str:
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    title = "<title>What a session costs a request, and requests a second</title>"
    return "\n".join([opening, title, f"<style>\n{STYLE}\n</style>", *parts, "</svg>", ""])
