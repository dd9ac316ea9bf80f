"""A model whose ``user_id`` may name nobody is refused: such a session would count as signed in."""

from typing import Annotated, Any, Generic, NewType, Optional, TypeVar

import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from fastapi_sessionkit import Access, ConfigurationError, Session, SessionKit
from tests.support import SECRET

T = TypeVar("T")
MaybeId = NewType("MaybeId", Optional[str])  # type: ignore[valid-newtype]  # noqa: UP045


class Guest(Session):
    user_id: str | None = None  # type: ignore[assignment]


class Unsaid(Session):
    user_id: str | None  # type: ignore[assignment]


class Defaulted(Session):
    user_id: str = None  # type: ignore[assignment]


class Blank(Session):
    user_id: str = ""


class Plain(BaseModel):
    user_id: Annotated[str | None, Field(max_length=20)] = None


class Anything(BaseModel):
    user_id: Any


class AnyObject(BaseModel):
    user_id: object


class Renamed(BaseModel):
    user_id: MaybeId


class Passing(BaseModel):
    user_id: Annotated[str, BeforeValidator(lambda value: value), AfterValidator(lambda value: value or None)] | None


class OfAny(BaseModel, Generic[T]):
    user_id: T


class Inherited(Guest):
    pass


@pytest.mark.parametrize(
    "model",
    [
        Guest,
        Unsaid,
        Defaulted,
        Blank,
        Plain,
        Anything,
        AnyObject,
        Renamed,
        Passing,
        OfAny,
        OfAny[str | None],
        Inherited,
    ],
)
def test_a_user_id_that_may_be_none_is_refused_and_says_what_to_write(model: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"user_id may be None.*write user_id: str"):
        SessionKit(model, secret_key=SECRET)


class Opaque:
    """A type that Pydantic does not know."""


class Foreign(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    user_id: Opaque


class Refusing(BaseModel):
    user_id: Annotated[str | None, AfterValidator(lambda value: value.strip())]  # an AttributeError for None


class Numbered(BaseModel):
    user_id: int


class Account(BaseModel):
    account: str | None = None


@pytest.mark.parametrize(
    "model",
    [Session, Foreign, Refusing, Numbered, OfAny[str], Account, create_model("Made", user_id=(str, ...))],
)
def test_a_user_id_that_is_always_somebody_or_none_at_all_is_fine(model: Any) -> None:
    assert SessionKit(model, secret_key=SECRET, access=Access()).model is model
