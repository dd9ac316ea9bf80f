"""A stored session that does not fit the model, whatever its validators raise; and what logs and errors say of it."""

import logging
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fastapi_sessionkit import CookieBackend, MemoryStore, Session, SessionKit, clear_session, update_session
from fastapi_sessionkit.backends import BackendContext
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import COOKIE, SECRET, client_of

SECRET_VALUE = "4111-1111-1111-1111"
FORGED_LINE = "x\nWARNING:root:everything is fine"


def recurse(_: Any) -> Any:
    return recurse(_)


ERRORS: dict[str, Callable[[Any], Any]] = {
    "KeyError": lambda data: {}[data["card"]],
    "AttributeError": lambda data: data.card,
    "RecursionError": recurse,
    "TypeError": lambda data: data + 1,
    "ZeroDivisionError": lambda _: 1 // 0,
    "ValueError": lambda data: int(data["card"]),
    "UnicodeEncodeError": lambda _: "\ud800".encode(),
    "StopIteration": lambda _: next(iter(())),
}
every_error = pytest.mark.parametrize("raising", ERRORS.values(), ids=ERRORS)


class Touchy(Session):
    """A session whose validator raises once it is told to."""

    model_config = ConfigDict(hide_input_in_errors=False)

    card: str = ""

    @model_validator(mode="before")
    @classmethod
    def look(cls, data: Any) -> Any:
        if switch.raising is not None:
            switch.raising(data)
        return data


class Switch:
    raising: Callable[[Any], Any] | None = None


switch = Switch()


@pytest.fixture(autouse=True)
def _nothing_raises() -> None:
    switch.raising = None


@pytest.fixture(params=["cookie", "encrypted", "memory"])
def kit(request: pytest.FixtureRequest) -> SessionKit[Touchy]:
    backend: Any = MemoryStore() if request.param == "memory" else CookieBackend(encrypt=request.param == "encrypted")
    return SessionKit(Touchy, secret_key=SECRET, backend=backend)


@pytest.fixture
def stored() -> SessionKit[Touchy]:
    return SessionKit(Touchy, secret_key=SECRET, backend=MemoryStore())


def client_with_a_misfit(kit: SessionKit[Touchy], raising: Callable[[Any], Any]) -> TestClient:
    """A client whose session was fine when it began."""
    app = FastAPI()
    kit.install(app)

    @app.get("/")
    async def who(request: Request) -> str | None:
        session = await kit.get_session(request)
        return None if session is None else session.user_id

    @app.post("/change")
    async def change(request: Request) -> None:
        update_session(request, email="ada@example.com")

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    client = signed_in(client_of(app), kit, Touchy(user_id="ada", card=SECRET_VALUE))
    switch.raising = raising
    return client


@every_error
def test_whatever_a_validator_raises_nobody_is_signed_in(
    kit: SessionKit[Touchy], raising: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_with_a_misfit(kit, raising)
    with caplog.at_level(logging.DEBUG):
        answer = client.get("/")

    assert (answer.status_code, answer.json()) == (200, None)
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert COOKIE not in client.cookies
    assert "A stored session no longer fits Touchy" in caplog.text
    assert SECRET_VALUE not in caplog.text


@every_error
def test_such_a_session_is_removed_from_the_store(stored: SessionKit[Touchy], raising: Callable[[Any], Any]) -> None:
    client = client_with_a_misfit(stored, raising)
    held = client.cookies[COOKIE]
    client.get("/")
    switch.raising = None
    client.cookies.set(COOKIE, held, domain="testserver.local")

    assert client.get("/").json() is None


@every_error
@pytest.mark.parametrize("path", ["/change", "/logout"])
def test_a_change_or_a_sign_out_of_such_a_session_is_no_500(
    kit: SessionKit[Touchy], raising: Callable[[Any], Any], path: str
) -> None:
    client = client_with_a_misfit(kit, raising)

    assert client.post(path).status_code == (401 if path == "/change" else 200)


@pytest.mark.anyio
@every_error
async def test_an_administrator_meets_no_error_in_such_a_session(
    stored: SessionKit[Touchy], raising: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_with_a_misfit(stored, raising)

    with caplog.at_level(logging.DEBUG):
        assert await stored.sessions.list("ada") == []
        assert await stored.sessions.update_user("ada", role=None) == 0
    switch.raising = None
    assert session_of(client, stored) is None
    assert SECRET_VALUE not in caplog.text


# What the log says


class Keyed(Session):
    model_config = ConfigDict(extra="forbid")

    cards: dict[str, int] = Field(default_factory=dict)


class Loose(Session):
    cards: dict[str, str] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"cards": {SECRET_VALUE: "x", FORGED_LINE: "y"}}, "cards: int_parsing; cards: int_parsing"),
        ({SECRET_VALUE: 1, FORGED_LINE: 2}, "the whole: extra_forbidden; the whole: extra_forbidden"),
    ],
    ids=["keys of a mapping", "extra fields"],
)
def test_the_log_names_fields_of_the_model_and_nothing_that_a_session_holds(
    stored: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    client = signed_in(
        client_of(FastAPI()), SessionKit(Loose, secret_key=SECRET, backend=store), Loose(user_id="ada", **stored)
    )
    with caplog.at_level(logging.DEBUG):
        assert session_of(client, SessionKit(Keyed, secret_key=SECRET, backend=store)) is None

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"A stored session no longer fits Keyed ({said}): removed"
    ]
    assert SECRET_VALUE not in caplog.text
    assert FORGED_LINE not in caplog.text


def test_what_a_backend_is_given_shows_no_key() -> None:
    context = BackendContext((SECRET, f"{SECRET} too"), "salt", lambda: 0.0, lambda: "", 4_000)

    assert "salt" in repr(context)
    assert SECRET not in repr(context) + str(context) + f"{[context]}"


# What an error says


class Basket(BaseModel):
    """A model that shows what was refused, as Pydantic's usually do."""

    user_id: str
    cards: list[Annotated[str, Field(max_length=5)]] = Field(default_factory=list)
    limits: dict[str, int] = Field(default_factory=dict)


IN_PLACE: dict[str, Callable[[Basket], Any]] = {
    "too long": lambda basket: basket.cards.append(SECRET_VALUE),
    "of another type": lambda basket: basket.limits.update({"card": SECRET_VALUE}),  # type: ignore[dict-item]
    "a key of another type": lambda basket: basket.limits.update({(SECRET_VALUE,): 1}),  # type: ignore[dict-item]
    "nothing that JSON can hold": lambda basket: basket.cards.append({SECRET_VALUE}),  # type: ignore[arg-type]
    "the user": lambda basket: vars(basket).update(user_id=[SECRET_VALUE]),
}


@pytest.mark.parametrize("change", IN_PLACE.values(), ids=IN_PLACE)
def test_an_error_about_a_change_in_place_shows_no_value(change: Callable[[Basket], Any]) -> None:
    kit = SessionKit(Basket, secret_key=SECRET, backend=MemoryStore())
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(await kit.require_session(request))

    client = signed_in(client_of(app), kit, Basket(user_id="ada"))
    with pytest.raises(TypeError) as raised:
        client.post("/")

    assert SECRET_VALUE not in "".join(traceback.format_exception(raised.value))
    assert session_of(client, kit) == Basket(user_id="ada")
