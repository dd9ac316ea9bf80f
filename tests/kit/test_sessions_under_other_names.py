"""A session that the client sends fails the start, whatever name or generic type the parameter reaches it by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import pytest
from fastapi import Body, FastAPI, Path
from pydantic import BaseModel, ConfigDict, Field, Json, computed_field, field_serializer
from typing_extensions import TypeAliasType, TypedDict

from fastapi_sessionkit import ConfigurationError
from tests.support import ADA, AppSession, app_kit, client_of

T = TypeVar("T")
Bound = TypeVar("Bound", bound=AppSession)
Constrained = TypeVar("Constrained", AppSession, int)
Renamed = NewType("Renamed", AppSession)
Twice = NewType("Twice", Renamed)
ListOf = TypeAliasType("ListOf", list[T], type_params=(T,))
Itself = TypeAliasType("Itself", T, type_params=(T,))


@dataclass
class Data(Generic[T]):
    value: T


@dataclass
class DataOfSession(Data[AppSession]):
    pass


class FurtherData(DataOfSession):
    pass


@dataclass
class DataOfList(Data[list[Renamed]]):
    pass


@dataclass
class DataBeside(Generic[T]):
    value: T
    session: AppSession


class Typed(TypedDict, Generic[T]):
    value: T


class TypedOfSession(Typed[AppSession]):
    pass


class BuiltLate(BaseModel):
    model_config = ConfigDict(defer_build=True)
    session: AppSession | None = None


class OneKind(BaseModel):
    kind: Literal["default"]
    metadata: AppSession


class OtherKind(BaseModel):
    kind: Literal["other"]


NAMES: dict[str, Any] = {
    "a NewType": Renamed,
    "a NewType of one": Twice,
    "a bound TypeVar": Bound,
    "a constrained TypeVar": Constrained,
    "a generic alias": ListOf[AppSession],
    "a generic alias of itself": Itself[AppSession],
    "a dataclass of one": Data[AppSession],
    "a subclass of a generic dataclass": DataOfSession,
    "a subclass of that": FurtherData,
    "a subclass of one of a list": DataOfList,
    "a generic dataclass that has one beside": DataBeside[int],
    "a typed dictionary of one": Typed[AppSession],
    "a subclass of a generic typed dictionary": TypedOfSession,
    "a model that is built late": BuiltLate,
    "one kind of several": Annotated[OneKind | OtherKind, Field(discriminator="kind")],
}
generic: Any = {"list": list, "dict": dict, "Annotated": Annotated, "Data": Data, "ListOf": ListOf}
WITHIN: dict[str, Callable[[Any], Any]] = {
    "alone": lambda name: name,
    "a list": lambda name: generic["list"][name],
    "a mapping": lambda name: generic["dict"][str, name],
    "optional": lambda name: name | None,
    "annotated": lambda name: generic["Annotated"][name, "a note"],
    "a dataclass": lambda name: generic["Data"][name],
    "a generic alias": lambda name: generic["ListOf"][name],
}


def endpoint_taking(annotation: Any) -> Any:
    async def transfer(session: Any) -> str:
        return type(session).__name__

    transfer.__annotations__["session"] = annotation
    return transfer


def start(endpoint: Any, path: str = "/transfer") -> None:
    app = FastAPI()
    app_kit().install(app)
    app.post(path)(endpoint)
    with client_of(app):
        pass


@pytest.mark.parametrize("within", WITHIN)
@pytest.mark.parametrize("name", NAMES)
def test_a_session_by_another_name_fails_the_start(name: str, within: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^/transfer: session takes its AppSession from the (query|body),"):
        start(endpoint_taking(WITHIN[within](NAMES[name])))


def test_a_session_from_the_path_fails_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"session takes its AppSession from the path,"):
        start(endpoint_taking(Annotated[Json[Renamed], Path()]), "/transfer/{session}")


def test_who_says_body_of_another_name_gets_the_client_s_session() -> None:
    app = FastAPI()
    app_kit().install(app)
    app.post("/transfer")(endpoint_taking(Annotated[Renamed, Body()]))

    with client_of(app) as client:
        assert client.post("/transfer", json={"user_id": "root"}).json() == "AppSession"


def test_what_is_only_shown_of_a_session_is_no_session_from_a_client() -> None:
    class Shown(BaseModel):
        name: str = ""
        default: Any = ADA

        @computed_field  # type: ignore[prop-decorator]
        @property
        def session(self) -> AppSession:
            return ADA

        @field_serializer("name")
        def as_session(self, name: str) -> AppSession:
            return ADA

    start(endpoint_taking(Shown))
