"""``python -m examples.shop``: what it takes, what it says, and when it says it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from examples.shop.__main__ import arguments
from examples.shop.smoke import REPOSITORY, Answer, Visitor

PATIENCE = 120


def shop(*arguments: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "examples.shop", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(*arguments: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """Its exit status, output and errors, where it ends by itself."""
    process = shop(*arguments, folder=folder, environment=environment)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def address_of(process: subprocess.Popen[str]) -> str:
    """The address that it gives, as soon as it says that it is open."""
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("Furrow is open:")), "")
    return line.split()[-1] if line else pytest.fail(f"It did not open. {rest_of(process.stderr)}")


@contextmanager
def opened(*arguments: str, folder: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its address and its process; ended on the way out."""
    process = shop(*arguments, folder=folder, environment=environment)
    try:
        yield address_of(process), process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def rest_of(stream: IO[str] | None) -> str:
    return stream.read() if stream else ""


def sign_in(visitor: Visitor) -> Answer:
    return visitor.post("/login", username="cleo", password="radish")


def test_help_says_what_there_is_and_starts_nothing(tmp_path: Path) -> None:
    status, output, _ = said("--help", folder=tmp_path, SHOP_PORT="abc", SHOP_HTTPS="maybe", SHOP_STORE="nowhere")

    assert status == 0
    for name in ("--host", "--port", "SHOP_PORT", "SHOP_STORE", "SHOP_HTTPS", "SESSIONKIT_SECRET_KEY"):
        assert name in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["abc", "80000", "-1", "8000.5", "65536", "9" * 5_000])
@pytest.mark.parametrize("by", ["--port", "SHOP_PORT"])
def test_a_port_that_can_not_be_is_one_sentence(
    port: str, by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["shop", f"--port={port}"] if by == "--port" else ["shop"])
    monkeypatch.setenv("SHOP_PORT", port)

    with pytest.raises(SystemExit) as stopped:
        arguments()

    assert stopped.value.code == 2
    assert f"--port or SHOP_PORT is a number from 0 to 65535, not '{port}'" in capsys.readouterr().err


def test_a_port_that_can_not_be_opens_nothing(tmp_path: Path) -> None:
    status, output, errors = said(folder=tmp_path, SHOP_PORT="abc")

    assert (status, output) == (2, "")
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "environment", "port"),
    [
        ([], None, 8000),
        ([], "", 8000),
        ([], "8080", 8080),
        (["--port", "8001"], "8080", 8001),
        (["--port", "8001"], "abc", 8001),
    ],
)
def test_the_command_line_beats_the_environment_which_beats_the_default(
    options: list[str], environment: str | None, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["shop", *options])
    monkeypatch.delenv("SHOP_PORT", raising=False)
    if environment is not None:
        monkeypatch.setenv("SHOP_PORT", environment)

    assert (arguments().host, arguments().port) == ("127.0.0.1", port)


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_port_that_is_taken_is_one_sentence(host: str, family: socket.AddressFamily, tmp_path: Path) -> None:
    with listening(host, family) as taken:
        port = str(taken.getsockname()[1])

        status, output, errors = said("--host", host, "--port", port, folder=tmp_path)

    assert (status, output) == (1, "")
    assert errors == f"The shop can't open. Port {port} is taken: --port chooses another one\n"
    assert list(tmp_path.iterdir()) == []


def listening(host: str, family: socket.AddressFamily) -> socket.socket:
    try:
        return socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_this_machines_is_one_sentence(host: str, tmp_path: Path) -> None:
    status, output, errors = said("--host", host, folder=tmp_path)

    assert (status, output) == (1, "")
    assert errors.startswith(f"The shop can't open at {host}, port 8000. ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"SHOP_HTTPS": "maybe"}, "SHOP_HTTPS is 1 or 0"),
        ({"SHOP_STORE": "shelf"}, "SHOP_STORE is memory, cookie"),
        ({"SHOP_STORE": "missing/shop.sqlite3"}, "can't keep its sessions in"),
        ({"SESSIONKIT_SECRET_KEY": "short"}, "32 characters"),
    ],
)
def test_a_setting_that_can_not_be_opens_nothing(environment: dict[str, str], sentence: str, tmp_path: Path) -> None:
    status, output, errors = said("--port", "0", folder=tmp_path, **environment)

    assert (status, output) == (1, "")
    assert errors.startswith("The shop can't open. ")
    assert sentence in errors
    assert "Traceback" not in errors


