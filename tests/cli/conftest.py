"""Projects on disk, and the command line asked about them in this process."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fastapi_sessionkit.cli.commands import app

MAIN = """
import os
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from fastapi_sessionkit import MemoryStore, RouterGuard, Rule, SessionKit, require_role

print("the application was imported")


@asynccontextmanager
async def lifespan(app):
    raise AssertionError("the lifespan ran")
    yield


class NoStore(MemoryStore):
    async def get(self, key):
        raise AssertionError("the store was asked")


guard = RouterGuard(
    [Rule("/admin/**", roles=os.environ.get("ROLES", "admin").split(",")), Rule("/files/7", role="editor")],
    login_path="/login",
    global_protect=True,
    exclude=["/public"],
)
app = FastAPI(lifespan=lifespan, openapi_url=None)
kit = SessionKit(secret_key="q7Zp-0mVx_3kTn9LrWc2YdHs8BfJu1GaEe5KiO4oMvXt", backend=NoStore())
kit.install(app, guard=guard)


@app.get("/", tags=["pages"])
@app.get("/login", tags=["pages"])
@app.get("/admin/users", tags=["admin"])
@app.get("/log", dependencies=[Depends(require_role("auditor"))])
async def page(): ...


@app.get("/files/{number}")
async def file(number: int): ...
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        forget()

    def run(self, *arguments: str, code: int = 0) -> Result:
        """What a command answers; the application is imported anew."""
        forget()
        result = CliRunner().invoke(app, list(arguments), prog_name="sessionkit")
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, code=code).stdout)


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in {"main", "shop", "other", "api"}]:
        del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Project(tmp_path)
    made.write("main.py", MAIN)
    yield made
    forget()


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let other roles in."""
    return lambda roles: monkeypatch.setenv("ROLES", roles)
