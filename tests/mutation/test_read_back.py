"""What is written is read back the same, or it is refused; and what ``==`` does not see is saved all the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr

from fastapi_sessionkit import MemoryStore, Session, SessionBackend, SessionKit, set_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, client_of


class Tier(Enum):
    FREE = "free"
    TEAM = "team"


class Holder(Session):
    model_config = ConfigDict(strict=False)

    pin: SecretStr | None = None
    pins: list[SecretStr] = Field(default_factory=list)
    written: Annotated[SecretStr, PlainSerializer(lambda value: value.get_secret_value())] = SecretStr("")
    hidden: str = Field(default="", exclude=True)
    tier: Annotated[Tier, PlainSerializer(lambda _: "free")] = Tier.FREE


LOST: dict[str, dict[str, Any]] = {
    "a secret": {"pin": SecretStr("1234")},
    "a secret in a list": {"pins": [SecretStr("1234")]},
    "an excluded field": {"hidden": "x"},
    "an Enum that is written as another": {"tier": Tier.TEAM},
    "a secret in an extra": {"extra": SecretStr("1234")},
}
every_loss = pytest.mark.parametrize("fields", LOST.values(), ids=LOST)


def kit_of(backend: Any, model: type[Any] = Holder, **settings: Any) -> SessionKit[Any]:
    return SessionKit(model, secret_key=SECRET, backend=backend, **settings)


def client_that(kit: SessionKit[Any], act: Callable[[Request, Any], Any], session: Any) -> TestClient:
    app = FastAPI()
    kit.install(app)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        act(request, await kit.require_session(request))

    return signed_in(client_of(app), kit, session)


@pytest.mark.anyio
@every_loss
async def test_update_user_refuses_what_would_not_be_read_back(fields: dict[str, Any]) -> None:
    kit = kit_of(MemoryStore())
    clients = [signed_in(client_of(FastAPI()), kit, Holder(user_id="ada")) for _ in range(2)]

    with pytest.raises(TypeError, match="would be lost"):
        await kit.sessions.update_user("ada", **fields)
    assert [session_of(client, kit) for client in clients] == [Holder(user_id="ada")] * 2


@every_loss
@pytest.mark.parametrize(
    "act",
    [
        lambda request, fields: update_session(request, **fields),
        lambda request, fields: update_session(request, lambda _: fields),
        lambda request, fields: set_session(request, Holder(user_id="ada", **fields)),
    ],
    ids=["fields", "a function", "a sign-in"],
)
def test_a_request_is_refused_it_too(
    backend: SessionBackend, act: Callable[[Request, Any], Any], fields: dict[str, Any]
) -> None:
    kit = kit_of(backend)
    client = client_that(kit, lambda request, _: act(request, fields), Holder(user_id="ada"))

    with pytest.raises(TypeError, match="would be lost"):
        client.post("/")
    assert session_of(client, kit) == Holder(user_id="ada")


def test_and_so_is_a_change_in_place(backend: SessionBackend) -> None:
    kit = kit_of(backend)
    client = client_that(kit, lambda _, session: session.pins.append(SecretStr("1234")), Holder(user_id="ada"))

    with pytest.raises(TypeError, match="pins would be lost"):
        client.post("/")
    assert session_of(client, kit) == Holder(user_id="ada")


@pytest.mark.anyio
async def test_a_secret_with_a_serializer_of_its_own_is_kept() -> None:
    kit = kit_of(MemoryStore())
    client = signed_in(client_of(FastAPI()), kit, Holder(user_id="ada"))
    await kit.sessions.update_user("ada", written=SecretStr("1234"))
    session = session_of(client, kit)

    assert session is not None
    assert session.written.get_secret_value() == "1234"


# What == does not see


@dataclass
class Counted:
    name: str
    hits: int = field(default=0, compare=False)


class Quiet(BaseModel):
    """Equal to any other of its name."""

    name: str
    hits: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quiet) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]


class Counting(Session):
    model_config = ConfigDict(strict=False)

    counted: Counted = Field(default_factory=lambda: Counted("c"))
    counters: list[Counted] = Field(default_factory=lambda: [Counted("c")])
    quiet: Quiet = Field(default_factory=lambda: Quiet(name="q"))
    by_name: dict[str, Quiet] = Field(default_factory=lambda: {"q": Quiet(name="q")})


def hits(session: Any) -> list[int]:
    return [session.counted.hits, session.counters[0].hits, session.quiet.hits, session.by_name["q"].hits]


def count_in_place(_: Request, session: Any) -> None:
    for counter in (session.counted, session.counters[0], session.quiet, session.by_name["q"]):
        counter.hits += 1


def count_by_fields(request: Request, session: Any) -> None:
    update_session(
        request,
        counted=Counted("c", hits=1),
        counters=[Counted("c", hits=1)],
        quiet=Quiet(name="q", hits=1),
        by_name={"q": Quiet(name="q", hits=1)},
    )


def count_by_a_function(request: Request, session: Any) -> None:
    update_session(request, lambda session: {"counted": Counted("c", hits=session.counted.hits + 1)})
    update_session(request, lambda _: {"counters": [Counted("c", hits=1)], "quiet": Quiet(name="q", hits=1)})
    update_session(request, by_name={"q": Quiet(name="q", hits=1)})


@pytest.mark.parametrize("act", [count_in_place, count_by_fields, count_by_a_function])
def test_a_change_that_equality_does_not_see_is_saved(
    backend: SessionBackend, act: Callable[[Request, Any], None]
) -> None:
    kit = kit_of(backend, Counting)
    client = client_that(kit, act, Counting(user_id="ada"))

    assert client.post("/").status_code == 200
    assert hits(session_of(client, kit)) == [1, 1, 1, 1]


def test_so_is_one_that_revalidate_makes(backend: SessionBackend) -> None:
    asked: list[Any] = []

    async def look_again(session: Any) -> Any:
        asked.append(session)
        return session.model_copy(update={"counted": Counted("c", hits=7)}) if len(asked) == 1 else session

    kit = kit_of(backend, Counting, revalidate=look_again, revalidate_every=0)
    client = client_that(kit, lambda *_: None, Counting(user_id="ada"))
    client.post("/")

    assert hits(session_of(client, kit)) == [7, 0, 0, 0]


@pytest.mark.anyio
async def test_so_is_one_by_update_user() -> None:
    kit = kit_of(MemoryStore(), Counting)
    client = signed_in(client_of(FastAPI()), kit, Counting(user_id="ada"))
    await kit.sessions.update_user("ada", quiet=Quiet(name="q", hits=3))

    assert hits(session_of(client, kit)) == [0, 0, 3, 0]
