"""Two versions of an application on one store, or behind one cookie: neither loses what only the other knows."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from fastapi_sessionkit import (
    CookieBackend,
    MemoryStore,
    Session,
    SessionKit,
    SessionRecord,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, AppSession, client_of


class NewDevice(BaseModel):
    name: str
    seen: str = "never"


class NewPlan(BaseModel):
    name: str = "free"
    seats: int = 1


class NewSession(Session):
    model_config = ConfigDict(strict=False)

    plan: NewPlan = NewPlan()
    devices: list[NewDevice] = Field(default_factory=list)
    labels: dict[str, NewDevice] = Field(default_factory=dict)
    tenant: str = ""
    motto: str = ""
    note: str = ""


class OldDevice(BaseModel):
    name: str


class OldPlan(BaseModel):
    name: str = "free"


class OldSession(BaseModel):
    """Knows less, and leaves out what it does not know: that is what Pydantic does unless told otherwise."""

    user_id: str
    role: str | None = None
    plan: OldPlan = OldPlan()
    devices: list[OldDevice] = Field(default_factory=list)
    labels: dict[str, OldDevice] = Field(default_factory=dict)
    motto: Annotated[str, StringConstraints(to_lower=True)] = ""
    note: str = ""


NEW = NewSession(  # type: ignore[call-arg]
    user_id="ada",
    role="user",
    roles=("author",),
    plan=NewPlan(name="team", seats=5),
    devices=[NewDevice(name="phone", seen="today"), NewDevice(name="laptop", seen="yesterday")],
    labels={"first": NewDevice(name="watch", seen="once")},
    tenant="acme",
    motto="Slow is Smooth",
    extra="kept",
)


@pytest.fixture(params=["cookie", "encrypted", "memory"])
def backends(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """A backend for each of the two versions: they share the store, or the secret."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    return lambda: CookieBackend(encrypt=request.param == "encrypted")


def kit_of(model: type[BaseModel], backend: Any, **settings: Any) -> SessionKit[Any]:
    return SessionKit(model, secret_key=SECRET, backend=backend, **settings)


def client_after(
    old: SessionKit[Any], new: SessionKit[Any], change: Callable[[Request, Any], None], session: Any = NEW
) -> TestClient:
    """A client that the new version signed in, after a request to the old one."""
    app = FastAPI()
    old.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request, await old.require_session(request))

    client = signed_in(client_of(app), new, session)
    assert client.post("/").status_code == 200
    return client


def changed(**fields: Any) -> NewSession:
    return NewSession.model_validate({**NEW.model_dump(), **fields})


CHANGES: dict[str, tuple[Callable[[Request, Any], None], NewSession]] = {
    "nothing": (lambda *_: None, NEW),
    "a field": (lambda request, _: update_session(request, note="old"), changed(note="old")),
    "a function": (lambda request, _: update_session(request, lambda _: {"note": "old"}), changed(note="old")),
    "a move": (lambda request, _: regenerate_session(request), NEW),
    "a change of rights": (lambda request, _: update_session(request, role="admin"), changed(role="admin")),
    "a right that is taken away": (lambda request, _: update_session(request, role=None), changed(role=None)),
    "another part": (
        lambda request, _: update_session(request, plan=OldPlan(name="solo")),
        changed(plan={"name": "solo"}),
    ),
    "another part that says the same": (
        lambda request, _: update_session(request, plan=OldPlan(name="team"), note="old"),
        changed(note="old"),
    ),
    "a part of a part, in place": (
        lambda _, session: setattr(session.plan, "name", "solo"),
        changed(plan={"name": "solo", "seats": 5}),
    ),
    "one more of a list, in place": (
        lambda _, session: session.devices.append(OldDevice(name="tablet")),
        changed(devices=[*NEW.devices, NewDevice(name="tablet")]),
    ),
    "one less of a list": (
        lambda request, session: update_session(request, devices=session.devices[1:]),
        changed(devices=NEW.devices[1:]),
    ),
    "one of a list, in place": (
        lambda _, session: setattr(session.devices[1], "name", "desktop"),
        changed(devices=[NEW.devices[0], NewDevice(name="desktop")]),
    ),
    "another one in a list's place": (
        lambda request, _: update_session(request, devices=[OldDevice(name="car"), OldDevice(name="laptop")]),
        changed(devices=[NewDevice(name="car"), NEW.devices[1]]),
    ),
    "all of a list": (lambda request, _: update_session(request, devices=[]), changed(devices=[])),
    "twice the same in a list": (
        lambda request, session: update_session(request, devices=[*session.devices, *session.devices]),
        changed(devices=[*NEW.devices, NewDevice(name="phone"), NewDevice(name="laptop")]),
    ),
    "one more of a dict, in place": (
        lambda _, session: session.labels.update(second=OldDevice(name="car")),
        changed(labels={**NEW.labels, "second": NewDevice(name="car")}),
    ),
    "all of a dict, in place": (lambda _, session: session.labels.clear(), changed(labels={})),
}


@pytest.mark.parametrize(("change", "after"), CHANGES.values(), ids=CHANGES)
def test_an_older_version_keeps_what_it_does_not_know(
    backends: Callable[[], Any], change: Callable[[Request, Any], None], after: NewSession
) -> None:
    new = kit_of(NewSession, backends())

    assert session_of(client_after(kit_of(OldSession, backends()), new, change), new) == after


