"""``Session``: what it accepts, what it answers, and that it doesn't change. ``SessionInfo``: its clocks."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import FastAPI, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, FutureDatetime, ValidationError, model_validator

from fastapi_sessionkit import MemoryStore, Session, SessionInfo, SessionKit
from fastapi_sessionkit._request.codec import Misfit, SessionCodec
from fastapi_sessionkit.stores.base import SessionRecord
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, application, client_of, new_kit

# What it accepts


def test_a_user_id_is_all_that_it_needs() -> None:
    session = Session(user_id="u")

    assert session.model_dump() == {"user_id": "u", "email": None, "role": None, "roles": (), "permissions": ()}


def test_a_user_id_is_needed() -> None:
    with pytest.raises(ValidationError):
        Session()  # type: ignore[call-arg]


@pytest.mark.parametrize("user_id", ["", " ", "\u3000", "x" * 256, "a\nb", "a\x00", "\x7f", "a\x85b", 1, None, b"u"])
def test_a_user_id_that_is_blank_long_no_text_or_unprintable_is_refused(user_id: object) -> None:
    with pytest.raises(ValidationError):
        Session(user_id=user_id)  # type: ignore[arg-type]


@pytest.mark.parametrize("user_id", ["x" * 255, "0", "müller", "auth0|123", "a b"])
def test_any_other_text_is_a_user_id(user_id: str) -> None:
    assert Session(user_id=user_id).user_id == user_id


@pytest.mark.parametrize("email", ["nobody", "", "x" * 320 + "@", 1])
def test_an_email_without_an_at_or_over_320_characters_is_refused(email: object) -> None:
    with pytest.raises(ValidationError):
        Session(user_id="u", email=email)  # type: ignore[arg-type]


def test_an_email_may_have_320_characters() -> None:
    email = "x" * 319 + "@"

    assert Session(user_id="u", email=email).email == email


@pytest.mark.parametrize("role", ["x" * 101, "a\x00", "a\r\nb", "\x9f", 1])
def test_a_role_that_is_long_or_unprintable_is_refused_in_either_field(role: object) -> None:
    with pytest.raises(ValidationError):
        Session(user_id="u", role=role)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Session(user_id="u", roles=[role])  # type: ignore[arg-type]


def test_a_role_may_have_100_characters() -> None:
    assert Session(user_id="u", role="x" * 100).has_role("x" * 100)


@pytest.mark.parametrize(("count", "fits"), [(100, True), (101, False)])
def test_there_are_at_most_100_roles(count: int, fits: bool) -> None:
    roles = tuple(map(str, range(count)))

    if fits:
        assert len(Session(user_id="u", roles=roles).roles) == count
    else:
        with pytest.raises(ValidationError):
            Session(user_id="u", roles=roles)


@pytest.mark.parametrize(("count", "fits"), [(500, True), (501, False)])
def test_there_are_at_most_500_permissions(count: int, fits: bool) -> None:
    permissions = tuple(map(str, range(count)))

    if fits:
        assert len(Session(user_id="u", permissions=permissions).permissions) == count
    else:
        with pytest.raises(ValidationError):
            Session(user_id="u", permissions=permissions)


@pytest.mark.parametrize(("length", "fits"), [(200, True), (201, False)])
def test_a_permission_has_at_most_200_characters(length: int, fits: bool) -> None:
    if fits:
        assert Session(user_id="u", permissions=("p" * length,)).has_permission("p" * length)
    else:
        with pytest.raises(ValidationError):
            Session(user_id="u", permissions=("p" * length,))


def test_roles_and_permissions_take_lists_and_are_tuples() -> None:
    session = Session(user_id="u", roles=["a"], permissions=["p"])  # type: ignore[arg-type]

    assert (session.roles, session.permissions) == (("a",), ("p",))


@pytest.mark.parametrize("roles", ["admin", [b"admin"], [1], [None], None, {"admin": True}])
def test_roles_that_are_no_collection_of_text_are_refused(roles: object) -> None:
    with pytest.raises(ValidationError):
        Session(user_id="u", roles=roles)  # type: ignore[arg-type]


def test_extra_fields_are_kept() -> None:
    assert Session(user_id="u", theme="dark").model_dump()["theme"] == "dark"  # type: ignore[call-arg]


def test_a_subclass_may_forbid_extra_fields() -> None:
    class Closed(Session):
        model_config = ConfigDict(extra="forbid")

    with pytest.raises(ValidationError):
        Closed(user_id="u", theme="dark")  # type: ignore[call-arg]


@pytest.mark.parametrize("user_id", [1, 1.5, True, uuid4(), object()], ids=lambda value: type(value).__name__)
def test_an_id_that_is_no_text_is_refused_with_what_to_write(user_id: Any) -> None:
    with pytest.raises(ValidationError, match=rf"not {type(user_id).__name__}: write user_id=str\(user\.id\)"):
        Session(user_id=user_id)


@pytest.mark.parametrize("user_id", [None, b"u"])
def test_what_str_makes_no_id_of_is_not_told_to_try(user_id: Any) -> None:
    with pytest.raises(ValidationError, match="valid string") as caught:
        Session(user_id=user_id)

    assert "str(" not in str(caught.value)


class Convertible(Session):
    born: date | None = None
    count: int = 0


@pytest.mark.parametrize("wrong", [{"email": b"a@b"}, {"role": b"r"}, {"roles": [b"r"]}, {"permissions": [b"p"]}])
def test_the_fields_of_session_stay_strict_in_a_subclass(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Convertible(**{"user_id": "u", **wrong})


def test_a_subclass_s_own_fields_convert_as_pydantic_usually_does() -> None:
    session = Convertible(user_id="u", born="2020-01-01", count="3")  # type: ignore[arg-type]

    assert (session.born, session.count) == (date(2020, 1, 1), 3)


def test_a_subclass_may_say_that_its_own_fields_are_strict() -> None:
    class Strict(Convertible):
        model_config = ConfigDict(strict=True)

    for wrong in ({"born": "2020-01-01"}, {"count": "3"}):
        with pytest.raises(ValidationError):
            Strict.model_validate({"user_id": "u", **wrong})
    assert Strict(user_id="u", roles=["a"]).roles == ("a",)  # type: ignore[arg-type]


def test_what_is_stored_is_read_as_what_is_given() -> None:
    codec = SessionCodec(Convertible)
    stored = b'{"user_id": "u", "born": "2020-01-01", "count": "3"}'

    assert codec.read(stored) == Convertible(user_id="u", born=date(2020, 1, 1), count=3)
    with pytest.raises(Misfit, match="user_id"):
        codec.read(b'{"user_id": 1}')


def test_an_update_converts_a_subclass_s_own_fields_too() -> None:
    kit = SessionKit(Convertible, secret_key=SECRET, backend=MemoryStore())
    app, client = application(kit)

    @app.post("/")
    async def change(request: Request) -> None:
        kit.update_session(request, born="2020-01-01", count="3")

    assert signed_in(client, kit, Convertible(user_id="u")).post("/").status_code == 200
    assert session_of(client, kit) == Convertible(user_id="u", born=date(2020, 1, 1), count=3)


def test_an_error_does_not_show_the_value_that_was_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        Session(user_id="u", email="secret-token")

    assert "secret-token" not in str(caught.value)


# That it doesn't change


@pytest.mark.parametrize("name", ["role", "user_id", "unheard_of"])
def test_assigning_to_a_field_raises_and_names_update_session(name: str) -> None:
    session = Session(user_id="u", role="user")

    with pytest.raises(ValidationError, match=rf"update_session\(request, {name}=\.\.\.\)"):
        setattr(session, name, "admin")

    assert session == Session(user_id="u", role="user")


def test_the_error_of_an_assignment_does_not_show_the_value() -> None:
    with pytest.raises(ValidationError) as caught:
        Session(user_id="u").email = "secret@example.com"

    assert "secret" not in str(caught.value)


def test_deleting_a_field_raises_and_names_update_session() -> None:
    session = Session(user_id="u", role="user")

    with pytest.raises(ValidationError, match="update_session"):
        del session.role

    assert session.role == "user"


# What it answers


@pytest.fixture
def editor() -> Session:
    return Session(user_id="u", role="editor", roles=("author",), permissions=("read", "write"))


@pytest.mark.parametrize(
    ("role", "answer"), [("editor", True), ("author", True), ("admin", False), ("edit", False), ("Editor", False)]
)
def test_has_role_looks_at_role_and_roles(editor: Session, role: str, answer: bool) -> None:
    assert editor.has_role(role) is answer


@pytest.mark.parametrize("ask", [Session.has_role, lambda session, name: session.has_role_permission(name, "read")])
def test_roles_that_a_model_adds_to_all_roles_are_had(ask: Callable[[Session, str], bool]) -> None:
    class Ranked(Session):
        @property
        def all_roles(self) -> frozenset[str]:
            return super().all_roles | {"user"}

    session = Ranked(user_id="u", role="admin", permissions=("read",))

    assert ask(session, "user")
    assert ask(session, "admin")


def test_having_no_role_is_not_having_the_role_none() -> None:
    assert not Session(user_id="u").has_role(None)  # type: ignore[arg-type]


def test_all_roles_is_both_together(editor: Session) -> None:
    assert editor.all_roles == {"editor", "author"}
    assert Session(user_id="u").all_roles == frozenset()


@pytest.mark.parametrize(("permission", "answer"), [("read", True), ("rea", False), ("READ", False), ("*", False)])
def test_has_permission_wants_exactly_that_permission(editor: Session, permission: str, answer: bool) -> None:
    assert editor.has_permission(permission) is answer


def test_a_stored_wildcard_permission_grants_nothing_else() -> None:
    assert not Session(user_id="u", permissions=("reports:*",)).has_permission("reports:write")


def test_has_all_permissions_wants_every_one(editor: Session) -> None:
    assert editor.has_all_permissions("read", "write")
    assert not editor.has_all_permissions("read", "delete")


def test_has_any_permission_wants_one(editor: Session) -> None:
    assert editor.has_any_permission("delete", "write")
    assert not editor.has_any_permission("delete", "admin")


@pytest.mark.parametrize(
    ("role", "permission", "answer"),
    [("author", "read", True), ("author", "delete", False), ("admin", "read", False), ("read", "author", False)],
)
def test_has_role_permission_wants_both(editor: Session, role: str, permission: str, answer: bool) -> None:
    assert editor.has_role_permission(role, permission) is answer


# SessionInfo


def test_the_clocks_of_a_record_are_aware_times_in_utc() -> None:
    info = SessionInfo.of(SessionRecord(b"{}", "u", 1, 0.0, 60.0, 120.0, 3_600.0))

    assert info == SessionInfo(
        created_at=datetime(1970, 1, 1, tzinfo=UTC),
        authenticated_at=datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
        last_seen_at=datetime(1970, 1, 1, 0, 2, tzinfo=UTC),
        expires_at=datetime(1970, 1, 1, 1, tzinfo=UTC),
    )
    assert info.created_at.utcoffset() == timedelta(0)


def test_extra_fields_changed_in_one_request_are_unknown_to_another() -> None:
    kit = new_kit(backend=MemoryStore())
    client = signed_in(
        client_of(FastAPI()),
        kit,
        Session.model_validate({"user_id": "ada", "theme": "dark"}),
    )

    for name in ("__dict__", "model_extra"):
        session = session_of(client, kit)
        getattr(session, name)["role"] = "admin"

        assert session_of(client, kit) == Session.model_validate({"user_id": "ada", "theme": "dark"})


def test_a_loaded_session_can_be_copied_and_pickled() -> None:
    kit = new_kit(backend=MemoryStore())
    client = client_of(FastAPI())
    session = session_of(signed_in(client, kit, Session.model_validate({"user_id": "ada", "theme": "dark"})), kit)

    assert session is not None
    assert copy.deepcopy(session) == copy.copy(session) == pickle.loads(pickle.dumps(session)) == session  # noqa: S301
    assert session.model_copy(update={"theme": "light"}).model_extra == {"theme": "light"}


class Profile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = "n"


class Tags(tuple[str, ...]):  # noqa: SLOT001 - that is what this is about
    """A tuple that takes attributes."""


class Detailed(Session):
    profile: Profile = Profile()
    tags: Annotated[tuple[str, ...], AfterValidator(Tags)] = ("a",)
    on_behalf_of: Session | None = None


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.profile.model_extra.update(theme="dark"),
        lambda session: setattr(session.profile, "_note", "one"),
        lambda session: setattr(session.tags, "note", "one"),
        lambda session: session.on_behalf_of.model_extra.update(ticket="1"),
        lambda session: session.model_fields_set.clear(),
    ],
    ids=["extra of a nested model", "private name", "tuple with attributes", "extra of a nested session", "names set"],
)
def test_what_one_request_hangs_on_a_session_no_other_request_sees(change: Callable[[Any], None]) -> None:
    kit = SessionKit(Detailed, secret_key=SECRET, backend=MemoryStore())
    client = signed_in(
        client_of(FastAPI()),
        kit,
        Detailed(user_id="ada", on_behalf_of=Session(user_id="bob")),
    )

    def seen() -> Any:
        session = session_of(client, kit)
        assert session is not None
        return (
            session.model_dump(exclude_unset=True),
            getattr(session.profile, "_note", None),
            getattr(session.tags, "note", None),
        )

    before = seen()
    change(session_of(client, kit))

    assert seen() == before


def test_the_names_of_what_was_set_are_each_request_s_own() -> None:
    kit = new_kit(backend=MemoryStore())
    client = signed_in(client_of(FastAPI()), kit, Session(user_id="ada"))
    session = session_of(client, kit)
    assert session is not None

    session.model_fields_set.clear()

    again = session_of(client, kit)
    assert again is not None
    assert "user_id" in again.model_fields_set


def test_a_session_that_fits_no_longer_is_nobody_although_seen_before() -> None:
    open_until_then = True

    class Trial(Session):
        @model_validator(mode="after")
        def not_over(self) -> "Trial":
            if not open_until_then:
                raise ValueError("over")
            return self

    kit = SessionKit(Trial, secret_key=SECRET)
    client = signed_in(client_of(FastAPI()), kit, Trial(user_id="ada"))
    assert session_of(client, kit) is not None
    open_until_then = False

    assert session_of(client, kit) is None


def test_a_session_that_the_clock_decides_about_is_read_anew_each_time() -> None:
    class Trial(Session):
        until: FutureDatetime

    kit = SessionKit(Trial, secret_key=SECRET, backend=MemoryStore())
    client = signed_in(
        client_of(FastAPI()),
        kit,
        Trial(user_id="ada", until=datetime.now(UTC) + timedelta(days=1)),
    )

    assert session_of(client, kit) is not session_of(client, kit)
