"""What is taken away from a session is gone for the next request, whatever its model leaves out of its JSON.

Never acknowledged and lost: a change is saved, or it is refused.
"""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from fastapi_sessionkit import Session, SessionBackend, SessionKit, StoreBackend, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, RecordingStore, client_of


class Plain(Session):
    cart: list[str] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)


class LeavesOutByField(Session):
    """Each field that is empty is left out when it is written."""

    role: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    roles: Annotated[tuple[str, ...], Field(strict=False, exclude_if=lambda value: not value)] = ()
    cart: Annotated[list[str], Field(exclude_if=lambda value: not value)] = Field(default_factory=list)
    settings: Annotated[dict[str, Any], Field(exclude_if=lambda value: not value)] = Field(default_factory=dict)


class LeavesOutByModel(Plain):
    """The model leaves out whatever is empty."""

    @model_serializer(mode="wrap")
    def without_what_is_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value}


class Renames(Plain):
    """The model has other names in JSON, and leaves out whatever is empty."""

    @model_serializer(mode="wrap")
    def in_short(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {f"_{name}": value for name, value in handler(self).items() if value}

    @model_validator(mode="before")
    @classmethod
    def in_long(cls, data: Any) -> Any:
        return {name.removeprefix("_"): value for name, value in data.items()} if isinstance(data, dict) else data


class Nests(Plain):
    """The model has all but the user in one object."""

    @model_serializer(mode="wrap")
    def nested(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = handler(self)
        return {"user_id": written.pop("user_id"), "rest": {name: value for name, value in written.items() if value}}

    @model_validator(mode="before")
    @classmethod
    def flat(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("rest"), dict):
            return {**{name: value for name, value in data.items() if name != "rest"}, **data["rest"]}
        return data


MODELS = [Plain, LeavesOutByField, LeavesOutByModel, Renames, Nests]
FULL: dict[str, Any] = {
    "user_id": "ada",
    "role": "admin",
    "roles": ("author", "editor"),
    "permissions": ("read", "write"),
    "cart": ["tea"],
    "settings": {"theme": {"dark": True}},
    "beta": True,
}

every_model = pytest.mark.parametrize("model", MODELS)


def kit_of(model: type[Session], backend: SessionBackend, **settings: Any) -> SessionKit[Any]:
    return SessionKit(model, secret_key=SECRET, backend=backend, **settings)


def application_that(kit: SessionKit[Any], change: Callable[[Request, Any], None], *, unseen: bool) -> TestClient:
    """A client of an application that changes a session, after it was loaded or without."""
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request, None if unseen else await kit.get_session(request))

    return client_of(app, raise_server_exceptions=False)


def empty_extras(session: Any) -> None:
    session.model_extra.clear()


TAKEN: dict[str, tuple[dict[str, Any], Callable[[Request, Any], None]]] = {
    "a field": ({"role": None}, lambda request, _: update_session(request, role=None)),
    "a list": ({"cart": []}, lambda request, _: update_session(request, cart=[])),
    "several fields": (
        {"role": None, "roles": (), "permissions": (), "settings": {}},
        lambda request, _: update_session(request, role=None, roles=(), permissions=(), settings={}),
    ),
    "an extra": ({"beta": None}, lambda request, _: update_session(request, beta=None)),
    "a field by a function": ({"role": None}, lambda request, _: update_session(request, lambda _: {"role": None})),
    "a part by a function": (
        {"roles": ("editor",)},
        lambda request, _: update_session(request, lambda session: {"roles": session.roles[1:]}),
    ),
    "all parts by a function": (
        {"permissions": (), "cart": []},
        lambda request, _: update_session(
            request, lambda session: {"permissions": session.permissions[2:], "cart": []}
        ),
    ),
}
IN_PLACE: dict[str, tuple[dict[str, Any], Callable[[Any], None]]] = {
    "a list": ({"cart": []}, lambda session: session.cart.clear()),
    "a dict": ({"settings": {}}, lambda session: session.settings.clear()),
    "a part of a dict": ({"settings": {"theme": {}}}, lambda session: session.settings["theme"].clear()),
    "an extra": ({"beta": None}, lambda session: session.model_extra.pop("beta")),
    "every extra": ({"beta": None}, empty_extras),
}


def expected(taken: dict[str, Any]) -> dict[str, Any]:
    return {**FULL, **taken}


def values(session: Any) -> dict[str, Any]:
    return {name: getattr(session, name, None) for name in FULL}


@every_model
@pytest.mark.parametrize("unseen", [False, True], ids=["seen", "unseen"])
@pytest.mark.parametrize(("taken", "change"), TAKEN.values(), ids=TAKEN)
def test_what_an_update_takes_away_is_gone_for_the_next_request(
    model: type[Session],
    backend: SessionBackend,
    taken: dict[str, Any],
    change: Callable[[Request, Any], None],
    unseen: bool,
) -> None:
    kit = kit_of(model, backend)
    client = signed_in(application_that(kit, change, unseen=unseen), kit, model(**FULL))

    assert client.post("/").status_code == 200
    assert values(session_of(client, kit)) == expected(taken)


@every_model
@pytest.mark.parametrize(("taken", "change"), IN_PLACE.values(), ids=IN_PLACE)
def test_what_is_taken_away_in_place_is_gone_for_the_next_request(
    model: type[Session], backend: SessionBackend, taken: dict[str, Any], change: Callable[[Any], None]
) -> None:
    kit = kit_of(model, backend)
    client = signed_in(application_that(kit, lambda _, session: change(session), unseen=False), kit, model(**FULL))

    assert client.post("/").status_code == 200
    assert values(session_of(client, kit)) == expected(taken)


REVALIDATED: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "a field": ({"role": None}, lambda session: session.model_copy(update={"role": None})),
    "lists": ({"roles": (), "cart": []}, lambda session: session.model_copy(update={"roles": (), "cart": []})),
    "an extra": (
        {"beta": None},
        lambda session: type(session)(**{name: value for name, value in FULL.items() if name != "beta"}),
    ),
    "all but the user": (
        {"role": None, "roles": (), "permissions": (), "cart": [], "settings": {}, "beta": None},
        lambda session: type(session)(user_id="ada"),
    ),
}


