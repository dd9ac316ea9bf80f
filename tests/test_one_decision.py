"""``RouterGuard.decisions``: the order is written once, and everything that decides, documents or reports reads it."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import Access, RouterGuard, Rule, Session, role, signed_in
from fastapi_sessionkit.decisions import Choice, Decisions
from fastapi_sessionkit.testing import signed_in as sign_in
from tests.support import client_of, new_kit

SCHEME = "session_cookie"

Guarded = Callable[[RouterGuard], FastAPI]


async def endpoint() -> None: ...


def by_gate(guard: RouterGuard) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/login", endpoint)
    app.add_api_route("/page/{x}", endpoint)
    new_kit().install(app, guard=guard)
    return app


def by_dependency(guard: RouterGuard) -> FastAPI:
    app, router = FastAPI(), APIRouter(dependencies=[Depends(guard)])
    router.add_api_route("/login", endpoint)
    router.add_api_route("/page/{x}", endpoint)
    app.include_router(router)
    new_kit().install(app)
    return app


def test_the_choices_are_the_rules_then_what_stays_open_and_the_fallback() -> None:
    first, second, third = Rule("/a", role="admin"), Rule("/b", methods=["POST"]), Rule("/c", public=True)
    guard = RouterGuard([first, second, third], global_protect=True, exclude=["/d/**"], login_path="/login")

    of_get, of_post = guard.decisions("GET"), guard.decisions("post")

    assert [choice.rule for choice in of_post.choices] == [first, second, third, None, None]
    assert [choice.rule for choice in of_get.choices] == [first, third, None, None]
    assert [(choice.pattern.text, str(choice.requirement), choice.reason) for choice in of_get.choices] == [
        ("/a", "role:admin", "a rule"),
        ("/c", "None", "public"),
        ("/d/**", "None", "excluded from global protection"),
        ("/login", "None", "the login page"),
    ]
    assert (of_get.fallback.rule, of_get.fallback.requirement) == (None, signed_in)


def test_without_global_protection_nothing_but_a_rule_is_a_choice() -> None:
    guard = RouterGuard([Rule("/a")], exclude=["/d/**"], login_path="/login")

    assert [choice.pattern.text for choice in guard.decisions("GET").choices] == ["/a"]
    assert guard.decisions("GET").fallback.requirement is None


def test_methods_that_no_rule_names_share_their_decisions() -> None:
    """Otherwise a client could make a guard build an index for each method that it makes up."""
    guard = RouterGuard([Rule("/a", methods=["POST"]), Rule("/b")])

    assert guard.decisions("MADE-UP") is guard.decisions("ALSO-MADE-UP") is guard.decisions("GET")
    assert guard.decisions("POST") is not guard.decisions("GET")


def test_decisions_do_not_change() -> None:
    decisions = RouterGuard([Rule("/a")]).decisions("GET")

    with pytest.raises(dataclasses.FrozenInstanceError):
        decisions.fallback = decisions.choices[0]  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        decisions.choices[0].requirement = None  # type: ignore[misc]


@pytest.fixture
def members_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing matches, somebody has to be a member: changed in the one place that says what is chosen from."""
    decisions = RouterGuard.decisions

    def changed(guard: RouterGuard, method: str) -> Decisions:
        made = decisions(guard, method)
        fallback = dataclasses.replace(made.fallback, requirement=role("member"), reason="the fallback")
        return dataclasses.replace(made, fallback=fallback)

    monkeypatch.setattr(RouterGuard, "decisions", changed)


@pytest.mark.usefixtures("members_only")
@pytest.mark.parametrize("application", [by_gate, by_dependency])
def test_what_is_enforced_documented_and_reported_moves_with_the_fallback(
    application: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(RouterGuard(login_path="/login"))
    kit = new_kit()

    with client_of(app) as client:
        assert client.get("/page/1").status_code == 401
        sign_in(client, kit, Session(user_id="ada"))
        assert client.get("/page/1").status_code == 403
        sign_in(client, kit, Session(user_id="ada", role="member"))
        assert client.get("/page/1").status_code == 200
    assert app.openapi()["paths"]["/page/{x}"]["get"]["security"] == [{SCHEME: ["role:member"]}]
    assert "Nobody can sign in at /login: the fallback asks for role:member there." in caplog.text


@pytest.mark.anyio
@pytest.mark.usefixtures("members_only")
async def test_what_decide_says_moves_with_the_fallback() -> None:
    decision = await RouterGuard().decide("GET", "/page", Session(user_id="ada"))

    assert (decision.allowed, decision.reason) == (False, "role:member is missing")


@pytest.mark.parametrize("application", [by_gate, by_dependency])
def test_a_choice_that_is_put_first_decides_everywhere(
    application: Guarded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    guard = RouterGuard([Rule("/page/**", public=True)])
    shut = Choice(Rule("/page/**").path, Rule("/page/**", role="admin"), role("admin"), "first of all")
    decisions = guard.decisions("GET")
    changed = dataclasses.replace(decisions, choices=(shut, *decisions.choices))
    monkeypatch.setattr(RouterGuard, "decisions", lambda guard, method: changed)
    app = application(guard)

    with caplog.at_level(logging.WARNING), client_of(app) as client:
        assert client.get("/page/1").status_code == 401
    assert app.openapi()["paths"]["/page/{x}"]["get"]["security"] == [{SCHEME: ["role:admin"]}]
    assert "Rule /page/** never decides: rule /page/** comes before it" in caplog.text


def test_a_choice_is_held_against_the_kit_s_check_in_place_of_its_conditions() -> None:
    rule = Rule("/a", role="admin")
    access = Access(check=lambda rule, session: False)
    decisions = RouterGuard([rule, Rule("/open", public=True)], global_protect=True).decisions("GET")

    assert str(decisions.find("/a").required(access)).startswith("custom:")
    assert decisions.find("/b").required(access) is signed_in
    assert decisions.find("/open").required(access) is None


@pytest.mark.parametrize(
    ("rules", "hidden"),
    [
        (["/**", "/a"], {"/a": "/**"}),
        (["/a", "/**"], {}),
        (["/", "/a", "/a/x", "/a/**", "/**"], {}),
        (["/a/*", "/a/**", "/a/b", "/a"], {"/a/b": "/a/*", "/a": "/a/**"}),
        (["/*/x", "/b/*", "/b/x", "/**/x"], {"/b/x": "/*/x"}),
        (["/a", "/b", "/a"], {"/a": "/a"}),
    ],
)
def test_a_choice_that_an_earlier_one_covers_is_hidden(rules: list[str], hidden: dict[str, str]) -> None:
    decisions = RouterGuard([Rule(each) for each in rules]).decisions("GET")

    found = {later.pattern.text: earlier.pattern.text for later, earlier in decisions.hidden.items()}

    assert found == hidden


def test_thousands_of_rules_are_held_against_each_other_in_no_time() -> None:
    """One look-up for each, where comparing every pair would take half a million."""
    compared: Any = []
    guard = RouterGuard([Rule(f"/area-{number}/*") for number in range(1_000)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastapi_sessionkit.decisions.covers", lambda *pair: compared.append(pair))
        hidden = guard.decisions("GET").hidden

    assert (hidden, compared) == ({}, [])
