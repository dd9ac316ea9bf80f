"""How long and of what characters a redirect target and ``next`` may be, and what HTMX says about its page."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import ConfigurationError, RouterGuard, Rule, login_redirect_target
from tests.support import client_of, new_kit

LONGEST = 2_048


def client(**settings: Any) -> TestClient:
    app = FastAPI()
    new_kit().install(app, guard=RouterGuard([Rule("/page/**")], login_path="/login", **settings))
    app.get("/login")(lambda request: None)

    @app.get("/target")
    def target(request: Request) -> str:
        return login_redirect_target(request, "/default")

    return client_of(app)


@pytest.mark.parametrize(("length", "taken"), [(LONGEST, True), (LONGEST + 1, False)])
def test_next_has_at_most_2048_characters(length: int, taken: bool) -> None:
    wanted = "/" + "x" * (length - 1)

    assert client().get("/target", params={"next": wanted}).json() == (wanted if taken else "/default")


def test_next_that_is_too_long_once_it_is_encoded_counts_as_none() -> None:
    assert client().get("/target", params={"next": "/" + "\u00e9" * 300}).json() == "/" + "%C3%A9" * 300
    assert client().get("/target", params={"next": "/" + "\u00e9" * 400}).json() == "/default"


@pytest.mark.parametrize(
    "wanted",
    ["", "page", "//evil.example", "/\\evil.example", "https://evil.example", "/a\x00", "/a b", "/\t/evil.example", "/\u2028"],
)  # fmt: skip
def test_attack_next_that_is_no_path_on_this_site_counts_as_none(wanted: str) -> None:
    assert client().get("/target", params={"next": wanted}).json() == "/default"


def test_next_given_twice_counts_as_none() -> None:
    assert client().get("/target?next=/a&next=/b").json() == "/default"


@pytest.mark.parametrize(("length", "carried"), [(LONGEST, True), (LONGEST + 1, False)])
def test_a_page_too_long_to_come_back_to_is_not_carried_to_the_login_page(length: int, carried: bool) -> None:
    path = "/page/" + "x" * (length - len("/page/"))

    location = client().get(path, headers={"Sec-Fetch-Mode": "navigate"}).headers["location"]

    assert parse_qs(urlsplit(location).query) == ({"next": [path]} if carried else {})


@pytest.mark.parametrize(("length", "accepted"), [(LONGEST, True), (LONGEST + 1, False)])
@pytest.mark.parametrize("setting", ["redirect_to", "home_path"])
def test_a_target_in_the_settings_has_at_most_2048_characters(setting: str, length: int, accepted: bool) -> None:
    def make() -> object:
        target: Any = {setting: "/sorry?why=" + "x" * (length - len("/sorry?why="))}
        return Rule("/a", **target) if setting == "redirect_to" else RouterGuard(**target)

    if accepted:
        make()
    else:
        with pytest.raises(ConfigurationError, match="a path on this site"):
            make()


@pytest.mark.parametrize(
    ("page", "carried"),
    [
        ("https://testserver", "/"),
        ("https://testserver?tab=2", "/?tab=2"),
        ("https://testserver/list?tab=2#row", "/list?tab=2"),
        ("", None),
        ("https://[", None),
        ("https://testserver//evil.example", None),
    ],
)
def test_htmx_is_sent_to_the_login_page_with_the_page_that_it_was_on(page: str, carried: str | None) -> None:
    answer = client().get("/page/part", headers={"HX-Request": "true", "HX-Current-URL": page})

    assert answer.status_code == 401
    target = urlsplit(answer.headers["hx-redirect"])
    assert (target.path, parse_qs(target.query)) == ("/login", {} if carried is None else {"next": [carried]})
