"""Finds an application as the command ``fastapi`` does, and the kit that is on it. Neither is started.

That is: an import string, a file, the ``entrypoint`` of ``[tool.fastapi]`` in ``pyproject.toml``, or a file of a usual name.
"""

import importlib
import inspect
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from starlette.applications import Starlette

from .._request.lookup import installed
from .._request.mapping import RequestData
from ..audit import Audit
from ..audit.acceptance import PROJECT, project_settings
from ..audit.kits import label_of
from ..kit import SessionKit

_USUAL = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")


class UsageError(Exception):
    """One line that says what was wrong and what to do; the command ends with 2."""


@dataclass(frozen=True, slots=True)
class Found:
    """An application, and the kit that is meant."""

    app: Starlette
    kit: SessionKit[Any]

    @property
    def audit(self) -> Audit:
        """Its audit."""
        return self.kit.audit(self.app)


def find(where: str | None, kit: str | None = None) -> Found:
    """The application that is meant, and its kit.

    Args:
        where: ``main:app``, ``main.py``, ``main.py:app``; ``None`` for what ``pyproject.toml`` or a usual name says.
        kit: the name of a kit, where there are several.

    Raises:
        UsageError: there is none.
    """
    app = _application(where or _entrypoint() or _usual_file())
    return Found(app, _kit_on(app, kit))


def _entrypoint() -> str | None:
    entrypoint = project_settings("fastapi").get("entrypoint")
    if entrypoint is not None and (not isinstance(entrypoint, str) or ":" not in entrypoint):
        raise UsageError(f'{PROJECT}: [tool.fastapi] entrypoint is written "module.submodule:app"')
    return entrypoint


def _usual_file() -> str:
    found = next((name for name in _USUAL if Path(name).is_file()), None)
    if found is None:
        raise UsageError(
            "No application here: name one, as in sessionkit routes main:app, or as entrypoint in [tool.fastapi] of pyproject.toml"
        )
    return found


def _application(where: str) -> Starlette:
    target, _, name = where.rpartition(":") if _names_attribute(where) else (where, "", "")
    path = Path(target)
    if path.exists() and (path.suffix == ".py" or path.is_dir()):
        module = _imported(*_module_of(path))
    elif target.endswith(".py") or "/" in target:
        raise UsageError(f"There is no file {target}")
    else:
        module = _imported(target, Path.cwd())
    return _named(module, name, where) if name else _first_in(module, where)


def _names_attribute(where: str) -> bool:
    """Whether a colon stands before a name; in ``C:/main.py`` it doesn't."""
    return where.rpartition(":")[2].isidentifier() and ":" in where


def _module_of(path: Path) -> tuple[str, Path]:
    """The dotted name of a file in its packages, and the folder that these are in."""
    path = path.resolve()
    path = path.parent if path.name == "__init__.py" else path
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _imported(name: str, folder: Path) -> ModuleType:
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):  # what a module prints is no part of an answer
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an application does when it is imported
        first = (str(error).strip().splitlines() or [""])[0]
        raise UsageError(f"{name} can't be imported: {type(error).__name__}: {first}") from None


def _named(module: ModuleType, name: str, where: str) -> Starlette:
    if not hasattr(module, name):
        raise UsageError(f"{where}: the module has no {name}. Name its application, as in main:app")
    app = getattr(module, name)
    if not isinstance(app, Starlette):
        is_factory = inspect.isroutine(app)
        instead = (
            f"no factory is called, so write app = {name}() in a module and name that" if is_factory else "name one"
        )
        raise UsageError(f"{where} is no application but a {type(app).__name__}: {instead}, as in main:app")
    return app


def _first_in(module: ModuleType, where: str) -> Starlette:
    names = ["app", "api", *sorted(vars(module))]
    app = next((found for name in names if isinstance(found := getattr(module, name, None), Starlette)), None)
    if app is None:
        raise UsageError(f"{where} has no application: say which, as in main:app")
    return app


def _kit_on(app: Starlette, name: str | None) -> SessionKit[Any]:
    kits = [
        kit
        for services in installed(app)
        if isinstance(kit := services.kit, SessionKit) and not issubclass(kit.model, RequestData)
    ]
    people = [kit for kit in kits if not kit.services.anonymous] or kits
    labels = {kit: label_of(kit, kits) for kit in kits}
    names = ", ".join(labels.values())
    if not kits:
        raise UsageError("No SessionKit is installed on this application: kit.install(app)")
    chosen = people if name is None else [kit for kit in kits if name in {kit.name, labels[kit]}]
    if not chosen:
        raise UsageError(f"No SessionKit there is called {name!r}: there is {names}")
    if len(chosen) > 1:
        raise UsageError(
            f"Several kits are on this application: say whose people are meant, with --kit and one of {names}"
        )
    return chosen[0]
