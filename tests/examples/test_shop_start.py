"""``examples/shop``: starting it, with and without settings, and the walk that CI takes through the real server."""

from email.message import Message

import pytest

from examples.shop import smoke
from examples.shop.__main__ import welcome
from examples.shop.sessions import make_backend
from examples.shop.settings import Settings
from fastapi_sessionkit import CookieBackend, MemoryStore


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP_PORT", "SHOP_HTTPS", "SHOP_STORE", "SESSIONKIT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_has_to_be_set() -> None:
    settings = Settings.from_environment()

    assert (settings.port, settings.https, settings.store) == (8000, False, "cookie")


def test_without_a_key_every_run_makes_its_own() -> None:
    first, second = Settings.from_environment(), Settings.from_environment()

    assert first.forgetful
    assert first.secret_key != second.secret_key


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PORT", "8080")
    monkeypatch.setenv("SHOP_HTTPS", "1")
    monkeypatch.setenv("SHOP_STORE", "memory")
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", "k" * 40)

    assert Settings.from_environment() == Settings(
        8080, https=True, store="memory", secret_key="k" * 40, forgetful=False
    )


@pytest.mark.parametrize(("store", "kind"), [("cookie", CookieBackend), ("memory", MemoryStore)])
def test_the_store_is_chosen_by_name(store: str, kind: type) -> None:
    assert isinstance(make_backend(store), kind)


def test_an_unknown_store_says_what_there_is() -> None:
    with pytest.raises(ValueError, match="SHOP_STORE is cookie or memory, not 'shelf'"):
        make_backend("shelf")


def test_the_welcome_says_where_to_look_and_with_whom_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PORT", "8080")

    text = welcome(Settings.from_environment())

    assert "http://127.0.0.1:8080" in text
    for username, password in (("ada", "orchard"), ("emil", "trellis"), ("cleo", "radish")):
        assert f"{username} " in text
        assert password in text


def test_the_welcome_warns_of_a_key_that_does_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "signs everybody out" in welcome(Settings.from_environment())

    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", "k" * 40)

    assert "signs everybody out" not in welcome(Settings.from_environment())


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