def test_what_revalidate_changes_in_an_older_version_keeps_the_rest(backends: Callable[[], Any]) -> None:
    async def demote(session: OldSession) -> OldSession:
        return OldSession(user_id=session.user_id, role=None, plan=session.plan, motto=session.motto)

    new = kit_of(NewSession, backends())
    client = client_after(kit_of(OldSession, backends(), revalidate=demote), new, lambda *_: None)

    assert session_of(client, new) == changed(role=None, devices=[], labels={})


@pytest.mark.anyio
async def test_update_user_of_an_older_version_keeps_what_it_does_not_know() -> None:
    store = MemoryStore()
    new, old = kit_of(NewSession, store), kit_of(OldSession, store)
    client = signed_in(client_of(FastAPI()), new, NEW)

    assert await old.sessions.update_user("ada", role=None, plan=OldPlan(name="solo")) == 1
    assert session_of(client, new) == changed(role=None, plan={"name": "solo"})


def test_a_sign_in_by_an_older_version_is_a_session_of_its_own(backends: Callable[[], Any]) -> None:
    new = kit_of(NewSession, backends())
    client = client_after(
        kit_of(OldSession, backends()), new, lambda request, _: set_session(request, OldSession(user_id="bob"))
    )

    assert session_of(client, new) == NewSession(user_id="bob")


# What does not fit


class Strict(OldSession):
    model_config = ConfigDict(extra="forbid")


class FewPlans(Session):
    tier: Literal["free", "premium"] = "free"


class MorePlans(Session):
    tier: Literal["free", "premium", "team"] = "free"


@pytest.mark.anyio
async def test_update_user_ends_the_sessions_that_it_can_not_change(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    new, old = kit_of(MorePlans, store), kit_of(FewPlans, store)
    fits = signed_in(client_of(FastAPI()), new, MorePlans(user_id="ada", role="admin"))
    unfit = signed_in(client_of(FastAPI()), new, MorePlans(user_id="ada", role="admin", tier="team"))
    other = signed_in(client_of(FastAPI()), new, MorePlans(user_id="bob", role="admin", tier="team"))

    with caplog.at_level(logging.WARNING):
        assert await old.sessions.update_user("ada", role=None) == 1
    assert session_of(fits, new) == MorePlans(user_id="ada")
    assert session_of(unfit, new) is None
    assert session_of(other, new) is not None
    assert [record.message for record in caplog.records] == [
        "A session that does not fit the model (tier: literal_error) can't be changed: ended"
    ]


@pytest.mark.anyio
async def test_a_model_that_forbids_what_it_does_not_know_ends_such_sessions(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    new, old = kit_of(NewSession, store), kit_of(Strict, store)
    client = signed_in(client_of(FastAPI()), new, NEW)

    with caplog.at_level(logging.WARNING):
        assert await old.sessions.update_user("ada", role=None) == 0
    assert session_of(client, new) is None
    assert "tenant" not in caplog.text
    assert "acme" not in caplog.text


def test_a_model_that_forbids_what_it_does_not_know_signs_nobody_in(backends: Callable[[], Any]) -> None:
    new, old = kit_of(NewSession, backends()), kit_of(Strict, backends())
    client = signed_in(client_of(FastAPI()), new, NEW)

    assert session_of(client, old) is None


class StoreWithAWriterBetween(MemoryStore):
    """Before the first write of ``update_user`` comes somebody else's."""

    between: Iterator[Callable[[SessionRecord], SessionRecord]] = iter(())

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        for change in self.between:
            current = await super().get(key)
            assert current is not None
            await super().replace(key, change(current), version=current.version)
        return await super().replace(key, record, version=version)


def as_guest(record: SessionRecord) -> SessionRecord:
    data = json.dumps({**json.loads(record.data), "role": "guest"}).encode()
    return SessionRecord(data, record.user_id, record.version + 1, *_times(record))


def _times(record: SessionRecord) -> tuple[float, float, float, float]:
    return record.created_at, record.authenticated_at, record.last_seen_at, record.expires_at


@pytest.mark.anyio
async def test_a_session_that_refuses_the_change_meanwhile_keeps_no_other_from_it() -> None:
    store = StoreWithAWriterBetween()
    kit: SessionKit[AppSession] = SessionKit(AppSession, secret_key=SECRET, backend=store)
    clients = [signed_in(client_of(FastAPI()), kit, AppSession(user_id="ada", role="user")) for _ in range(3)]
    store.between = iter([as_guest])

    with pytest.raises(ValidationError):
        await kit.sessions.update_user("ada", tier="premium")
    assert [session.tier for client in clients if (session := session_of(client, kit))] == [
        "free",
        "premium",
        "premium",
    ]


@pytest.mark.anyio
async def test_a_change_that_one_of_the_sessions_refuses_changes_none() -> None:
    kit: SessionKit[AppSession] = SessionKit(AppSession, secret_key=SECRET, backend=MemoryStore())
    clients = [
        signed_in(client_of(FastAPI()), kit, AppSession(user_id="ada", role=role)) for role in ("user", "guest", "user")
    ]

    with pytest.raises(ValidationError):
        await kit.sessions.update_user("ada", tier="premium")
    assert [session.tier for client in clients if (session := session_of(client, kit))] == ["free"] * 3
