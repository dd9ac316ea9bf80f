"""What ``pip install`` brings: the wheel alone, in an environment of its own, with README's application."""

import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.docs.pages import README, ROOT, blocks

# The one place that says it.
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, what it needs itself, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install(python, str(wheel))
    return python


def install(python: Path, *packages: str) -> None:
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    run(*pip, "install", "-q", "--no-compile", *packages)


def run(*command: str, **environment: str) -> str:
    """What a command prints; fails with all of it. Runs in an empty place, without this checkout on the path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))}
    done = subprocess.run(
        command,
        env={**clean, **environment},
        cwd=Path(sys.prefix),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_has_all_of_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())

    package = (path for path in (ROOT / "fastapi_sessionkit").rglob("*") if path.is_file() and path.suffix != ".pyc")
    files = {path.relative_to(ROOT).as_posix() for path in package}
    assert {name for name in names if ".dist-info/" not in name} == files
    assert "fastapi_sessionkit/py.typed" in names


def test_the_wheel_says_its_version_and_licence(wheel: Path) -> None:
    [metadata] = (name for name in ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    lines = ZipFile(wheel).read(metadata).decode().splitlines()

    assert f"Version: {VERSION}" in lines
    assert "License-Expression: MIT" in lines
    assert "Requires-Python: >=3.11" in lines


def test_the_source_distribution_has_what_the_tests_need(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        names = {name.partition("/")[2] for name in source.getnames()}

    assert {"pyproject.toml", "README.md", "LICENSE", "mkdocs.yml", "tests/support.py", "docs/index.md"} <= names
    assert not {name for name in names if name.startswith(("dist", ".venv", ".git/"))}


def test_both_can_be_published(built: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir()))


def test_the_wheel_alone_can_be_imported(python: Path) -> None:
    file = run(str(python), "-W", "error", "-c", "import fastapi_sessionkit; print(fastapi_sessionkit.__file__)")

    assert Path(file.strip()).is_relative_to(python.parents[1])


def test_its_command_says_what_it_lacks(python: Path) -> None:
    done = subprocess.run([python, "-m", "fastapi_sessionkit"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "pip install" in done.stderr
    assert "fastapi-sessionkit[cli]" in done.stderr


def test_readme_application_runs_on_the_wheel(python: Path, tmp_path: Path) -> None:
    """With what its form and its test client need; ``fastapi[standard]``, which README names, brings both and more."""
    install(python, "python-multipart", "httpx2")
    page = blocks(README.read_text(encoding="utf-8"))
    main = tmp_path / "main.py"
    main.write_text("\n\n".join(block.code for block in page if block.language == "python"), encoding="utf-8")

    run(str(python), str(main), SESSIONKIT_SECRET_KEY="k" * 40)
