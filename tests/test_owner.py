"""``owner``, and checks that read the segments of the path: what they hold for, and what is a mistake when it is made."""

import functools
import logging
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, SecretStr

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    Requirement,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    custom,
    owner,
    require,
    role,
)
from fastapi_sessionkit.access import Subject
from fastapi_sessionkit.testing import signed_in
from tests.support import SECRET, client_of

pytestmark = pytest.mark.anyio

KEY = "550e8400-e29b-41d4-a716-446655440000"


class Team(Enum):
    BLUE = "blue"


class Number(IntEnum):
    SEVEN = 7


class Name(str):
    """Says something else when it is printed."""

    __slots__ = ()

    def __str__(self) -> str:
        return "root"


def shown(value: Any) -> str:
    items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value  # in every process the same
    return f"{type(value).__name__} {items!r}"


async def owns(value: Any, segment: str) -> bool:
    session = SimpleNamespace(thing=value)
    reason = await owner("id", field="thing").refusal(Subject(session, segments={"id": segment}))
    assert reason in (None, "owner:id(thing) is somebody else's")
    return reason is None


def test_its_name_says_which_segment_and_which_field() -> None:
    assert str(owner("user_id")) == "owner:user_id"
    assert str(owner("id")) == "owner:id"
    assert str(owner("team", field="teams") | role("admin")) == "owner:team(teams) | role:admin"
    assert owner("id") == owner("id") != owner("id", field="email")


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("7", "7"),
        (7, "7"),
        (Number.SEVEN, "7"),
        (Team.BLUE, "blue"),
        (Name("ada"), "ada"),
        (UUID(KEY), KEY),
        (["blue", "red"], "red"),
        (("blue",), "blue"),
        ({"blue", "red"}, "blue"),
        (frozenset({7, 8}), "8"),
        ([None, Team.BLUE], "blue"),
        ("Ünïcode x", "Ünïcode x"),
    ],
    ids=shown,
)
async def test_it_holds_for_the_value_and_for_one_of_its_values(value: Any, segment: str) -> None:
    assert await owns(value, segment)


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("70", "7"),
        ("ada", "a"),
        ("ada", "Ada"),
        ("7", "007"),
        (7, "007"),
        ("007", "7"),
        (7, "7.0"),
        (7, "+7"),
        (7, "\u0667"),
        (UUID(KEY), KEY.upper()),
        (UUID(KEY), KEY.replace("-", "")),
        ("caf\u00e9", "cafe\u0301"),
        (Name("ada"), "root"),
        (Team.BLUE, "Team.BLUE"),
        ("None", "null"),
        (None, "None"),
        ([None], "None"),
        ([], "[]"),
        ([], "blue"),
        (["ada"], "a"),
        (["blue", "red"], "['blue', 'red']"),
        ("", ""),
    ],
    ids=shown,
)
async def test_it_holds_for_no_other_text(value: Any, segment: str, caplog: pytest.LogCaptureFixture) -> None:
    session = SimpleNamespace(thing=value)

    assert await owner("id", field="thing").refusal(Subject(session, segments={"id": segment})) is not None
    assert not caplog.records


class Nested(BaseModel):
    id: str = "7"


NO_IDS: dict[str, tuple[Any, str]] = {
    "a mapping": ({"7": True}, "7"),
    "bytes": (b"7", "7"),
    "bytes as numbers": (b"7", "55"),
    "a bytearray": (bytearray(b"7"), "55"),
    "a memoryview": (memoryview(b"7"), "55"),
    "yes": (True, "True"),
    "a float": (7.0, "7.0"),
    "a secret": (SecretStr("7"), "**********"),
    "a model": (Nested(), "id='7'"),
    "an iterator": (iter(["7"]), "7"),
    "a list in a list": ([["7"]], "7"),
    "a list with a mapping": (["7", {"8": 1}], "7"),
    "a list of bytes": ([b"7"], "7"),
    "a function": (lambda: "7", "7"),
}


@pytest.mark.parametrize("kind", NO_IDS)
async def test_attack_a_value_that_is_no_plain_id_owns_nothing_and_is_logged(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    value, segment = NO_IDS[kind]

    assert not await owns(value, segment)

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "it owns nothing" in caplog.text


async def test_a_property_that_raises_owns_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Session):
        @property
        def thing(self) -> str:
            raise KeyError(self.user_id)

    session = Broken(user_id="SECRET")

    assert await owner("id", field="thing").refusal(Subject(session, segments={"id": "7"})) is not None
    assert "KeyError in thing" in caplog.text
    assert "SECRET" not in caplog.text


async def test_nobody_and_a_path_without_the_segment_own_nothing() -> None:
    asked = owner("id")

    assert await asked.refusal(Subject(None, segments={"id": "7"})) == "nobody is signed in"
    assert await asked.refusal(Subject(Session(user_id="7"))) == "the path has no id"
    assert await asked.refusal(Subject(Session(user_id="7"), segments={"other": "7"})) == "the path has no id"


