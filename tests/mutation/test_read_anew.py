"""Which models requests share the values of, and which are read anew for each request."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import pytest
from fastapi import Request
from pydantic import ConfigDict, Field, FutureDatetime, PrivateAttr, computed_field, field_validator

from fastapi_sessionkit import MemoryStore, Session, SessionBackend, SessionKit, set_session
from fastapi_sessionkit._request.sharing import is_shareable
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import COOKIE, SECRET, application, client_of, holding

numbers: Iterator[int] = count()
"""Stands for a clock, a registry, whatever a model may look at when it is read."""


class WithPostInit(Session):
    def model_post_init(self, context: Any) -> None:
        self.__dict__["read"] = next(numbers)


class WithItsOwnInit(Session):
    def __init__(self, **data: Any) -> None:
        super().__init__(**data)
        self.__dict__["read"] = next(numbers)


class WithADefaultFactory(Session):
    read: int = Field(default_factory=numbers.__next__)


class WithAValidator(Session):
    read: int = Field(0, validate_default=True)

    @field_validator("read")
    @classmethod
    def counted(cls, value: int) -> int:
        return next(numbers)


class WithNothingOfTheKind(Session):
    read: int = 7


def numbers_read(model: type[Session]) -> list[Any]:
    """What three requests see of a session that was kept before its model had any of this."""
    store = MemoryStore()
    token = signed_in(client_of(None), kit_of(Session, store), Session(user_id="ada")).cookies[COOKIE]
    kit = kit_of(model, store)
    app, client = application(kit)

    @app.get("/")
    async def read(request: Request) -> Any:
        return vars(await kit.require_session(request))["read"]

    holding(client, token)
    return [client.get("/").json() for _ in range(3)]


def kit_of(model: type[Session], backend: SessionBackend | MemoryStore | None = None) -> SessionKit[Any]:
    return SessionKit(model, secret_key=SECRET, backend=backend or MemoryStore())


@pytest.mark.parametrize("model", [WithPostInit, WithItsOwnInit, WithADefaultFactory, WithAValidator])
def test_what_a_model_looks_at_when_it_is_read_is_looked_at_by_each_request(model: type[Session]) -> None:
    assert len(set(numbers_read(model))) == 3


def test_a_model_of_nothing_but_fields_is_read_alike_by_each_request() -> None:
    assert numbers_read(WithNothingOfTheKind) == [7, 7, 7]


def test_a_field_that_is_held_against_the_time_is_read_anew() -> None:
    class Trial(Session):
        until: FutureDatetime

    class Plain(Session):
        until: datetime

    soon = datetime.now(UTC) + timedelta(days=1)

    assert not is_shareable(Trial(user_id="ada", until=soon))
    assert is_shareable(Plain(user_id="ada", until=soon))


class Point(NamedTuple):
    x: int
    y: int


class Marked(Point):
    """A subclass that takes attributes besides, which its tuple does not say."""


def test_private_attributes_are_each_request_s_own() -> None:
    class Noting(Session):
        _notes: list[str] = PrivateAttr(default_factory=list)

        def note(self, text: str) -> list[str]:
            self._notes.append(text)
            return self._notes

    kit = kit_of(Noting)
    app, client = application(kit)

    @app.get("/")
    async def read(request: Request) -> Any:
        return (await kit.require_session(request)).note("a note")

    signed_in(client, kit, Noting(user_id="ada"))

    assert [client.get("/").json() for _ in range(3)] == [["a note"]] * 3


def test_a_tuple_that_takes_attributes_is_not_shared() -> None:
    class Visitor(Session):
        where: Marked = Marked(1, 2)

    class Other(Session):
        where: Point = Point(1, 2)

    kit = kit_of(Visitor)
    app, client = application(kit)

    @app.get("/")
    async def read(request: Request) -> Any:
        session = await kit.require_session(request)
        found = vars(session.where).copy()
        session.where.note = "a note"
        return found

    signed_in(client, kit, Visitor(user_id="ada", where=Marked(3, 4)))

    assert [client.get("/").json() for _ in range(3)] == [{}] * 3
    assert is_shareable(Other(user_id="ada"))


def test_what_a_model_computes_is_not_kept_where_extras_are_forbidden() -> None:
    class Basket(Session):
        model_config = ConfigDict(extra="forbid")
        prices: tuple[int, ...] = ()

        @computed_field  # type: ignore[prop-decorator]
        @property
        def total(self) -> int:
            return sum(self.prices)

    kit = kit_of(Basket)
    app, client = application(kit)

    @app.post("/")
    async def sign_in(request: Request) -> None:
        set_session(request, Basket(user_id="ada", prices=(1, 2)))

    @app.post("/more")
    async def more(request: Request) -> None:
        kit.update_session(request, prices=(1, 2, 3))

    assert client.post("/").status_code == 200
    assert client.post("/more").status_code == 200
    assert session_of(client, kit) == Basket(user_id="ada", prices=(1, 2, 3))
