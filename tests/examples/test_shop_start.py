"""``examples/shop``: starting it, with and without settings, and the walk that CI takes through the real server."""

import subprocess
import sys
from email.message import Message
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from examples.shop import smoke
from examples.shop.settings import Settings
from examples.shop.storage import make_backend
from examples.shop.welcome import welcome
from fastapi_sessionkit import ConfigurationError, CookieBackend, MemoryStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP_PORT", "SHOP_HTTPS", "SHOP_STORE", "SESSIONKIT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_has_to_be_set() -> None:
    assert Settings.from_environment() == Settings(https=False, store="shop.sqlite3", secret_key=None)


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_HTTPS", "1")
    monkeypatch.setenv("SHOP_STORE", "memory")
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", "k" * 40)

    assert Settings.from_environment() == Settings(https=True, store="memory", secret_key="k" * 40)


def test_what_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP_HTTPS", "SHOP_STORE", "SESSIONKIT_SECRET_KEY"):
        monkeypatch.setenv(name, "")

    assert Settings.from_environment() == Settings(https=False, store="shop.sqlite3", secret_key=None)


@pytest.mark.parametrize("https", ["true", "yes", "2"])
def test_https_that_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch, https: str) -> None:
    monkeypatch.setenv("SHOP_HTTPS", https)

    with pytest.raises(ConfigurationError, match="SHOP_HTTPS is 1 or 0"):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        ("cookie", CookieBackend),
        ("memory", MemoryStore),
        ("shop.sqlite3", SQLStore),
        ("sqlite:///shop.sqlite3", SQLStore),
        ("sqlite+aiosqlite:///shop.sqlite3", SQLStore),
        ("postgresql+asyncpg://localhost/shop", SQLStore),
        ("redis://localhost", RedisStore),
        ("valkey://localhost", RedisStore),
        ("redis+cluster://localhost:7000", RedisStore),
    ],
)
def test_the_store_is_chosen_by_name(store: str, kind: type) -> None:
    assert isinstance(make_backend(store), kind)


def test_by_default_the_file_is_where_the_shop_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    store = make_backend(Settings.from_environment().store)

    assert engine_of(store).url.database == str(tmp_path / "shop.sqlite3")


def engine_of(store: object) -> AsyncEngine:
    assert isinstance(store, SQLStore)
    return store.engine


@pytest.mark.parametrize(
    "store", ["shelf", "cookies", "mysql://localhost/shop", "postgres", "oracle+none://x/y", "shop.secret"]
)
def test_an_unknown_store_says_what_there_is(store: str) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql\+asyncpg://|SQLite and PostgreSQL"):
        make_backend(store)


def test_a_file_in_a_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SHOP_STORE chooses another place"):
        make_backend(str(tmp_path / "missing" / "shop.sqlite3"))


@pytest.mark.parametrize(
    ("store", "package", "extra"),
    [("shop.sqlite3", "sqlalchemy", "sql"), ("redis://localhost", "redis", "redis")],
)
def test_a_missing_extra_is_one_sentence_that_says_what_to_install(
    store: str, package: str, extra: str, tmp_path: Path
) -> None:
    without = f"import sys; sys.modules[{package!r}] = None; from examples.shop.__main__ import main; main()"
    command = [sys.executable, "-c", without, "--port", "0"]
    environment = {"PYTHONPATH": str(smoke.REPOSITORY), "SHOP_STORE": store}

    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert ran.stderr.startswith("The shop can't open.")
    assert f"pip install -e '.[demo,{extra}]'" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def welcomed(store: str = "memory", secret_key: str | None = None, *, https: bool = False) -> str:
    return welcome(Settings(https=https, store=store, secret_key=secret_key), "http://[::1]:8080")


def test_the_welcome_says_where_to_look_and_with_whom_to_sign_in() -> None:
    text = welcomed()

    assert "http://[::1]:8080\n" in text
    assert "http://[::1]:8080/docs\n" in text
    for username, password in (("ada", "orchard"), ("emil", "trellis"), ("cleo", "radish")):
        assert f"{username} " in text
        assert password in text


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("memory", "kept in this process."),
        ("cookie", "kept in the browsers' cookies."),
        ("shop.sqlite3", f"kept in {Path.cwd() / 'shop.sqlite3'}."),
        ("redis://:hunter2@localhost", "kept in the redis database that SHOP_STORE names."),
    ],
)
def test_the_welcome_says_where_sessions_are_and_no_password(store: str, said: str) -> None:
    text = welcomed(store=store)

    assert said in text
    assert "hunter2" not in text


@pytest.mark.parametrize("store", ["memory", "cookie", "redis://localhost", "sqlite:///shop.sqlite3"])
def test_the_welcome_warns_of_a_key_that_does_not_last(store: str) -> None:
    assert "signs everybody out" in welcomed(store=store)
    assert "signs everybody out" not in welcomed(store=store, secret_key="k" * 40)


def test_the_welcome_says_where_the_key_is_and_not_what_it_is() -> None:
    kept = f"key that signs them is kept in {Path.cwd() / 'shop.secret'}."

    assert kept in welcomed(store="shop.sqlite3")
    assert "signs everybody out" not in welcomed(store="shop.sqlite3")
    assert kept not in welcomed(store="shop.sqlite3", secret_key="k" * 40)


def test_the_welcome_says_what_https_needs() -> None:
    assert "a proxy before this address speaks https" in welcomed(https=True)
    assert "https" not in welcomed()


def test_the_real_server_can_be_walked_through_and_survives_a_restart(capsys: pytest.CaptureFixture[str]) -> None:
    smoke.main()

    said = capsys.readouterr().out
    assert "FAILED" not in said
    assert said.endswith("The shop is well.\n")


def test_the_walk_stops_at_the_first_step_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    answer = smoke.Answer(500, Message(), "Internal Server Error")

    with pytest.raises(SystemExit) as stopped:
        smoke.step("The front page is open", answer, smoke.shows(200, "Seeds"))

    assert stopped.value.code == 1
    assert "FAILED  The front page is open" in capsys.readouterr().out