async def test_attack_an_old_id_in_its_grace_owns_only_what_it_owned_before() -> None:
    subject = Subject(SimpleNamespace(teams=["blue", "red"]), segments={"team": "red"})
    subject.before = SimpleNamespace(teams=["blue"])

    assert await owner("team", field="teams").refusal(subject) is not None
    assert await owner("team", field="teams").refusal(subject.at({"team": "red"})) is not None
    assert await owner("team", field="teams").refusal(subject.at({"team": "blue"})) is None


# In a rule


async def decided(rule: Rule, path: str, session: Any) -> bool:
    return (await RouterGuard([rule]).decide("GET", path, session)).allowed


ADA = Session(user_id="ada")


async def test_a_rule_lets_people_at_what_is_theirs() -> None:
    rule = Rule("/users/{user_id}/**", requires=owner("user_id") | role("admin"))

    assert await decided(rule, "/users/ada", ADA)
    assert await decided(rule, "/users/ada/orders/7", ADA)
    assert not await decided(rule, "/users/bob/orders/7", ADA)
    assert await decided(rule, "/users/bob", Session(user_id="root", role="admin"))
    assert not await decided(rule, "/users/ada", None)


async def test_the_reason_names_the_requirement_and_no_value() -> None:
    guard = RouterGuard([Rule("/users/{user_id}", requires=owner("user_id"))])

    assert (await guard.decide("GET", "/users/bob", ADA)).reason == "owner:user_id is somebody else's"
    assert (await guard.decide("GET", "/users/ada", ADA)).reason == "fulfils owner:user_id"


async def test_conditions_of_one_rule_must_all_hold() -> None:
    rule = Rule("/users/{user_id}", role="editor", requires=owner("user_id"))

    assert not await decided(rule, "/users/ada", ADA)
    assert await decided(rule, "/users/ada", Session(user_id="ada", role="editor"))


async def test_two_names_are_two_segments() -> None:
    session = Session.model_validate({"user_id": "ada", "teams": ["blue"]})
    rule = Rule("/teams/{team}/users/{user_id}", requires=owner("team", field="teams") & owner("user_id"))

    assert await decided(rule, "/teams/blue/users/ada", session)
    assert not await decided(rule, "/teams/ada/users/blue", session)
    assert not await decided(rule, "/teams/red/users/ada", session)


def test_a_variable_that_the_pattern_has_not_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match=r"has no \{user_id\}, which owner:user_id reads"):
        Rule("/users/{id}", requires=owner("user_id"))
    with pytest.raises(ConfigurationError, match=r"has no \{user_id\}"):
        Rule("/users/*", requires=role("admin") | owner("user_id") & owner("team", field="teams"))


@pytest.mark.parametrize("variable", [None, "", "user-id", "{user_id}", 7, ["user_id"]])
def test_what_is_no_name_is_a_mistake(variable: Any) -> None:
    with pytest.raises(ConfigurationError, match="owner"):
        owner(variable)
    with pytest.raises(ConfigurationError, match="owner"):
        owner("user_id", field=variable)


# Functions of two arguments


def both(session: Any, segments: Mapping[str, str]) -> bool:
    return session is not None and segments["user_id"] == session.user_id


async def both_later(session: Any, segments: Mapping[str, str]) -> bool:
    return both(session, segments)


class Both:
    def __call__(self, session: Any, segments: Mapping[str, str]) -> bool:
        return both(session, segments)

    def method(self, session: Any, segments: Mapping[str, str]) -> bool:
        return both(session, segments)


