"""Reads the documentation: which pages there are, their code blocks, their links."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SKILL = ROOT / "fastapi_sessionkit" / ".agents" / "skills" / "fastapi-sessionkit" / "SKILL.md"
PAGES = [README, SKILL, *sorted((ROOT / "docs").rglob("*.md"))]

# An opening fence with what stands behind it, the code, and a closing fence indented alike.
_FENCED = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL
)
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->\s*\Z")
_RUN_BY = re.compile(r"<!-- run by: (?P<test>\S+) -->\s*\Z")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``line`` counts from 1 and is the first line of the code itself."""

    language: str
    code: str
    line: int
    not_run: str | None
    run_by: str | None = None
    """The test that runs it, where that needs what the other blocks don't."""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[Block]:
    for match in _FENCED.finditer(text):
        exempt = _NOT_RUN.search(text, 0, match.start())
        elsewhere = _RUN_BY.search(text, 0, match.start())
        language = match["info"].split()[0] if match["info"].split() else ""
        line = text.count("\n", 0, match.start("code")) + 1
        yield Block(
            language,
            textwrap.dedent(match["code"]),
            line,
            exempt["reason"] if exempt else None,
            elsewhere["test"] if elsewhere else None,
        )


def links(text: str) -> list[str]:
    """Every link and image target outside of code."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCED.sub("", text))
    return [match["target"] for match in _LINK.finditer(prose)]
