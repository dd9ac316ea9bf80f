"""``model_version`` and ``migrate``: what an older release stored is brought up to date when it is read."""

import functools
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    MemoryStore,
    Session,
    SessionKit,
    regenerate_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, client_of, new_kit


class First(Session):
    name: str = ""
    note: str = ""


class Second(Session):
    name: str = ""
    note: str = ""
    initials: str = "?"


class Third(Second):
    shouted: str = "?"


def to_second(data: dict[str, Any], version: int) -> dict[str, Any]:
    return {**data, "initials": data["name"][:1], "seen": [*data.get("seen", []), version]}


def to_third(data: dict[str, Any], version: int) -> dict[str, Any]:
    data = to_second(data, version) if version < 2 else data
    return {**data, "shouted": data["name"].upper()}


@pytest.fixture(params=["cookie", "encrypted", "memory"])
def backends(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """A backend for each of the releases: they share the store, or the secret."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    return lambda: CookieBackend(encrypt=request.param == "encrypted")


def first(backend: Any, **settings: Any) -> SessionKit[First]:
    return SessionKit(First, secret_key=SECRET, backend=backend, **settings)


def second(backend: Any, migrate: Any = to_second, **settings: Any) -> SessionKit[Second]:
    return SessionKit(Second, secret_key=SECRET, backend=backend, model_version=2, migrate=migrate, **settings)


def third(backend: Any) -> SessionKit[Third]:
    return SessionKit(Third, secret_key=SECRET, backend=backend, model_version=3, migrate=to_third)


def changed_by(kit: SessionKit[Any], client: TestClient, change: Callable[[Request], None]) -> None:
    """Let a request of this client change its session in an application of that kit."""
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        await kit.require_session(request)
        change(request)

    other = client_of(app, cookies=client.cookies)
    assert other.post("/").status_code == 200
    client.cookies = other.cookies


def read(client: TestClient, kit: SessionKit[Any]) -> Any:
    session = session_of(client, kit)
    assert session is not None
    return session


ADA = First(user_id="ada", role="user", name="ada")


def test_what_an_older_release_stored_is_brought_up_to_date_when_read(backends: Callable[[], Any]) -> None:
    client = signed_in(client_of(FastAPI()), first(backends()), ADA)

    assert read(client, second(backends())).model_dump() == {
        **Second(user_id="ada", role="user", name="ada", initials="a").model_dump(),
        "seen": [1],
    }


def test_it_is_read_so_each_time_until_a_change_saves_it(backends: Callable[[], Any]) -> None:
    client = signed_in(client_of(FastAPI()), first(backends()), ADA)
    new = second(backends())
    seen = [read(client, new).seen for _ in range(2)]
    changed_by(new, client, lambda request: update_session(request, name="grace"))
    session = read(client, second(backends()))

    assert seen == [[1], [1]]
    assert (session.name, session.initials, session.seen) == ("grace", "a", [1])


@pytest.mark.parametrize(
    "change",
    [
        lambda request: update_session(request, lambda session: {"note": session.note + "!"}),
        lambda request: update_session(request, role="admin"),
    ],
    ids=["a function", "rights"],
)
def test_every_kind_of_change_saves_what_migrate_gave(
    backends: Callable[[], Any], change: Callable[[Request], None]
) -> None:
    client = signed_in(client_of(FastAPI()), first(backends()), ADA)
    changed_by(second(backends()), client, change)
    changed_by(first(backends()), client, lambda request: update_session(request, name="grace"))

    assert read(client, second(backends())).initials == "a"


def test_a_session_that_this_release_began_is_not_migrated(backends: Callable[[], Any]) -> None:
    new = second(backends())
    client = signed_in(client_of(FastAPI()), new, Second(user_id="ada", name="ada", initials="x"))

    assert read(client, second(backends())).initials == "x"


def test_an_older_process_keeps_what_a_newer_one_noted(backends: Callable[[], Any]) -> None:
    client = signed_in(client_of(FastAPI()), second(backends()), Second(user_id="ada", name="ada", initials="x"))
    for change in (
        lambda request: update_session(request, note="old"),
        lambda request: update_session(request, role="admin"),
        regenerate_session,
    ):
        changed_by(first(backends()), client, change)
    session = read(client, second(backends()))

    assert (session.note, session.role, session.initials) == ("old", "admin", "x")
    assert "seen" not in (session.model_extra or {})


def test_migrate_is_told_which_release_stored_it(backends: Callable[[], Any]) -> None:
    by_first = signed_in(client_of(FastAPI()), first(backends()), ADA)
    by_second = signed_in(client_of(FastAPI()), second(backends()), Second(user_id="bob", name="bob", initials="b."))

    old, new = read(by_first, third(backends())), read(by_second, third(backends()))

    assert (old.initials, old.shouted, old.seen) == ("a", "ADA", [1])
    assert (new.initials, new.shouted) == ("b.", "BOB")


def test_a_version_alone_is_noted_for_the_next_release(backends: Callable[[], Any]) -> None:
    client = signed_in(client_of(FastAPI()), first(backends(), model_version=2), ADA)

    assert read(client, third(backends())).shouted == "ADA"
    assert read(client, third(backends())).initials == "?"


@pytest.mark.anyio
@pytest.mark.parametrize("release", [second, first])
async def test_update_user_keeps_the_version_beside_its_own_note(release: Callable[[Any], SessionKit[Any]]) -> None:
    store = MemoryStore()
    client = signed_in(client_of(FastAPI()), second(store), Second(user_id="ada", name="ada", initials="x"))
    moved = client.cookies["__Host-session"]

    assert await release(store).sessions.update_user("ada", role="admin") == 1
    changed_by(release(store), client, lambda _: None)
    session = read(client, second(store))
    assert (session.role, session.initials) == ("admin", "x")
    assert client.cookies["__Host-session"] != moved


@pytest.mark.anyio
async def test_listing_and_update_user_see_what_migrate_gives() -> None:
    store = MemoryStore()
    signed_in(client_of(FastAPI()), first(store), ADA)
    sessions = second(store).sessions

    assert [active.session.initials for active in await sessions.list("ada")] == ["a"]
    assert await sessions.update_user("ada", note="x") == 1
    assert [active.session.note for active in await sessions.list("ada")] == ["x"]


@pytest.mark.anyio
async def test_a_kit_without_versions_stores_what_it_always_did() -> None:
    store = MemoryStore()
    for kit in (first(store), first(store, model_version=1)):
        signed_in(client_of(FastAPI()), kit, ADA)

    assert {record.data for _, record in await store.list_user("ada")} == {ADA.model_dump_json().encode()}


# What does not fit


def gives(answer: Any) -> Callable[[Any, int], Any]:
    return lambda data, version: answer


def raises(data: dict[str, Any], version: int) -> dict[str, Any]:
    raise LookupError(data["name"])


UNFIT: dict[str, tuple[Any, str]] = {
    "an error": (raises, "migrate raised LookupError"),
    "nothing": (gives(None), "migrate gave a NoneType, not a dict"),
    "a list": (gives([1]), "migrate gave a list, not a dict"),
    "no JSON": (gives({"user_id": {1}}), "migrate gave what JSON can't hold"),
    "another model's": (gives({}), "user_id: missing"),
}


@pytest.mark.parametrize(("migrate", "said"), UNFIT.values(), ids=UNFIT)
def test_what_migrate_can_not_bring_up_to_date_no_longer_fits(
    backends: Callable[[], Any], migrate: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = first(backends()), second(backends(), migrate)
    app = FastAPI()
    new.install(app)
    app.get("/")(new.require_session)
    client = signed_in(client_of(app), old, ADA)

    with caplog.at_level(logging.WARNING):
        response = client.get("/")
    assert response.status_code == 401
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert [record.getMessage() for record in caplog.records] == [
        f"A stored session no longer fits Second ({said}): removed"
    ]


@pytest.mark.anyio
async def test_update_user_ends_what_migrate_can_not_bring_up_to_date() -> None:
    store = MemoryStore()
    client = signed_in(client_of(FastAPI()), first(store), ADA)

    assert await second(store, raises).sessions.update_user("ada", note="x") == 0
    assert session_of(client, first(store)) is None


# Settings


async def asynchronous(data: Any, version: int) -> Any:
    return data


def generator(data: Any, version: int) -> Any:
    yield data


class Asynchronous:
    async def __call__(self, data: Any, version: int) -> Any:
        return data


class Plain:
    def __call__(self, data: dict[str, Any], version: int) -> dict[str, Any]:
        return to_second(data, version)

    @staticmethod
    def anything(*given: Any) -> Any:
        return to_second(*given)


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "2", (2,)])
def test_a_version_is_a_whole_number_from_1_on(version: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"model_version.* whole number"):
        new_kit(model_version=version)


@pytest.mark.parametrize(
    "migrate",
    [
        "to_second",
        asynchronous,
        generator,
        Asynchronous(),
        functools.partial(asynchronous, version=1),
        lambda data: data,
        lambda data, version, more: data,
        lambda data, *, version: data,
        functools.partial(to_second, {}, 1),
    ],
    ids=["text", "async", "generator", "async object", "async partial", "one", "three", "by name", "no more"],
)
def test_migrate_is_a_plain_function_of_data_and_version(migrate: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"def migrate\(data, version\)"):
        new_kit(model_version=2, migrate=migrate)


def test_migrate_needs_a_version() -> None:
    with pytest.raises(ConfigurationError, match="needs model_version"):
        new_kit(migrate=to_second)


@pytest.mark.parametrize(
    "migrate",
    [to_second, Plain(), Plain().__call__, functools.partial(to_second), Plain.anything, dict.__or__],
    ids=["function", "object", "method", "partial", "any arguments", "C"],
)
def test_whatever_takes_both_is_a_migrate(migrate: Any) -> None:
    new_kit(model_version=2, migrate=migrate)


def test_what_a_library_without_versions_reads_is_a_member_more() -> None:
    """So it keeps the note, as it keeps every member that its model does not know."""
    store = MemoryStore()
    signed_in(client_of(FastAPI()), second(store), Second(user_id="ada"))
    [record] = store._records.values()  # noqa: SLF001

    assert json.loads(record.data) == {"__sessionkit__": [2], **Second(user_id="ada").model_dump(mode="json")}
