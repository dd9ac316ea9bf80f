"""``update_session``: changes by name, by a function, and what is refused."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, Request
from pydantic import ValidationError, model_validator

from fastapi_sessionkit import (
    NotAuthenticated,
    Session,
    SessionKit,
    StoreBackend,
    clear_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import runs
from tests.support import (
    ADA,
    COOKIE,
    SECRET,
    AppSession,
    Clock,
    RecordingStore,
    app_kit,
    application,
    client_of,
    holding,
)

# Changing


def test_a_change_is_seen_by_later_reads_of_the_request(kit: SessionKit[AppSession]) -> None:
    seen: list[AppSession | None] = []

    async def change(request: Request) -> None:
        update_session(request, tier="premium")
        seen.append(await kit.get_session(request))

    runs(kit, change)

    assert seen == [AppSession(user_id="ada", role="user", tier="premium")]


def test_a_session_that_was_handed_out_does_not_change_under_its_holder(kit: SessionKit[AppSession]) -> None:
    tiers: list[str] = []

    async def change(request: Request) -> None:
        session = await kit.require_session(request)
        update_session(request, tier="premium")
        tiers.append(session.tier)

    runs(kit, change)

    assert tiers == ["free"]


def test_a_change_needs_nobody_to_have_loaded_the_session(kit: SessionKit[AppSession]) -> None:
    client = runs(kit, lambda request: update_session(request, tier="premium"))

    assert session_of(client, kit) == AppSession(user_id="ada", role="user", tier="premium")


def test_several_changes_add_up_and_the_last_one_wins(kit: SessionKit[AppSession]) -> None:
    async def change(request: Request) -> None:
        update_session(request, note="first", tier="premium")
        await kit.get_session(request)
        update_session(request, note="last")

    session = session_of(runs(kit, change), kit)

    assert session == AppSession(user_id="ada", role="user", tier="premium", note="last")


def test_an_extra_field_may_be_added(kit: SessionKit[AppSession]) -> None:
    session = session_of(runs(kit, lambda request: update_session(request, theme="dark")), kit)

    assert session is not None
    assert session.model_extra == {"theme": "dark"}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    "changes",
    [{"tier": "gold"}, {"user_id": ""}, {"nickname": "x" * 21}, {"tier": "premium", "cart": 3}, {"user_id": None}],
    ids=str,
)
def test_an_invalid_change_raises_at_once_and_changes_nothing(
    kit: SessionKit[AppSession], loaded: bool, changes: dict[str, Any]
) -> None:
    async def attempt(request: Request) -> None:
        if loaded:
            await kit.require_session(request)
        with pytest.raises(ValidationError):
            update_session(request, **changes)
        assert await kit.require_session(request) == ADA

    client = runs(kit, attempt)

    assert session_of(client, kit) == ADA


def test_an_invalid_change_leaves_the_changes_before_it(kit: SessionKit[AppSession]) -> None:
    async def attempt(request: Request) -> None:
        await kit.require_session(request)
        update_session(request, note="kept")
        with pytest.raises(ValidationError):
            update_session(request, nickname="x" * 21)

    assert session_of(runs(kit, attempt), kit) == AppSession(user_id="ada", role="user", note="kept")


def test_a_change_that_fits_no_more_beside_the_rest_is_never_saved(kit: SessionKit[AppSession]) -> None:
    """Fields that are valid alone and not together: noticed once the session is loaded, at the latest at commit."""
    app, _ = application(kit)
    client = client_of(app, raise_server_exceptions=False)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, tier="premium")

    guest = AppSession(user_id="eve", role="guest")
    response = signed_in(client, kit, guest).post("/")

    assert response.status_code == 500
    assert session_of(client, kit) == guest


@pytest.mark.parametrize("helper", [lambda request: update_session(request, tier="premium"), regenerate_session])
def test_with_nobody_signed_in_changing_raises_not_authenticated(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        helper(request)

    response = client.post("/")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("token", ["made-up", "a.b", "e30.AAAA"])
def test_with_a_token_that_is_nobodys_an_unseen_change_is_401_and_not_done(
    kit: SessionKit[AppSession], token: str
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> str:
        update_session(request, tier="premium")
        return "done"

    response = holding(client, token).post("/")

    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert "cookie" in response.headers["vary"].lower()


@pytest.mark.parametrize("helper", [lambda request: update_session(request, tier="premium"), regenerate_session])
def test_changing_after_signing_out_in_the_same_request_raises(
    kit: SessionKit[AppSession], helper: Callable[[Request], None]
) -> None:
    def attempt(request: Request) -> None:
        clear_session(request)
        with pytest.raises(NotAuthenticated):
            helper(request)

    assert session_of(runs(kit, attempt), kit) is None


def test_after_signing_in_in_the_same_request_changes_are_part_of_it(kit: SessionKit[AppSession]) -> None:
    def change(request: Request) -> None:
        set_session(request, ADA)
        update_session(request, tier="premium")
        regenerate_session(request)

    assert session_of(runs(kit, change, None), kit) == AppSession(user_id="ada", role="user", tier="premium")


def test_what_is_marked_last_is_done(kit: SessionKit[AppSession]) -> None:
    def in_and_out(request: Request) -> None:
        set_session(request, AppSession(user_id="eve"))
        clear_session(request)

    def out_and_in(request: Request) -> None:
        clear_session(request)
        set_session(request, AppSession(user_id="grace"))

    assert session_of(runs(kit, in_and_out), kit) is None
    assert session_of(runs(kit, out_and_in), kit) == AppSession(user_id="grace")


def test_a_validator_that_wants_the_whole_session_is_given_it_at_commit() -> None:
    class Whole(Session):
        @model_validator(mode="before")
        @classmethod
        def looks_at_everything(cls, fields: dict[str, Any]) -> dict[str, Any]:
            assert fields["user_id"]
            return fields

    kit = SessionKit(Whole, secret_key=SECRET)
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, role="editor")

    assert signed_in(client, kit, Whole(user_id="u")).post("/").status_code == 200
    assert session_of(client, kit) == Whole(user_id="u", role="editor")


def test_update_session_with_a_field_the_model_does_not_have_raises() -> None:
    """A model that ignores what it does not know would drop the change without a word."""

    class Plain(Session, extra="ignore"):
        pass

    kit = SessionKit(Plain, secret_key=SECRET)
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        with pytest.raises(ValueError, match="colour"):
            update_session(request, colour="red")

    assert signed_in(client, kit, Plain(user_id="u")).post("/").status_code == 200


def test_a_counter_is_raised_by_a_function_of_the_session(kit: SessionKit[AppSession]) -> None:
    def count(request: Request) -> None:
        update_session(request, lambda session: {"settings": {"n": session.settings.get("n", 0) + 1}})
        update_session(request, lambda session: {"settings": {"n": session.settings["n"] + 1}})

    app, client = application(kit)

    @app.post("/seen", dependencies=[Depends(kit.require_session)])
    async def seen(request: Request) -> None:
        count(request)

    @app.post("/unseen")
    async def unseen(request: Request) -> None:
        count(request)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, ADA)
        count(request)

    client.post("/login")
    client.post("/seen")
    client.post("/unseen")
    session = session_of(client, kit)

    assert session is not None
    assert session.settings == {"n": 6}


def test_a_function_and_fields_at_once_are_refused(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        update_session(request, lambda _: {}, tier="premium")

    signed_in(client, kit, ADA)
    with pytest.raises(TypeError, match="either fields"):
        client.post("/")


async def later(session: AppSession) -> dict[str, Any]:
    return {"note": "hi"}


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize(
    ("compute", "what"),
    [
        (lambda session: session.model_copy(update={"note": "hi"}), "AppSession"),
        (lambda session: session.cart.append("pen"), "NoneType"),
        (lambda session: [("note", "hi")], "list"),
        (later, "coroutine"),
    ],
)
def test_a_function_that_gives_no_fields_says_what_it_gave(
    kit: SessionKit[AppSession], compute: Any, what: str, is_loaded: bool
) -> None:
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        if is_loaded:
            await kit.get_session(request)
        update_session(request, compute)

    signed_in(client, kit, ADA)
    with pytest.raises(TypeError, match=rf"gives the fields that change, .* not a {what}$"):
        client.post("/")

    assert session_of(client, kit) == ADA


# A stored session that no longer fits


def test_a_stored_session_that_no_longer_fits_is_logged_and_removed(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class New(Session):
        tier: Literal["bronze", "silver"] = "bronze"

    store = RecordingStore()
    old = app_kit(backend=store, clock=clock)
    new = SessionKit(New, secret_key=SECRET, backend=StoreBackend(store), clock=clock)
    app, client = application(new)

    @app.get("/")
    async def read(session: Annotated[New | None, Depends(new.get_session)]) -> bool:
        return session is not None

    token = signed_in(client, old, AppSession(user_id="SECRET", tier="premium")).cookies[COOKIE]
    response = client.get("/")

    assert response.json() is False
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert session_of(holding(client, token), old) is None
    assert "tier" in caplog.text
    assert not {"SECRET", "premium"} & set(caplog.text.replace("'", " ").split())
