"""Models in fields of a session, and types that Hypothesis knows too little about."""

from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl, PlainSerializer, PositiveInt, SecretStr

from fastapi_sessionkit import ConfigurationError, Session
from fastapi_sessionkit.testing import sessions_of


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid")

    street: Annotated[str, Field(min_length=3, max_length=8)]
    postcode: Annotated[str, Field(pattern=r"^\d{5}$")]


class Item(BaseModel):
    number: Annotated[int, Field(ge=3, lt=5)]
    amount: PositiveInt = 1


class WithAddress(Session):
    address: Address


class WithItems(Session):
    items: list[Item]
    by_name: dict[str, Item | None] = Field(default_factory=dict)
    pair: tuple[Item, str] | None = None
    many: tuple[Item, ...] = ()


class WithEither(Session):
    what: Address | Item


class WithTime(Session):
    paid_at: AwareDatetime


def revealed(secret: SecretStr) -> str:
    return secret.get_secret_value()


Pin = Annotated[SecretStr, PlainSerializer(revealed, when_used="json")]


class WithSecrets(Session):
    pin: Pin
    others: list[Pin]


class WithAddressFrom(Session):
    url: HttpUrl


@pytest.mark.parametrize("model", [WithAddress, WithItems, WithEither, WithTime, WithSecrets])
def test_models_within_a_session_are_made_too(model: type[Session]) -> None:
    @settings(max_examples=20)
    @given(sessions_of(model))
    def is_a_session_of_it(session: Any) -> None:
        assert isinstance(session, model)

    is_a_session_of_it()


def test_a_type_without_values_names_the_field_and_says_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match=r"WithAddressFrom\.url .*sessions_of\(WithAddressFrom, url=st"):
        sessions_of(WithAddressFrom)


@settings(max_examples=5)
@given(sessions_of(WithAddressFrom, url=st.just("https://a.example")))
def test_values_that_are_given_are_all_that_it_takes(session: WithAddressFrom) -> None:
    assert session.url.host == "a.example"