@every_model
@pytest.mark.parametrize(("taken", "answer"), REVALIDATED.values(), ids=REVALIDATED)
def test_what_revalidate_takes_away_is_gone_for_the_next_request(
    model: type[Session], backend: SessionBackend, taken: dict[str, Any], answer: Callable[[Any], Any]
) -> None:
    asked: list[Any] = []

    async def look_again(session: Any) -> Any:
        asked.append(session)
        return answer(session) if len(asked) == 1 else session

    kit = kit_of(model, backend, revalidate=look_again, revalidate_every=0)
    client = signed_in(application_that(kit, lambda *_: None, unseen=False), kit, model(**FULL))

    assert client.post("/").status_code == 200
    assert values(session_of(client, kit)) == expected(taken)


class Unforgiving(Session):
    """What is left out of its JSON is not what it was."""

    role: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = "user"
    cart: Annotated[list[str], Field(exclude_if=lambda value: not value)] = Field(default_factory=lambda: ["leaflet"])


REFUSED: dict[str, Callable[[Request, Any], None]] = {
    "a field": lambda request, _: update_session(request, role=None),
    "a function": lambda request, _: update_session(request, lambda _: {"cart": []}),
    "in place": lambda _, session: session.cart.clear(),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_taken_away_is_refused_and_changes_nothing(
    backend: SessionBackend, change: Callable[[Request, Any], None]
) -> None:
    kit = kit_of(Unforgiving, backend)
    session = Unforgiving(user_id="ada", role="admin", cart=["tea"])
    client = signed_in(application_that(kit, change, unseen=False), kit, session)

    assert client.post("/").status_code == 500
    assert session_of(client, kit) == session


class Forgetful(Session):
    """Writes no extra field."""

    @model_serializer(mode="wrap")
    def without_extras(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in type(self).model_fields}


def test_an_extra_that_the_model_does_not_write_is_refused(backend: SessionBackend) -> None:
    kit = kit_of(Forgetful, backend)
    client = application_that(kit, lambda request, _: update_session(request, beta=True), unseen=False)
    signed_in(client, kit, Forgetful(user_id="ada"))

    assert client.post("/").status_code == 500


@every_model
def test_a_change_in_place_leaves_what_others_change_meanwhile_and_the_id(
    model: type[Session], store: RecordingStore
) -> None:
    kit = kit_of(model, StoreBackend(store))
    client = signed_in(application_that(kit, lambda _, session: session.cart.clear(), unseen=False), kit, model(**FULL))
    held = client.cookies[kit.cookie_name]
    app = client.app
    assert isinstance(app, FastAPI)

    @app.post("/slow")
    async def slow(request: Request, session: Annotated[Any, Depends(kit.require_session)]) -> None:
        session.cart.clear()
        await kit.sessions.update_user("ada", settings={"theme": "light"})

    assert client.post("/slow").status_code == 200
    assert values(session_of(client, kit)) == expected({"cart": [], "settings": {"theme": "light"}})
    assert client.cookies[kit.cookie_name] == held
