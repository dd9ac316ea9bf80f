"""An older version puts another object in the place of one that it does not know all of: nothing of that one stays in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field, RootModel
from typing_extensions import TypedDict

from fastapi_sessionkit import CookieBackend, MemoryStore, Session, SessionKit, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, client_of


class OldTown(BaseModel):
    name: str = "Bern"


class NewTown(OldTown):
    mayor: str = ""


class OldHome(BaseModel):
    street: str = ""
    country: str = "CH"
    town: OldTown = Field(default_factory=OldTown)


class NewHome(OldHome):
    code: str = ""
    town: NewTown = Field(default_factory=NewTown)


@dataclass
class OldTeam:
    name: str = ""


@dataclass
class NewTeam(OldTeam):
    admin: bool = False


class OldSeat(TypedDict, total=False):
    row: int


class NewSeat(OldSeat, total=False):
    exit: bool


class OldHomes(RootModel[dict[str, OldHome]]):
    pass


class NewHomes(RootModel[dict[str, NewHome]]):
    pass


class Old(BaseModel):
    """Not frozen, and leaves out what it does not know."""

    user_id: str
    home: OldHome = Field(default_factory=OldHome)
    team: OldTeam = Field(default_factory=OldTeam)
    seat: OldSeat = Field(default_factory=lambda: OldSeat(row=0))
    by_name: dict[str, OldHome] = Field(default_factory=dict)
    homes: OldHomes = OldHomes({})


class New(Session):
    home: NewHome
    team: NewTeam
    seat: NewSeat
    by_name: dict[str, NewHome]
    homes: NewHomes


def home(**changes: Any) -> NewHome:
    whole = {"street": "Gasse", "code": "3011", "town": NewTown(name="Bern", mayor="von Graffenried")}
    return NewHome(**{**whole, **changes})


STORED: dict[str, Any] = {
    "user_id": "ada",
    "home": home(),
    "team": NewTeam("core", admin=True),
    "seat": NewSeat(row=1, exit=True),
    "by_name": {"first": home()},
    "homes": NewHomes({"first": home()}),
}


@pytest.fixture(params=["cookie", "memory"])
def backends(request: pytest.FixtureRequest) -> Callable[[], Any]:
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    return CookieBackend


def kit_of(model: type[BaseModel], backend: Any) -> SessionKit[Any]:
    return SessionKit(model, secret_key=SECRET, backend=backend)


def after(backends: Callable[[], Any], change: Callable[[Request, Any], None]) -> dict[str, Any]:
    """The new version's fields, after a request to the old one."""
    old, new = kit_of(Old, backends()), kit_of(New, backends())
    app = FastAPI()
    old.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request, await old.require_session(request))

    client = signed_in(client_of(app), new, New(**STORED))
    assert client.post("/").status_code == 200
    return fields_of(client, new)


def fields_of(client: TestClient, kit: SessionKit[Any]) -> dict[str, Any]:
    session = session_of(client, kit)
    assert session is not None
    return {name: getattr(session, name) for name in STORED}


