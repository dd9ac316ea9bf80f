"""README's application, the quickstart's and the smallest example, as a browser follows them: no way ends nowhere."""

import logging
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from tests.examples.first_applications import FORMS, PROTECTED, PROTECTED_DOCUMENTATION, code_of

BROWSER = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate"}


@pytest.fixture(params=FORMS)
def page(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(page: str, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", "k" * 40)
    module = ModuleType("main")
    monkeypatch.setitem(sys.modules, "main", module)
    exec(compile(code_of(page), page, "exec"), vars(module))  # noqa: S102 (the repository's own documentation)
    app = module.app
    assert isinstance(app, FastAPI)
    return app


@pytest.fixture
def browser(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="https://testserver", headers=BROWSER) as browser:
        yield browser


def pages_of(app: FastAPI) -> set[str]:
    return {route.path for route in app.routes if isinstance(route, APIRoute) and "GET" in (route.methods or ())}


def test_every_page_is_open_or_leads_to_a_form(app: FastAPI, browser: TestClient, page: str) -> None:
    protected = set()
    for path in pages_of(app):
        answer = browser.get(path)

        assert answer.status_code == 200
        if path != "/login" and answer.url.path == "/login":
            assert '<form method="post">' in answer.text
            protected.add(path)

    assert protected == PROTECTED[page]


def test_the_form_leads_back_to_where_one_wanted_to_go(app: FastAPI, page: str) -> None:
    for path in PROTECTED[page]:
        with TestClient(app, base_url="https://testserver", headers=BROWSER) as browser:
            form = browser.get(path).url

            arrived = browser.post(form, data=FORMS[page][0])

            assert (arrived.status_code, arrived.url.path) == (200, path)


def test_without_a_wish_the_form_leads_to_a_page(browser: TestClient, page: str) -> None:
    for form in FORMS[page]:
        arrived = browser.post("/login", data=form)

        assert arrived.status_code == 200
        browser.cookies.clear()


def test_the_form_follows_no_open_redirect(browser: TestClient, page: str) -> None:
    answer = browser.post("/login?next=//evil.example", data=FORMS[page][0], follow_redirects=False)

    assert answer.headers["location"].startswith("/")
    assert not answer.headers["location"].startswith("//")


def test_the_others_are_refused_at_the_admins_pages(browser: TestClient, page: str) -> None:
    admins = next(path for path in PROTECTED[page] if path.startswith("/admin"))

    assert browser.post(f"/login?next={admins}", data=FORMS[page][1]).status_code == 403


def test_the_documentation_is_open_unless_the_rules_protect_it(browser: TestClient, page: str) -> None:
    for path in ("/docs", "/openapi.json"):
        answer = browser.get(path)

        expected = "/login" if page in PROTECTED_DOCUMENTATION else path
        assert (answer.status_code, answer.url.path) == (200, expected)


def test_what_is_not_there_leads_to_the_form(browser: TestClient) -> None:
    answer = browser.get("/nothing-here")

    assert (answer.status_code, answer.url.path) == (200, "/login")


def test_everybody_may_call_only_what_is_meant_for_everybody(app: FastAPI) -> None:
    found = {finding.code for finding in sys.modules["main"].kit.audit(app).findings}

    assert found <= {"weak-secret"}  # the key of this test


def test_nothing_is_reported_at_startup(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a rule about a path that is not there, nor a sign-in that nobody can reach."""
    with caplog.at_level(logging.WARNING), TestClient(app):
        pass

    assert caplog.messages == []
