"""``examples/shop``: the key beside SQLite's file: made once, whole, for its owner alone."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.shop.key import kept_key
from examples.shop.storage import key_file, secret_key_for
from fastapi_sessionkit import ConfigurationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.secret"


def test_the_key_is_made_once_and_found_again(file: Path) -> None:
    made = kept_key(file)

    assert len(made) >= 32
    assert kept_key(file) == made
    assert file.read_text() == f"{made}\n"


def test_every_folder_has_a_key_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()

    assert kept_key(folders[0] / "shop.secret") != kept_key(folders[1] / "shop.secret")


def test_only_its_owner_may_read_it(file: Path) -> None:
    before = os.umask(0)
    try:
        kept_key(file)
    finally:
        os.umask(before)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_else_is_left_behind(file: Path) -> None:
    kept_key(file)

    assert list(file.parent.iterdir()) == [file]


def test_shops_that_start_at_once_find_one_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None has seen the file when it begins to make it."""
    monkeypatch.setattr(Path, "exists", lambda self: False)

    with ThreadPoolExecutor(8) as shops:
        keys = set(shops.map(kept_key, [file] * 32))

    assert keys == {file.read_text().strip()}


def test_a_file_that_is_there_is_whole_at_any_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that is cut short before the last step leaves none."""

    def killed(draft: str, place: Path) -> None:
        assert len(Path(draft).read_text()) > 32
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", killed)

    with pytest.raises(KeyboardInterrupt):
        kept_key(file)

    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"too short", b"\xff" * 64])
def test_a_file_that_holds_no_key_is_not_used(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"shop\.secret holds no key: remove it"):
        kept_key(file)

    assert file.read_bytes() == content


def test_a_key_that_can_not_be_kept_is_said(file: Path) -> None:
    file.mkdir()

    with pytest.raises(ConfigurationError, match=r"can't keep its key in .*shop\.secret .*SESSIONKIT_SECRET_KEY"):
        kept_key(file)


def test_the_key_stands_beside_the_file_of_the_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert key_file("shop.sqlite3") == tmp_path / "shop.secret"
    assert key_file("other.db") == tmp_path / "other.secret"
    assert secret_key_for("shop.sqlite3") == secret_key_for(str(tmp_path / "shop.sqlite3"))


@pytest.mark.parametrize("store", ["memory", "cookie", "redis://localhost", "postgresql+asyncpg://localhost/shop"])
def test_elsewhere_the_key_is_of_this_run(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert key_file(store) is None
    assert secret_key_for(store) != secret_key_for(store)
    assert list(tmp_path.iterdir()) == []
