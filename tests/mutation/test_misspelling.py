"""A name that the model does not have and that is all but one that it has: an error that asks what was meant."""

from functools import partial
from typing import Any

import pytest
from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from fastapi_sessionkit import MemoryStore, Session, SessionKit, update_session
from fastapi_sessionkit._request.spelling import probably_meant
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import runs
from tests.support import ADA, SECRET, AppSession, app_kit, application, client_of


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("way", ["fields", "function", "kit", "kit function"])
def test_a_slip_in_a_name_raises_at_once_and_asks(kit: SessionKit[AppSession], loaded: bool, way: str) -> None:
    async def attempt(request: Request) -> None:
        if loaded or "function" in way:
            await kit.require_session(request)
        helper: Any = kit.update_session if way.startswith("kit") else update_session
        change: Any = partial(helper, request, teir="secret-value")
        if way.endswith("function"):
            change = partial(helper, request, lambda _: {"teir": "secret-value"})
        with pytest.raises(ValidationError, match=r"^1 validation error for AppSession\nteir\n.*did you mean 'tier'\?"):
            change()
        assert await kit.require_session(request) == ADA

    assert session_of(runs(kit, attempt), kit) == ADA


@pytest.mark.anyio
async def test_update_user_asks_too_and_changes_nothing() -> None:
    kit = app_kit(backend=MemoryStore())
    client = signed_in(client_of(application(kit)[0]), kit, ADA)

    with pytest.raises(ValidationError, match="did you mean 'tier'"):
        await kit.sessions.update_user("ada", note="changed", teir="premium")
    assert session_of(client, kit) == ADA


def test_an_extra_field_that_the_session_has_is_no_slip(kit: SessionKit[AppSession]) -> None:
    async def change(request: Request) -> None:
        await kit.require_session(request)
        update_session(request, teir="new")

    session = session_of(runs(kit, change, AppSession.model_validate({**dict(ADA), "teir": "old"})), kit)

    assert session is not None
    assert session.model_extra == {"teir": "new"}


def test_what_revalidation_adds_is_the_application_s_business() -> None:
    async def revalidate(session: AppSession) -> AppSession:
        return session.model_copy(update={"teir": "added"})

    kit = app_kit(backend=MemoryStore(), revalidate=revalidate, revalidate_every=0)
    session = session_of(runs(kit, kit.require_session), kit)

    assert session is not None
    assert session.model_extra == {"teir": "added"}


@pytest.mark.parametrize("extra", ["forbid", "ignore"])
def test_a_model_without_extra_fields_asks_as_well(extra: Any) -> None:
    class Closed(Session):
        model_config = ConfigDict(extra=extra)

        tier: str = ""

    kit = SessionKit(Closed, secret_key=SECRET)
    app, client = application(kit)
    asked: list[str] = []

    @app.post("/")
    async def change(request: Request) -> None:
        with pytest.raises(ValidationError) as caught:
            kit.update_session(request, teir="premium")
        asked.append(str(caught.value))

    signed_in(client, kit, Closed(user_id="ada")).post("/")

    assert "did you mean 'tier'" in asked[0]


def test_a_model_of_another_kind_asks_as_well() -> None:
    class Basket(BaseModel):
        model_config = ConfigDict(extra="allow")

        items: int = 0

    kit = SessionKit(Basket, secret_key=SECRET)
    app, client = application(kit)

    @app.post("/")
    async def change(request: Request) -> None:
        kit.update_session(request, itmes=1)

    with pytest.raises(ValidationError, match="did you mean 'items'"):
        signed_in(client, kit, Basket()).post("/")


KNOWN = ["user_id", "email", "role", "roles", "permissions", "tier", "id", "n"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("teir", "tier"),  # two letters swapped
        ("tie", "tier"),  # one left out
        ("tiers", "tier"),  # one too many
        ("tyer", "tier"),  # another one
        ("Tier", "tier"),
        ("rols", "role"),
        ("tierxx", "tier"),
        ("userId", "user_id"),
        ("premissoins", "permissions"),
        ("permision", "permissions"),
        ("emial", "email"),
    ],
)
def test_one_or_two_letters_away_is_a_slip(name: str, meant: str) -> None:
    assert probably_meant(name, KNOWN) == meant


@pytest.mark.parametrize(
    "name",
    [
        "theme",
        "mode",
        "code",
        "note",
        "name",
        "i",
        "m",
        "ids",
        "ip",
        "nn",
        "",
        "permits",
        "prmsion",
        "tierxxx",
        "x" * 9_999,
    ],
)
def test_what_is_further_away_or_very_short_is_another_name(name: str) -> None:
    assert probably_meant(name, KNOWN) is None