def test_without_the_demo_extra_it_says_what_to_install(tmp_path: Path) -> None:
    without = "import sys; sys.modules['uvicorn'] = None; from examples.shop.__main__ import main; main()"

    ran = subprocess.run(
        [sys.executable, "-c", without],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert ran.stderr == "The shop can't open. It needs uvicorn, which is not installed: pip install -e '.[demo]'\n"


@pytest.mark.parametrize(
    ("host", "family", "shown"),
    [
        ("127.0.0.1", socket.AF_INET, r"http://127\.0\.0\.1:\d+"),
        ("0.0.0.0", socket.AF_INET, r"http://127\.0\.0\.1:\d+"),  # noqa: S104
        ("localhost", socket.AF_INET, r"http://(127\.0\.0\.1|\[::1\]):\d+"),
        ("::1", socket.AF_INET6, r"http://\[::1\]:\d+"),
        ("::", socket.AF_INET6, r"http://\[::1\]:\d+"),
    ],
)
def test_the_address_that_it_gives_is_open(host: str, family: socket.AddressFamily, shown: str, tmp_path: Path) -> None:
    listening(host, family).close()

    with opened("--host", host, "--port", "0", folder=tmp_path) as (address, _):
        assert re.fullmatch(shown, address)
        visitor = Visitor(address)
        assert sign_in(visitor).status == 303
        assert "Hello, Cleo" in visitor.get("/dashboard").text


def test_it_says_nothing_of_being_open_when_its_start_fails(tmp_path: Path) -> None:
    """What is wrong shows only once the server starts the application."""
    start = (
        "import contextlib\n"
        "from examples.shop.app import app\n"
        "@contextlib.asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    raise RuntimeError('not today')\n"
        "    yield\n"
        "app.router.lifespan_context = lifespan\n"
        "from examples.shop.__main__ import main\n"
        "main()\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", start, "--port", "0"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode != 0
    assert "not today" in ran.stderr
    assert ran.stdout == ""


def test_stopping_it_by_hand_is_no_error(tmp_path: Path) -> None:
    with opened("--port", "0", folder=tmp_path) as (_, process):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)

        assert process.returncode == 0
        assert errors == ""


def test_a_restart_signs_nobody_out_and_shows_no_key(tmp_path: Path) -> None:
    with opened("--port", "0", folder=tmp_path) as (address, process):
        visitor = Visitor(address)
        sign_in(visitor)
        process.terminate()
        output, errors = rest_of(process.stdout), rest_of(process.stderr)
    key = (tmp_path / "shop.secret").read_text().strip()

    with opened("--port", "0", folder=tmp_path) as (again, _):
        visitor.address = again
        assert "Hello, Cleo" in visitor.get("/dashboard").text

    assert str(tmp_path / "shop.secret") in output
    assert key not in output + errors


def test_a_key_from_the_environment_leaves_none_behind(tmp_path: Path) -> None:
    with opened("--port", "0", folder=tmp_path, SESSIONKIT_SECRET_KEY="k" * 40) as (address, _):
        assert sign_in(Visitor(address)).status == 303

    assert not (tmp_path / "shop.secret").exists()


def test_two_shops_that_start_at_once_in_one_folder_are_one(tmp_path: Path) -> None:
    """One key and one file: who signs in at one is signed in at the other."""
    shops = [shop("--port", "0", folder=tmp_path, environment={}) for _ in range(2)]
    try:
        first, second = map(address_of, shops)
        visitor = Visitor(first)
        sign_in(visitor)
        visitor.address = second

        assert "Hello, Cleo" in visitor.get("/dashboard").text
    finally:
        for process in shops:
            process.terminate()
            process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("store", ["redis://127.0.0.1:1", "postgresql+asyncpg://shop:hunter2@127.0.0.1:1/shop"])
def test_a_database_that_does_not_answer_is_a_page(store: str, tmp_path: Path) -> None:
    with opened("--port", "0", folder=tmp_path, SHOP_STORE=store) as (address, _):
        visitor = Visitor(address)

        assert visitor.get("/").status == 200
        answer = sign_in(visitor)
        assert answer.status == 503
        assert "Back in a moment" in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert "hunter2" not in answer.text