def passing_on(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


TWO: dict[str, Callable[..., Any]] = {
    "a function": both,
    "an async function": both_later,
    "a lambda": lambda s, p: s is not None and p["user_id"] == s.user_id,
    "an object": Both(),
    "a method": Both().method,
    "a partial": functools.partial(lambda limit, s, p: both(s, p), 7),
    "one with a default": lambda s, p, limit=7: both(s, p),
    "a decorated one": passing_on(both),
}


@pytest.mark.parametrize("kind", TWO)
async def test_a_function_of_two_arguments_gets_the_segments(kind: str) -> None:
    for rule in (Rule("/users/{user_id}", allow=TWO[kind]), Rule("/users/{user_id}", requires=custom(TWO[kind]))):
        assert await decided(rule, "/users/ada", ADA)
        assert not await decided(rule, "/users/bob", ADA)
        assert not await decided(rule, "/users/ada", None)


def with_default(session: Any, limit: int = 7) -> bool:
    return limit == 7


def adding(fn: Callable[[Any, int], bool]) -> Callable[[Any], bool]:
    @functools.wraps(fn)
    def wrapper(session: Any) -> bool:
        return fn(session, 7)

    return wrapper


ONE: dict[str, Callable[..., Any]] = {
    "a default": with_default,
    "a star": lambda *given: len(given) == 1,
    "a keyword": lambda session, *, limit=7: limit == 7,
    "a wrapper that adds one": adding(lambda session, limit: limit == 7),
    "a mock": Mock(return_value=True),
    "one of C": operator.truth,
}


@pytest.mark.parametrize("kind", ONE)
async def test_attack_a_function_that_takes_the_session_gets_nothing_of_a_clients(kind: str) -> None:
    """A default that a segment of the path replaces would be the client's to choose."""
    assert await decided(Rule("/users/{id}", allow=ONE[kind]), "/users/x", ADA)
    if isinstance(ONE[kind], Mock):
        ONE[kind].assert_called_once_with(ADA)  # type: ignore[attr-defined]


NEITHER: dict[str, Callable[..., Any]] = {
    "none": lambda: True,
    "three": lambda a, b, c: True,
    "a keyword": lambda *, session: True,
    "one and a keyword": lambda session, *, limit: True,
}


@pytest.mark.parametrize("kind", NEITHER)
def test_a_function_that_takes_neither_one_nor_two_is_a_mistake(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="takes neither one argument nor two"):
        custom(NEITHER[kind])
    with pytest.raises(ConfigurationError, match="takes neither one argument nor two"):
        Rule("/a", allow=NEITHER[kind])


async def test_a_rule_without_names_has_no_segments() -> None:
    seen: list[Any] = []

    assert not await decided(Rule("/a/**", allow=lambda s, p: seen.append(dict(p))), "/a/b", ADA)
    assert seen == [{}]


async def test_a_name_that_is_not_there_denies(caplog: pytest.LogCaptureFixture) -> None:
    assert not await decided(Rule("/users/{id}", allow=both), "/users/ada", ADA)
    assert "custom:both raised, so it denies: KeyError in both" in caplog.text


async def test_attack_a_check_can_not_change_the_segments_for_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    def changing(session: Any, segments: Any) -> bool:
        segments["user_id"] = session.user_id
        return True

    assert not await decided(Rule("/users/{user_id}", allow=changing, requires=owner("user_id")), "/users/bob", ADA)
    assert not await decided(Rule("/users/{user_id}", requires=custom(changing) | owner("user_id")), "/users/bob", ADA)
    assert "TypeError in changing" in caplog.text


async def test_access_check_decides_in_place_of_owner_and_gets_rule_and_session() -> None:
    seen: list[Any] = []
    access = Access(check=lambda rule, session: seen.append((rule, session)) is None)
    rule = Rule("/users/{user_id}", requires=owner("user_id"))

    assert (await RouterGuard([rule]).decide("GET", "/users/bob", ADA, access=access)).allowed
    assert seen == [(rule, ADA)]


async def test_an_access_check_gets_no_segments() -> None:
    access = Access(check=lambda rule, session, *rest: not rest)

    assert (await RouterGuard([Rule("/users/{id}")]).decide("GET", "/users/ada", ADA, access=access)).allowed


# A requirement of one's own


@dataclass(frozen=True)
class Prefix(Requirement):
    variable: str

    @property
    def name(self) -> str:
        return f"prefix:{self.variable}"

    async def refusal(self, subject: Subject) -> str | None:
        return None if subject.segments[self.variable].startswith(subject.session.user_id) else "another prefix"


async def test_a_requirement_of_ones_own_reads_the_segments() -> None:
    rule = Rule("/files/{file}", requires=Prefix("file"))

    assert await decided(rule, "/files/ada.txt", ADA)
    assert not await decided(rule, "/files/bob.txt", ADA)
    with pytest.raises(ConfigurationError, match=r"has no \{file\}, which prefix:file reads"):
        Rule("/files/*", requires=Prefix("file"))


def test_a_requirement_of_ones_own_reads_the_path_parameters() -> None:
    app, kit = FastAPI(), SessionKit(secret_key=SECRET)
    app.get("/files/{file}", dependencies=[Depends(require(Prefix("file")))])(lambda: None)
    kit.install(app)
    client = signed_in(client_of(app), kit, ADA)

    assert [client.get(f"/files/{file}").status_code for file in ("ada.txt", "bob.txt")] == [200, 403]


# The model


class Employee(BaseModel):
    badge: str
    teams: list[str] = []

    @property
    def desk(self) -> str:
        return f"desk-{self.badge}"


def test_a_field_that_the_model_has_not_is_a_mistake() -> None:
    kit = SessionKit(Employee, secret_key=SECRET)

    with pytest.raises(ConfigurationError, match=r"owner:user_id can't be asked of a Employee, which has no user_id"):
        kit.require(owner("user_id"))
    for field in ("badge", "teams", "desk"):
        kit.require(owner("user_id", field=field))
    with pytest.raises(ConfigurationError, match="has no user_id"):
        kit.require(owner("user_id", field="badge") & owner("user_id"))


def test_an_extra_field_is_taken_at_its_word_unless_it_looks_like_a_slip() -> None:
    kit = SessionKit(secret_key=SECRET)

    kit.require(owner("team", field="teams"))
    with pytest.raises(ConfigurationError, match="has no usr_id"):
        kit.require(owner("user_id", field="usr_id"))