MOVED = OldHome(street="Ring", town=OldTown(name="Basel"))
OTHER: dict[str, tuple[Callable[[Request, Any], None], dict[str, Any]]] = {
    "an update": (
        lambda request, _: update_session(request, home=MOVED),
        {"home": NewHome(street="Ring", town=NewTown(name="Basel"))},
    ),
    "a function": (
        lambda request, _: update_session(request, lambda _: {"home": MOVED}),
        {"home": NewHome(street="Ring", town=NewTown(name="Basel"))},
    ),
    "another one with a part that says the same": (
        lambda request, session: update_session(request, home=OldHome(street="Ring", town=session.home.town)),
        {"home": NewHome(street="Ring")},
    ),
    "one more of a dict": (
        lambda request, session: update_session(request, by_name={**session.by_name, "second": MOVED}),
        {"by_name": {"first": home(), "second": NewHome(street="Ring", town=NewTown(name="Basel"))}},
    ),
    "an assignment": (
        lambda _, session: setattr(session, "home", MOVED),
        {"home": NewHome(street="Ring", town=NewTown(name="Basel"))},
    ),
    "an assignment further inside": (
        lambda _, session: setattr(session.home, "town", OldTown(name="Basel")),
        {"home": home(town=NewTown(name="Basel"))},
    ),
    "a dataclass": (lambda request, _: update_session(request, team=OldTeam("sales")), {"team": NewTeam("sales")}),
    "a typed dict": (lambda request, _: update_session(request, seat={"row": 2}), {"seat": {"row": 2}}),
    "a value of a dict": (
        lambda _, session: session.by_name.update(first=OldHome(street="Ring")),
        {"by_name": {"first": NewHome(street="Ring")}},
    ),
    "a value of a root model": (
        lambda _, session: session.homes.root.update(first=OldHome(street="Ring")),
        {"homes": NewHomes({"first": NewHome(street="Ring")})},
    ),
}
SAME: dict[str, tuple[Callable[[Any], None], dict[str, Any]]] = {
    "a model": (lambda session: setattr(session.home, "street", "Ring"), {"home": home(street="Ring")}),
    "all that is known of it": (
        lambda session: vars(session.home).update(street="Ring", country="FR"),
        {"home": home(street="Ring", country="FR")},
    ),
    "further inside": (
        lambda session: setattr(session.home.town, "name", "Basel"),
        {"home": home(town=NewTown(name="Basel", mayor="von Graffenried"))},
    ),
    "a dataclass": (lambda session: setattr(session.team, "name", "sales"), {"team": NewTeam("sales", admin=True)}),
    "a typed dict": (lambda session: session.seat.update(row=2), {"seat": {"row": 2, "exit": True}}),
    "a value of a dict": (
        lambda session: setattr(session.by_name["first"], "street", "Ring"),
        {"by_name": {"first": home(street="Ring")}},
    ),
    "a value of a root model": (
        lambda session: setattr(session.homes.root["first"], "street", "Ring"),
        {"homes": NewHomes({"first": home(street="Ring")})},
    ),
}


@pytest.mark.parametrize(("change", "expected"), OTHER.values(), ids=OTHER)
def test_another_object_has_nothing_of_the_one_it_replaces(
    backends: Callable[[], Any], change: Callable[[Request, Any], None], expected: dict[str, Any]
) -> None:
    assert after(backends, change) == {**STORED, **expected}


@pytest.mark.parametrize(("change", "expected"), SAME.values(), ids=SAME)
def test_an_object_that_is_changed_in_place_keeps_what_is_not_known_of_it(
    backends: Callable[[], Any], change: Callable[[Any], None], expected: dict[str, Any]
) -> None:
    assert after(backends, lambda _, session: change(session)) == {**STORED, **expected}


def test_a_change_in_place_after_an_update_is_one_of_the_same_object(backends: Callable[[], Any]) -> None:
    def change(request: Request, session: Any) -> None:
        update_session(request, seat={"row": 2})
        session.home.street = "Ring"

    assert after(backends, change) == {**STORED, "seat": {"row": 2}, "home": home(street="Ring")}


def test_an_object_replaced_meanwhile_gives_nothing_to_the_one_changed() -> None:
    store = MemoryStore()
    old, new = kit_of(Old, store), kit_of(New, store)
    app = FastAPI()
    old.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        (await old.require_session(request)).team.name = "sales"
        await new.sessions.update_user("ada", team=NewTeam("board", admin=True))

    client = signed_in(client_of(app), new, New(**{**STORED, "team": NewTeam("core")}))
    assert client.post("/").status_code == 200
    assert fields_of(client, new)["team"] == NewTeam("sales")


@pytest.mark.anyio
async def test_update_user_replaces_as_a_request_does() -> None:
    store = MemoryStore()
    new = kit_of(New, store)
    client = signed_in(client_of(FastAPI()), new, New(**STORED))

    assert await kit_of(Old, store).sessions.update_user("ada", team=OldTeam("sales")) == 1
    assert (await anyio.to_thread.run_sync(fields_of, client, new))["team"] == NewTeam("sales")
