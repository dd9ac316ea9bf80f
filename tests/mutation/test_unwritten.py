"""What a model leaves out of its JSON is never stored: a change of it is refused, also where it was made in place."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    Secret,
    SecretStr,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from fastapi_sessionkit import ConfigurationError, Session, SessionBackend, SessionKit, set_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, client_of, new_kit


class Inner(BaseModel):
    seen: list[str] = Field(default_factory=list)
    hidden: list[str] = Field(default_factory=list, exclude=True)


class Excludes(Session):
    cart: list[str] = Field(default_factory=list)
    hidden: list[str] = Field(default_factory=list, exclude=True)
    short: Annotated[list[str], Field(exclude_if=lambda value: len(value) < 3)] = Field(default_factory=list)
    inner: Inner = Field(default_factory=Inner)
    blind: list[str] = Field(default_factory=list)
    _scratch: list[str] = PrivateAttr(default_factory=list)

    @field_serializer("blind")
    def nothing(self, _: list[str]) -> list[str]:
        return []


class Drops(Session):
    cart: list[str] = Field(default_factory=list)
    hidden: list[str] = Field(default_factory=list)

    @model_serializer(mode="wrap")
    def without_hidden(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name not in {"hidden", "beta"}}


class Frozen(Session):
    """Nothing in it can change, so requests share its values."""

    hidden: str = Field(default="", exclude=True)


def kit_of(model: type[Session], backend: SessionBackend) -> SessionKit[Any]:
    return SessionKit(model, secret_key=SECRET, backend=backend)


def client_that(kit: SessionKit[Any], act: Callable[[Request, Any], Any], session: Any) -> TestClient:
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        act(request, await kit.require_session(request))

    return signed_in(client_of(app), kit, session)


LOST: dict[str, tuple[type[Session], Callable[[Any], Any], str]] = {
    "an excluded field": (Excludes, lambda session: session.hidden.append("x"), "hidden"),
    "a field that is excluded as it is": (Excludes, lambda session: session.short.append("x"), "short"),
    "an excluded field further inside": (Excludes, lambda session: session.inner.hidden.append("x"), "inner"),
    "a field that is written as another": (Excludes, lambda session: session.blind.append("x"), "blind"),
    "a field that the model drops": (Drops, lambda session: session.hidden.append("x"), "hidden"),
    "an extra that the model drops": (Drops, lambda session: session.model_extra.update(beta=[1]), "beta"),
    "by vars": (Frozen, lambda session: vars(session).update(hidden="x"), "hidden"),
    "beside one that is saved": (
        Excludes,
        lambda session: (session.hidden.append("x"), session.cart.append("tea")),
        "hidden",
    ),
}


@pytest.mark.parametrize(("model", "change", "name"), LOST.values(), ids=LOST)
def test_a_change_in_place_of_what_is_not_written_is_refused(
    backend: SessionBackend, model: type[Session], change: Callable[[Any], Any], name: str
) -> None:
    kit = kit_of(model, backend)
    client = client_that(kit, lambda _, session: change(session), model(user_id="ada"))

    with pytest.raises(TypeError, match=f"^{name} would be lost"):
        client.post("/")
    assert session_of(client, kit) == model(user_id="ada")


@pytest.mark.parametrize(
    "change",
    [
        lambda _, session: None,
        lambda _, session: session.cart.append("tea"),
        lambda _, session: session.inner.seen.append("tea"),
        lambda _, session: session._scratch.append("tea"),  # noqa: SLF001
        lambda request, _: update_session(request, cart=["tea"]),
        lambda _, session: session.short.extend("abc"),
    ],
    ids=["nothing", "a list", "further inside", "a private attribute", "an update", "no longer excluded"],
)
def test_what_is_written_can_change_beside_it(backend: SessionBackend, change: Callable[[Request, Any], Any]) -> None:
    client = client_that(kit_of(Excludes, backend), change, Excludes(user_id="ada"))

    assert client.post("/").status_code == 200


class Unlike:
    """Equal to nothing but itself."""


class Holds(Session):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Annotated[Unlike | None, Field(exclude=True)] = Field(default_factory=Unlike)


def test_a_value_that_equals_only_itself_has_not_changed(backend: SessionBackend) -> None:
    client = client_that(kit_of(Holds, backend), lambda *_: None, Holds(user_id="ada"))

    assert client.post("/").status_code == 200


class Unreadable(Session):
    password: str = Field(exclude=True)


def test_a_model_that_never_stores_what_it_needs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Unreadable\.password .* never stored.*response_model_exclude"):
        new_kit(model=Unreadable)


# Extra fields


class Card(BaseModel):
    number: SecretStr
    name: str = ""


class Written(BaseModel):
    number: Annotated[SecretStr, PlainSerializer(lambda value: value.get_secret_value())]


class Hides(BaseModel):
    name: str = ""
    hidden: str = Field(default="", exclude=True)


@dataclass(slots=True)
class Slotted:
    number: SecretStr


class Euro(BaseModel):
    cents: int

    @model_serializer
    def as_text(self) -> str:
        return f"{self.cents / 100} EUR"


class Short(BaseModel):
    """Leaves out what is empty, and reads it back."""

    a: str = ""
    b: str = ""

    @model_serializer(mode="wrap")
    def short(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value}


class Tagged(BaseModel):
    tags: tuple[str, ...] = ()
    at: int = Field(default=0, alias="when")

    @model_validator(mode="after")
    def sorted_tags(self) -> "Tagged":
        return self


SECRET_ONE = SecretStr("1234")
UNSAID: dict[str, Any] = {
    "a secret": SECRET_ONE,
    "in a list": [1, SECRET_ONE],
    "in a tuple in a dict in a list": [{"a": (SECRET_ONE,)}],
    "in a set": {SECRET_ONE},
    "in a deque": deque([SECRET_ONE]),
    "as a key": {SECRET_ONE: 1},
    "of another type": [Secret[int](5)],
    "in a model": Card(number=SECRET_ONE),
    "in a model in a list": [Card(number=SECRET_ONE)],
    "in a model beside one that writes": {"a": Written(number=SECRET_ONE), "b": Card(number=SECRET_ONE)},
    "in a root model": RootModel[list[SecretStr]]([SECRET_ONE]),
    "in a dataclass": {"a": Slotted(SECRET_ONE)},
    "an excluded field": Hides(name="x", hidden="y"),
    "an excluded field in a dict": {"a": [Hides(hidden="y")]},
    "two keys that are one in JSON": {1: "a", "1": "b"},
    "an iterator": [iter([1, 2])],
}
SAID: dict[str, Any] = {
    "nothing": None,
    "plain": {"a": [1, "b", {"c": None}], "d": {}},
    "a model": Hides(name="x"),
    "a model that writes its secret": [Written(number=SECRET_ONE)],
    "a model that is written as text": Euro(cents=5),
    "a model that leaves out what is empty": {"a": Short(b="x")},
    "a model with an alias and a tuple": Tagged(tags=("a",), when=3),
    "keys of numbers": {1: "a", 2: "b"},
}
set_by = pytest.mark.parametrize(
    "act",
    [
        lambda request, _, value: update_session(request, extra=value),
        lambda request, _, value: set_session(request, Session(user_id="ada", extra=value)),  # type: ignore[call-arg]
        lambda _, session, value: session.model_extra.update(extra=value),
    ],
    ids=["an update", "a sign-in", "in place"],
)


@set_by
@pytest.mark.parametrize("name", UNSAID)
def test_an_extra_that_json_does_not_hold_is_refused_at_any_depth(
    backend: SessionBackend, act: Callable[[Request, Any, Any], None], name: str
) -> None:
    kit = kit_of(Session, backend)
    client = client_that(kit, lambda request, session: act(request, session, UNSAID[name]), Session(user_id="ada"))

    with pytest.raises(TypeError, match=r"^extra would be lost"):
        client.post("/")
    assert session_of(client, kit) == Session(user_id="ada")


@set_by
@pytest.mark.parametrize("name", SAID)
def test_an_extra_that_json_holds_is_saved(
    backend: SessionBackend, act: Callable[[Request, Any, Any], None], name: str
) -> None:
    kit = kit_of(Session, backend)
    client = client_that(kit, lambda request, session: act(request, session, SAID[name]), Session(user_id="ada"))

    assert client.post("/").status_code == 200
    session = session_of(client, kit)
    assert session is not None
    assert "extra" in (session.model_extra or {})
