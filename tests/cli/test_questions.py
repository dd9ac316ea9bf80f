"""What the commands answer about an application that is not started."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Project


def test_routes_are_lines_that_programs_can_cut(project: Project) -> None:
    lines = project.run("routes", "main:app").stdout.splitlines()

    assert lines[0].split() == ["METHOD", "PATH", "NEEDS", "RULE", "SAID", "BY"]
    assert lines[2].split() == ["GET", "/admin/users", "role:admin", "/admin/**", "gate"]
    assert all("\x1b" not in line for line in lines)


def test_routes_as_json(project: Project) -> None:
    found = {each["path"]: each for each in project.json("routes", "main:app", "--json")}

    assert found["/admin/users"] == {
        "method": "GET", "path": "/admin/users", "needs": "role:admin", "rule": "/admin/**", "certain": True, "open": False,
        "kind": "operation", "name": "page", "tags": ["admin"], "said_by": ["gate"],
        "cases": [{"where": None, "needs": "role:admin"}],
    }  # fmt: skip
    assert found["/login"]["open"] is True
    assert found["/login"]["rule"] is None
    assert found["/files/{number}"]["certain"] is False
    assert found["/files/{number}"]["cases"][0] == {"where": "/files/7", "needs": "role:editor"}


def test_a_matrix_as_json(project: Project) -> None:
    rows = project.json("matrix", "main:app", "--as", "admin=role:admin", "--as", "anonymous", "--json")
    found = {each["path"]: each for each in rows}

    assert found["/admin/users"]["access"] == {"admin": "allowed", "anonymous": "refused"}
    assert found["/admin/users"]["why"] == {"anonymous": "nobody is signed in"}
    assert found["/files/{number}"]["access"]["admin"] == "depends"
    assert {"method", "path", "needs", "rule", "certain", "open"} <= found["/log"].keys()


def test_a_matrix_without_people_has_the_roles_that_rules_name(project: Project) -> None:
    head = project.run("matrix").stdout.splitlines()[0]

    assert head.split() == [
        "METHOD",
        "PATH",
        "anonymous",
        "somebody",
        "role:admin",
        "role:auditor",
        "role:editor",
        "NEEDS",
    ]


def test_explain_says_what_is_missing_and_who_says_so(project: Project) -> None:
    lines = project.run("explain", "main:app", "GET", "/admin/users", "--as", "role:editor").stdout.splitlines()

    assert lines == [
        "GET /admin/users as role:editor: refused  (GET /admin/users)",
        "  gate: rule /admin/** needs role:admin: refused",
        "    /admin/**: decides",
        "  missing: role:admin is missing",
        "  decided by: gate, rule /admin/**",
    ]


def test_explain_without_an_application_asks_the_usual_one(project: Project) -> None:
    found = project.json("explain", "get", "/log", "--as", "ann=role:editor", "--json")

    assert (found["allowed"], found["missing"], found["as"]) == (False, ["role:auditor is missing"], "ann")
    assert found["decided_by"] == {"by": "dependency", "reason": "require_role"}
    assert [step["by"] for step in found["steps"]] == ["gate", "dependency"]
    assert found["steps"][0]["tried"][0] == {"rule": "/admin/**", "outcome": "another path"}


def test_secrets_are_long_and_never_the_same(project: Project) -> None:
    one, other = (project.run("secret").stdout.strip() for _ in range(2))

    assert len(one) == len(other) == 64
    assert one != other


# How an application is found


@pytest.mark.parametrize("where", ["main:app", "main.py", "main.py:app", "./main.py"])
def test_an_application_is_an_import_string_or_a_file(where: str, project: Project) -> None:
    assert project.json("routes", where, "--json")


def test_an_application_is_what_pyproject_says(project: Project) -> None:
    (project.folder / "main.py").rename(project.folder / "other.py")
    project.write("pyproject.toml", '[tool.fastapi]\nentrypoint = "other:app"\n')

    assert project.json("routes", "--json")


@pytest.mark.parametrize("name", ["main.py", "api.py", "app/main.py"])
def test_an_application_is_in_a_file_of_a_usual_name(name: str, project: Project) -> None:
    text = (project.folder / "main.py").read_text(encoding="utf-8")
    (project.folder / "main.py").unlink()
    project.write(name, text)

    assert project.json("routes", "--json")


def test_a_file_in_a_package_is_imported_as_its_module(project: Project) -> None:
    text = (project.folder / "main.py").read_text(encoding="utf-8")
    project.write("shop/__init__.py", "")
    project.write("shop/web/__init__.py", "")
    project.write("shop/names.py", "NAME = 1\n")
    project.write("shop/web/site.py", f"from ..names import NAME\n{text}")

    assert project.json("routes", "shop/web/site.py", "--json")
    assert project.json("routes", "shop.web.site:app", "--json")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["routes", "nowhere:app"], "nowhere can't be imported: ModuleNotFoundError"),
        (["routes", "nowhere.py"], "There is no file nowhere.py"),
        (["routes", "main:nothing"], "main:nothing: the module has no nothing. Name its application"),
        (["routes", "main:kit"], "main:kit is no application but a SessionKit: name one, as in main:app"),
        (["routes", "main:lifespan"], "no factory is called, so write app = lifespan() in a module and name that"),
        (["routes", "main:app", "--kit", "staff"], "No SessionKit there is called 'staff': there is session"),
        (["matrix", "main:app", "--as", "rolle:admin"], "'rolle:admin' is nothing that a person has"),
        (["matrix", "main:app", "--as", "a=role:x", "--as", "a=role:y"], "Two people have one name"),
        (["explain", "main:app", "GET"], "A path starts with a slash"),
        (["explain", "GET"], "Write it like this"),
        (["lock", "main:app", "--check"], "access.lock can't be read"),
        (["routes", "main:app", "--html", "no/such/folder.html"], "can't be written"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(arguments: list[str], says: str, project: Project) -> None:
    result = project.run(*arguments, code=2)

    (line,) = [line for line in result.stderr.splitlines() if line.startswith("sessionkit: ")]
    assert says in line
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no application"),
        ("from fastapi import FastAPI\napp = FastAPI()\n", "No SessionKit is installed"),
        ("raise SystemExit(7)\n", "can't be imported: SystemExit: 7"),
        ("from fastapi_sessionkit import SessionKit\nkit = SessionKit()\n", "SESSIONKIT_SECRET_KEY"),
    ],
)
def test_a_module_that_is_no_use_says_why(text: str, says: str, project: Project) -> None:
    project.write("main.py", text)

    assert says in project.run("routes", code=2).stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.fastapi]\nentrypoint = 3\n", "entrypoint is written"),
        ("[tool.fastapi", "pyproject.toml can't be read"),
        ("[tool]\nfastapi = 1\n", "[tool.fastapi] is a table"),
    ],
)
def test_a_pyproject_that_is_wrong_says_so(text: str, says: str, project: Project) -> None:
    project.write("pyproject.toml", text)

    assert says in project.run("routes", code=2).stderr


def test_nothing_here_says_how_to_name_one(project: Project) -> None:
    (project.folder / "main.py").unlink()

    assert "sessionkit routes main:app" in project.run("routes", code=2).stderr


def test_a_kit_for_visitors_leaves_no_doubt_whose_people_are_meant(project: Project) -> None:
    project.write(
        "main.py",
        "from fastapi import FastAPI\nfrom pydantic import BaseModel\nfrom fastapi_sessionkit import SessionKit\n"
        "class Basket(BaseModel):\n    packets: int = 0\n"
        "app, key = FastAPI(), 'q7Zp-0mVx_3kTn9LrWc2YdHs8BfJu1GaEe5KiO4oMvXt'\n"
        "for kit in (SessionKit(Basket, secret_key=key, name='basket', anonymous=True), SessionKit(secret_key=key)):\n"
        "    kit.install(app)\n",
    )

    assert project.json("routes", "--json")
    assert project.json("routes", "--kit", "basket", "--json")


def test_one_of_several_kits_is_named(project: Project) -> None:
    project.write(
        "main.py",
        "from fastapi import FastAPI\nfrom fastapi_sessionkit import CookieSettings, SessionKit\napp = FastAPI()\n"
        'for name in ("customers", "staff"):\n'
        '    SessionKit(secret_key="x" * 40, name=name, cookie=CookieSettings(name=name)).install(app)\n',
    )

    assert "--kit and one of customers, staff" in project.run("routes", code=2).stderr
    assert project.json("routes", "--kit", "staff", "--json")


def test_of_two_kits_with_one_name_the_scheme_is_named(project: Project) -> None:
    project.write(
        "main.py",
        "from fastapi import FastAPI\nfrom fastapi_sessionkit import CookieSettings, SessionKit\napp = FastAPI()\n"
        "for name in ('customers', 'staff'):\n"
        "    SessionKit(secret_key='k' * 40, cookie=CookieSettings(name=name)).install(app)\n",
    )

    assert "--kit and one of customers_cookie, staff_cookie" in project.run("routes", code=2).stderr
    assert "--kit and one of customers_cookie" in project.run("routes", "--kit", "session", code=2).stderr
    assert project.json("routes", "--kit", "staff_cookie", "--json")


def test_the_module_is_a_command(project: Project) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "fastapi_sessionkit", "routes"],
        capture_output=True, text=True, check=True, cwd=project.folder, env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip

    assert run.stdout.startswith("METHOD")
    assert "the application was imported" in run.stderr


def test_without_the_extra_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    program = "import sys; sys.modules['typer'] = None\nfrom fastapi_sessionkit.cli import main\nmain()\n"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={"PYTHONPATH": str(Path(__file__).parents[2])}
    )  # fmt: skip

    assert run.returncode == 2
    assert run.stderr == 'The command line needs Typer and Rich: pip install "fastapi-sessionkit[cli]"\n'


# Pages


@pytest.mark.parametrize("command", ["routes", "matrix"])
def test_a_page_needs_no_other_file_and_shows_what_it_is_given_as_text(command: str, project: Project) -> None:
    project.write("main.py", (project.folder / "main.py").read_text(encoding="utf-8") + '\napp.get("/<b>{x}")(file)\n')

    project.run(command, "--html", "page.html")

    page = (project.folder / "page.html").read_text(encoding="utf-8")
    assert "/admin/users" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<!--" not in page
    assert "src=" not in page.replace("-src ", "")
