"""The package as a whole: what is public, what imports what, and what importing it costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType

import pytest

import fastapi_sessionkit

PACKAGE = fastapi_sessionkit.__name__
ROOT = Path(fastapi_sessionkit.__file__).parent

# What the design promises, group by group.
PROMISED = {
    "kit": "SessionKit CookieSettings",
    "session": "Session SessionInfo",
    "dependencies": (
        "get_session require_session get_session_info is_authenticated has_role has_permission has_all_permissions "
        "has_any_permission has_role_permission require require_role require_permission require_any_permission "
        "require_fresh"
    ),
    "requirements": "Requirement signed_in role permission any_permission fresh owner custom",
    "mutation": "set_session update_session clear_session regenerate_session reauthenticate_session session_watch",
    "without waiting": "session_of session_reason",
    "guard": "RouterGuard Rule Access Decision public login_redirect_target",
    "storage": "SessionBackend SessionDirectory CookieBackend StoreBackend SessionStore SessionRecord MemoryStore",
    "errors": (
        "SessionKitError ConfigurationError NotAuthenticated Forbidden SessionTooLarge StoreUnavailable"
    ),
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(name: str) -> Iterator[str]:
    """The modules of the package that a module imports, at its top or anywhere inside."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{source}.{alias.name}" for alias in node.names]
            yield from (each for each in names if each in MODULES)
            if source in MODULES and not all(each in MODULES for each in names):
                yield source


GRAPH = {name: set(imported(name)) - {name} for name in MODULES}


# What is public


def test_all_is_exactly_what_is_public() -> None:
    public = {
        name
        for name, value in vars(fastapi_sessionkit).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert public == set(fastapi_sessionkit.__all__)


def test_all_is_sorted_and_names_nothing_twice() -> None:
    assert list(fastapi_sessionkit.__all__) == sorted(set(fastapi_sessionkit.__all__))


@pytest.mark.parametrize("name", " ".join(PROMISED.values()).split())
def test_every_promised_name_is_public(name: str) -> None:
    assert name in fastapi_sessionkit.__all__
    assert hasattr(fastapi_sessionkit, name)


def test_what_is_public_has_a_docstring() -> None:
    documented = [name for name in fastapi_sessionkit.__all__ if name != "signed_in"]

    assert [name for name in documented if not getattr(fastapi_sessionkit, name).__doc__] == []


@pytest.mark.parametrize("name", sorted(set(fastapi_sessionkit.__all__) - {"signed_in"}))
def test_a_public_name_lives_in_a_module_without_an_underscore(name: str) -> None:
    module = getattr(fastapi_sessionkit, name).__module__

    assert [part for part in module.split(".") if part.startswith("_")] == []


def test_the_helpers_for_tests_have_a_module_of_their_own() -> None:
    testing = import_module(f"{PACKAGE}.testing")

    assert testing.__all__ == sorted(
        [
            "FakeClock",
            "SessionBackendContract",
            "SessionStoreContract",
            "assert_access",
            "session_of",
            "sessions_of",
            "signed_in",
        ]
    )
    assert all(hasattr(testing, name) for name in testing.__all__)


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "py.typed").exists()


# What imports what


def test_no_module_imports_itself_by_a_detour() -> None:
    TopologicalSorter(GRAPH).prepare()


LAYERS = [
    {"testing"},
    {"kit"},
    {"audit.audit"},
    {"_application.middleware", "_application.kits"},
    {"guard", "dependencies"},
    {"_request.lookup"},
    {"_request.request_session"},
    {"_request.judging"},
    {"_request.loading"},
    {"_request.marking"},
    {"_request.saving", "_request.reading"},
    {"_request.codec", "_request.changes"},
    {"access"},
    {"backends.stored", "backends.signed"},
    {"backends.adopting"},
    {"backends.records"},
    {"backends.base"},
    {"stores.base"},
    {"errors"},
]


def reachable(name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = GRAPH[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("depth", range(len(LAYERS)))
def test_imports_point_down(depth: int) -> None:
    above = {f"{PACKAGE}.{name}" for layer in LAYERS[:depth] for name in layer}

    for name in LAYERS[depth]:
        assert reachable(f"{PACKAGE}.{name}") & above == set()


def test_errors_are_at_the_bottom() -> None:
    assert GRAPH[f"{PACKAGE}.errors"] == set()


def test_nothing_imports_the_package_itself_for_its_list() -> None:
    assert [name for name, targets in GRAPH.items() if PACKAGE in targets] == []


def test_the_list_defines_nothing() -> None:
    body = ast.parse(MODULES[PACKAGE].read_text(encoding="utf-8")).body

    assert {type(node) for node in body[1:-1]} == {ast.ImportFrom}
    assert isinstance(body[-1], ast.Assign)


@pytest.mark.parametrize("name", MODULES)
def test_annotations_are_never_postponed(name: str) -> None:
    """Where a dependency is defined that makes a guard fail open: 200 instead of 403, and no error."""
    assert "from __future__ import annotations" not in MODULES[name].read_text(encoding="utf-8")


# What importing it costs

HEAVY = [
    "redis",
    "sqlalchemy",
    "asyncpg",
    "aiosqlite",
    "httpx",
    "httpx2",
    "cryptography",
    "pytest",
    "hypothesis",
    "jinja2",
    "typer",
    "uvicorn",
]


@pytest.mark.parametrize(
    "name", [PACKAGE, f"{PACKAGE}.testing", f"{PACKAGE}.stores.base", f"{PACKAGE}.stores.memory", f"{PACKAGE}.whoami"]
)
def test_importing_loads_no_engines_client(name: str) -> None:
    program = f"import sys, {name}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    assert name in loaded
    assert [module for module in HEAVY if module in loaded] == []
