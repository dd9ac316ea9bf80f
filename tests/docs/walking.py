"""Walks through a page of the course: what its tables and its terminal show is done, in their order."""

import argparse
import re
import shlex
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

from fastapi.testclient import TestClient
from httpx2 import Cookies, Response
from typer.testing import CliRunner

from fastapi_sessionkit.cli.commands import app as command_line
from tests.docs.pages import Block, blocks

RUN = ("cp ", "curl ", "sessionkit ")
"""How commands begin that are run."""

_ROW = re.compile(r"^\| (?P<does>[A-Z].+?) \| `(?P<at>/\S*)` \| (?P<sees>.+) \|$", re.MULTILINE)
_VALUE = re.compile(r"`([^`]+)`")
_BUTTON = re.compile(r"ress \*([^*]+)\*")


@dataclass(frozen=True)
class Visit:
    """A row of a table: what one does in the browser, where one is then, and what one sees there."""

    line: int
    does: str
    at: str
    sees: str


@dataclass(frozen=True)
class Terminal:
    """Commands and, where the page shows it, what they answer. Those that install and serve are for the reader alone."""

    line: int
    commands: list[str]
    answer: str | None


def walk_of(text: str) -> list[Visit | Terminal]:
    """The visits and the terminal's commands of a page, from top to bottom."""
    found: list[Visit | Terminal] = [
        Visit(text.count("\n", 0, row.start()) + 1, row["does"], row["at"], row["sees"].strip("`"))
        for row in _ROW.finditer(text)
    ]
    shown = list(blocks(text))
    for block, following in zip(shown, [*shown[1:], None], strict=True):
        commands = [line for line in block.code.splitlines() if line.startswith(RUN)]
        if block.language == "sh" and commands:
            found.append(Terminal(block.line, commands, _answer(following)))
    return sorted(found, key=lambda each: each.line)


def _answer(block: Block | None) -> str | None:
    return block.code if block is not None and block.language == "text" else None


class Page(HTMLParser):
    """What one sees of a page of HTML, its links by their text, and its form."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.links: dict[str, str] = {}
        self.fields: list[str] = []
        self.action = ""
        self._link = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given.get("action", "")
        if tag == "input":
            self.fields.append(given["name"])
        self._link = given["href"] if tag == "a" else ""

    def handle_data(self, data: str) -> None:
        self.seen += data.split()
        if self._link:
            self.links[data] = self._link


@dataclass
class Walker:
    """Somebody with a browser and a terminal."""

    browser: TestClient
    terminal: TestClient
    jars: dict[str, Cookies] = field(default_factory=dict)
    page: Page | None = None
    url: str = ""

    def visit(self, does: str) -> tuple[str, str]:
        """Do it; gives where one is then, and what one sees."""
        values, button = _VALUE.findall(does), _BUTTON.search(does)
        if does.startswith("Open "):
            answer = self.browser.get(values[0])
        elif does.startswith("Follow "):
            answer = self.browser.get(self._shown.links[does.removeprefix("Follow ").strip("*")])
        else:
            assert button is not None, does
            assert button[1] in " ".join(self._shown.seen)
            data = dict(zip(self._shown.fields, values, strict=True))
            answer = self.browser.post(urljoin(self.url, self._shown.action), data=data)
        self.url = str(answer.url)
        self.page = Page(answer.text)
        return answer.url.raw_path.decode(), " ".join(self.page.seen)

    @property
    def _shown(self) -> Page:
        assert self.page is not None, "no page is open"
        return self.page

    def run(self, command: str) -> str:
        """What one of the programs in ``RUN`` writes."""
        program, *words = shlex.split(command)
        if program == "sessionkit":
            return CliRunner(env={"COLUMNS": "200"}).invoke(command_line, words).stdout
        if program == "cp":
            self.jars[words[1]] = Cookies(self.jars[words[0]])
            return ""
        return self._curl(_CURL.parse_args(words))

    def _curl(self, given: argparse.Namespace) -> str:
        headers = dict(header.split(": ", 1) for header in given.headers)
        body = given.json if given.data is None else "&".join(given.data)
        if body is not None:
            kind = "application/json" if given.data is None else "application/x-www-form-urlencoded"
            headers["Content-Type"] = kind
        self.terminal.cookies = Cookies(self.jars.get(given.sends))
        answer = self.terminal.request("GET" if body is None else "POST", given.url, content=body, headers=headers)
        if given.keeps:
            self.jars[given.keeps] = Cookies(self.terminal.cookies)
        return (_head(answer) if given.head else "") + answer.text


def _head(answer: Response) -> str:
    lines = [f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in answer.headers.multi_items()), "", ""])


_CURL = argparse.ArgumentParser(exit_on_error=False)
_CURL.add_argument("-i", dest="head", action="store_true")
_CURL.add_argument("-b", dest="sends")
_CURL.add_argument("-c", dest="keeps")
_CURL.add_argument("-d", dest="data", action="append")
_CURL.add_argument("-H", dest="headers", action="append", default=[])
_CURL.add_argument("--json")
_CURL.add_argument("url")
