"""A check's answer lets in only where it is ``True``: whatever else is true in Python denies, and is logged.

A coroutine, a generator and a ``Decision`` are all true, and none of them is a yes.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_sessionkit import (
    Access,
    Decision,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    custom,
    permission,
    require,
    role,
    signed_in,
)
from fastapi_sessionkit.access import Subject
from fastapi_sessionkit.requirements import refusal_of
from fastapi_sessionkit.testing import signed_in as sign_in
from tests.support import SECRET, client_of, new_kit

pytestmark = pytest.mark.anyio

ADA = Session(user_id="ada")


async def no(session: object = None) -> bool:
    return False


def generator(session: object = None) -> Iterator[bool]:
    yield False


async def async_generator(session: object = None) -> AsyncIterator[bool]:
    yield False


async def forgotten_await(session: object = None) -> Any:
    return no(session)


class Truthy:
    """Such as a row of a database."""


NO_ANSWERS: dict[str, Callable[..., Any]] = {
    "a coroutine that nobody awaited": forgotten_await,
    "a generator": generator,
    "an async generator": async_generator,
    "a decision": lambda *_: Decision(False, None, "no"),
    "a requirement": lambda *_: role("admin"),
    "an object": lambda *_: Truthy(),
    "a class": lambda *_: bool,
    "a text": lambda *_: "false",
    "one": lambda *_: 1,
    "a list": lambda *_: [False],
    "a mapping": lambda *_: {"allowed": False},
}
PLAIN_NO: dict[str, Any] = {"False": False, "None": None, "zero": 0, "0.0": 0.0, "text": "", "list": [], "dict": {}}


async def letting_in(check: Callable[..., Any], where: str) -> bool:
    """Whether somebody is let in by a check that stands in one of the places for checks."""
    rule, access = Rule("/a", allow=check), Access()
    if where == "custom":
        rule = Rule("/a", requires=custom(check) & signed_in)
    elif where == "Access.check":
        rule, access = Rule("/a", role="admin"), Access(check=lambda rule, session: check(session))
    return (await RouterGuard([rule]).decide("GET", "/a", ADA, access=access)).allowed


@pytest.mark.parametrize("where", ["allow", "custom", "Access.check"])
@pytest.mark.parametrize("kind", NO_ANSWERS)
async def test_attack_what_is_no_yes_or_no_lets_nobody_in_and_is_logged(
    kind: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await letting_in(NO_ANSWERS[kind], where)

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "neither True nor plainly false, so it denies" in caplog.text


@pytest.mark.parametrize("where", ["allow", "custom", "Access.check"])
@pytest.mark.parametrize("kind", PLAIN_NO)
async def test_what_is_plainly_false_is_a_no_like_any_other(
    kind: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await letting_in(lambda _: PLAIN_NO[kind], where)
    assert not caplog.records


@pytest.mark.parametrize("where", ["allow", "custom", "Access.check"])
async def test_true_is_a_yes(where: str) -> None:
    async def yes(session: object) -> bool:
        return True

    assert await letting_in(lambda _: True, where)
    assert await letting_in(yes, where)


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_attack_what_is_no_yes_or_no_lets_nobody_through_gate_or_dependency(kind: str) -> None:
    app, kit = FastAPI(), new_kit()
    app.get("/rule")(lambda: None)
    app.get("/dependency", dependencies=[Depends(require(custom(NO_ANSWERS[kind])))])(lambda: None)
    kit.install(app, guard=RouterGuard([Rule("/rule", allow=NO_ANSWERS[kind])]))
    client = sign_in(client_of(app), kit, ADA)

    assert client.get("/rule").status_code == 403
    assert client.get("/dependency").status_code == 403


# Names that a hook or a session gives


NO_NAMES: dict[str, Any] = {
    "a mapping": {"pay": False},
    "one name": "pay",
    "bytes": b"pay",
    "a set with what is no string": {"pay", 1},
    "a list with what is no string": ["pay", None],
    "a tuple with what is no string": ("pay", b"read"),
    "a generator": iter(["pay"]),
    "nothing": None,
    "an async generator": async_generator(),
}


def hooks(given: Any) -> Access:
    return Access(get_roles=lambda _: given, get_permissions=lambda _: given)


@pytest.mark.parametrize("kind", NO_NAMES)
@pytest.mark.parametrize("asked", [role("pay"), permission("pay")], ids=str)
async def test_attack_a_hook_that_gives_no_list_of_names_grants_nothing(
    kind: str, asked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    given = NO_NAMES[kind] if kind != "a generator" else iter(["pay"])

    assert await refusal_of(asked, Subject(ADA, hooks(given))) == f"{asked} is missing"
    assert "The Access hook could not give" in caplog.text


@pytest.mark.parametrize("given", [["pay"], ("pay",), {"pay"}, frozenset({"pay"}), {"pay": 1}.keys()], ids=repr)
async def test_a_hook_may_give_any_collection_of_names(given: Any) -> None:
    assert await refusal_of(role("pay"), Subject(ADA, hooks(given))) is None


@pytest.mark.parametrize(
    "given", [{"pay": False}, "pay", ["pay", None], pytest.param(iter(["pay"]), id="an iterator")], ids=repr
)
async def test_attack_a_model_that_keeps_no_list_of_names_grants_nothing(
    given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd:
        permissions = given

    assert await refusal_of(permission("pay"), Subject(Odd())) == "permission:pay is missing"
    assert "The session could not give permissions" in caplog.text


async def test_an_attribute_that_raises_grants_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Odd:
        @property
        def permissions(self) -> tuple[str, ...]:
            raise LookupError("SECRET")

    assert await refusal_of(permission("pay"), Subject(Odd())) == "permission:pay is missing"
    assert "LookupError in permissions" in caplog.text
    assert "SECRET" not in caplog.text


# The hook has the last word, wherever a requirement is asked


def application(access: Access, model: Any = Session) -> tuple[FastAPI, Any]:
    app, kit = FastAPI(), SessionKit(model, secret_key=SECRET, access=access)
    app.get("/rule")(lambda: None)
    app.get("/dependency", dependencies=[Depends(require(role("admin")))])(lambda: None)
    kit.install(app, guard=RouterGuard([Rule("/rule", role="admin")]))
    return app, kit


@pytest.mark.parametrize("path", ["/rule", "/dependency"])
@pytest.mark.parametrize("names", [[], ["administrator"], "administrator"], ids=repr)
def test_attack_a_role_that_the_hook_does_not_give_lets_nobody_in(path: str, names: Any) -> None:
    app, kit = application(Access(get_roles=lambda _: names))
    client = sign_in(client_of(app), kit, Session(user_id="ada", role="admin"))

    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", ["/rule", "/dependency"])
def test_attack_a_model_that_keeps_its_roles_in_one_text_grants_none(path: str) -> None:
    class Odd(Session):
        @property
        def all_roles(self) -> Any:
            return "administrator"

    app, kit = application(Access(), Odd)
    client = sign_in(client_of(app), kit, Odd(user_id="ada", role="admin"))

    assert client.get(path).status_code == 403


# What is asked of the application is asked once, and at once where it can be


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_hook_is_asked_once_for_a_decision(asynchronous: bool) -> None:
    asked: list[object] = []

    async def later(names: list[str]) -> list[str]:
        return names

    def get_roles(session: object) -> Any:
        asked.append(session)
        return later(["c"]) if asynchronous else ["c"]

    rule = Rule("/a", requires=(role("a", "b") | permission("x") | role("c")) & role("c"))
    decision = await RouterGuard([rule]).decide("GET", "/a", ADA, access=Access(get_roles=get_roles))

    assert decision.allowed
    assert asked == [ADA]


async def test_each_check_is_called_once_for_a_decision_in_order() -> None:
    called: list[str] = []

    def sync_check(session: object) -> bool:
        called.append("sync")
        return True

    async def async_check(session: object) -> bool:
        called.append("async")
        return True

    rule = Rule(
        "/a", requires=custom(sync_check) & custom(async_check) & custom(lambda _: called.append("last") or True)
    )

    assert (await RouterGuard([rule]).decide("GET", "/a", ADA)).allowed
    assert called == ["sync", "async", "last"]


async def test_the_same_check_is_called_again_for_the_next_decision() -> None:
    answers = iter([True, False])
    guard = RouterGuard([Rule("/a", allow=lambda _: next(answers))])

    assert [(await guard.decide("GET", "/a", ADA)).allowed for _ in range(2)] == [True, False]


def test_roles_and_permissions_without_hooks_are_told_without_a_coroutine(monkeypatch: pytest.MonkeyPatch) -> None:
    app, kit = application(Access())
    client = sign_in(client_of(app), kit, Session(user_id="ada", role="admin"))
    waited: list[object] = []
    for module in ("guard", "dependencies"):
        monkeypatch.setattr(f"fastapi_sessionkit.{module}.refusal_of", lambda *asked: waited.append(asked))

    assert [client.get(path).status_code for path in ("/rule", "/dependency")] == [200, 200]
    assert waited == []
