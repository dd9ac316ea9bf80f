"""``examples/from_sessionmiddleware.py``, ``from_starsessions.py`` and ``two_releases.py``: nobody is signed out by a deploy."""

import pytest

from examples.from_sessionmiddleware import after, before
from examples.from_starsessions import app
from examples.two_releases import main
from tests.support import COOKIE, client_of, holding


def test_who_came_by_the_middleware_is_still_signed_in() -> None:
    old, new = client_of(before), client_of(after)
    assert new.get("/").json() == "Nobody is signed in."
    old.get("/")
    new.cookies = old.cookies  # the same browser

    assert new.get("/").json() == "Still signed in: 7, editor."
    assert list(new.cookies) == [COOKIE]
    new.post("/logout")
    assert new.get("/").json() == "Nobody is signed in."


def test_a_session_of_another_library_moves_once() -> None:
    browser = holding(client_of(app), "0b9cd3a2", "session")
    copy = holding(client_of(app), "0b9cd3a2", "session")

    assert browser.get("/").json() == "Still signed in: 7, editor."
    assert list(browser.cookies) == [COOKIE]
    browser.post("/logout")
    assert [client.get("/").json() for client in (browser, copy)] == ["Nobody is signed in."] * 2


def test_two_releases_read_and_keep_what_the_other_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    main()

    said = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert said == ["Hello, ada, light", "ada, light", "Hi, dark"]
