"""``sessions_of``: sessions for property tests."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import FastAPI
from hypothesis import find, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, StringConstraints

from fastapi_sessionkit import RouterGuard, Rule, Session, SessionKit
from fastapi_sessionkit.testing import session_of, sessions_of, signed_in
from tests.support import AppSession, Clock, app_kit, client_of, new_kit


class Item(BaseModel):
    name: str
    amount: Annotated[int, Field(ge=0, le=9)]


class Employee(Session):
    role: Literal["cook", "waiter"] | None = None
    user_id: Annotated[str, Field(pattern="^[a-z]{3}$")]
    hired: datetime
    badge: UUID
    salary: Decimal
    ratio: float
    items: list[Item] = Field(default_factory=list)
    code: Annotated[str, StringConstraints(min_length=2, max_length=3)]
    anything: dict[str, Any] = Field(default_factory=dict)


class Renamed(Session):
    team: str = Field(alias="group")


class Noted(Session):
    note: str = "as nobody would draw it"
    ratio: float = 1.0


class Visitor(BaseModel):
    job: Literal["cook", "waiter"]


@pytest.mark.parametrize("model", [Session, AppSession, Employee, Renamed, Visitor])
def test_each_session_can_be_signed_in_and_is_read_back(model: type[BaseModel]) -> None:
    kit: SessionKit[Any] = new_kit(model=model)
    app = FastAPI()
    kit.install(app)
    client = client_of(app)

    @settings(max_examples=25)
    @given(sessions_of(model))
    def check(session: BaseModel) -> None:
        assert type(session) is model
        client.cookies.clear()
        assert session_of(signed_in(client, kit, session), kit) == session

    check()


VARIETIES: dict[str, Any] = {
    "roles beside the role": lambda s: s.role is not None and s.role not in s.roles and s.roles,
    "permissions and no email": lambda s: s.email is None and s.permissions,
    "an email": lambda s: s.email is not None,
    "premium and an empty cart": lambda s: s.tier == "premium" and not s.cart,
    "free and a full cart": lambda s: s.tier == "free" and len(s.cart) > 1,
    "a note and no nickname": lambda s: s.nickname == "" and s.note,
}


@pytest.mark.parametrize("sought", VARIETIES.values(), ids=VARIETIES)
def test_fields_vary_and_have_their_defaults_at_times(sought: Any) -> None:
    assert find(sessions_of(AppSession), sought) is not None


@pytest.mark.parametrize("is_default", [True, False])
def test_a_default_is_drawn_too(is_default: bool) -> None:
    default = Noted(user_id="ada").note

    assert find(sessions_of(Noted), lambda s: (s.note == default) is is_default) is not None


@given(sessions_of(Noted, ratio=st.sampled_from([math.nan, math.inf, 0.5])))
def test_what_would_not_be_read_back_is_not_drawn(session: Noted) -> None:
    assert session.ratio == 0.5


@given(sessions_of(AppSession, role="customer", roles=st.sampled_from([(), ("vip",)]), team="blue"))
def test_a_field_is_pinned_by_a_value_or_a_strategy(session: AppSession) -> None:
    assert session.role == "customer"
    assert session.roles in {(), ("vip",)}
    assert session.model_extra == {"team": "blue"}


def test_it_finds_the_customer_who_gets_in() -> None:
    """The rule forgets that somebody may have further roles."""
    app, kit = FastAPI(), app_kit(clock=Clock())
    kit.install(app, guard=RouterGuard(protect=[Rule("/admin", roles=["admin", "staff"])]))
    app.get("/admin")(lambda: None)
    roles = st.lists(st.sampled_from(["vip", "staff"]), max_size=2)

    @settings(max_examples=50, database=None)
    @given(sessions_of(AppSession, role="customer", roles=roles))
    def no_customer_reaches_it(session: AppSession) -> None:
        assert signed_in(client_of(app), kit, session).get("/admin").status_code == 403

    with pytest.raises(AssertionError) as found:
        no_customer_reaches_it()
    assert "'staff'" in "".join(found.value.__notes__)
