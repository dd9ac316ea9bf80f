"""A session id that leaked before a change of rights gains nothing by it, and keeps nothing that was taken away."""

from typing import Any, Literal

import pytest
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, model_validator

from fastapi_sessionkit import (
    Access,
    MemoryStore,
    Session,
    SessionKit,
    clear_session,
    regenerate_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import COOKIE, SECRET, Clock, client_of, holding


class Site:
    """A kit, its application, and the browser of somebody whose first id leaked."""

    def __init__(self, clock: Clock, session: Session, model: type[Session] = Session, **settings: Any) -> None:
        self.kit = SessionKit(model, secret_key=SECRET, backend=MemoryStore(), clock=clock, **settings)
        self.app = FastAPI()
        self.kit.install(self.app)

        @self.app.post("/change")
        async def change(request: Request) -> None:
            update_session(request, **await request.json())

        @self.app.post("/rotate")
        async def rotate(request: Request) -> None:
            regenerate_session(request)

        @self.app.post("/out")
        async def sign_out(request: Request) -> None:
            clear_session(request)

        self.client = signed_in(client_of(self.app), self.kit, session)
        self.leaked = self.client.cookies[COOKIE]

    def change(self, **changes: Any) -> None:
        assert self.client.post("/change", json=changes).status_code == 200

    def seen_by_the_leaked_id(self) -> Any:
        return session_of(holding(client_of(self.app), self.leaked, COOKIE), self.kit)


READER = Session(user_id="ada", role="reader", roles=("author",), permissions=("read", "write"))


@pytest.mark.parametrize(
    ("changes", "role", "roles", "permissions"),
    [
        ({"role": "admin"}, None, ("author",), ("read", "write")),
        ({"roles": ["author", "admin"]}, "reader", ("author",), ("read", "write")),
        ({"permissions": ["read", "pay"]}, "reader", ("author",), ("read",)),
        ({"role": None}, None, ("author",), ("read", "write")),
        ({"role": "author", "roles": ["reader"]}, "author", ("reader",), ("read", "write")),
        ({"roles": [], "permissions": []}, "reader", (), ()),
    ],
)
def test_a_leaked_id_has_the_rights_it_had_and_that_are_still_there(
    changes: dict[str, Any], role: str | None, roles: tuple[str, ...], permissions: tuple[str, ...], clock: Clock
) -> None:
    site = Site(clock, READER)

    site.change(**changes)
    late = site.seen_by_the_leaked_id()

    assert (late.role, late.roles, late.permissions) == (role, roles, permissions)


def test_a_leaked_id_gains_nothing_by_a_chain_of_moves(clock: Clock) -> None:
    site = Site(clock, READER)

    site.client.post("/rotate")
    site.change(role="editor")
    site.change(role="admin", permissions=["read", "pay"])
    late = site.seen_by_the_leaked_id()

    assert (late.role, late.permissions) == (None, ("read",))


def test_a_leaked_id_gains_nothing_by_asking_again_and_again(clock: Clock) -> None:
    """What was read of its record once is remembered, and has all the rights."""
    site = Site(clock, READER)

    site.change(role="admin", permissions=["read", "pay"])
    seen = [site.seen_by_the_leaked_id() for _ in range(3)]

    assert [(late.role, late.permissions) for late in seen] == [(None, ("read",))] * 3


def test_after_a_move_that_changes_no_rights_the_old_id_has_them_all(clock: Clock) -> None:
    site = Site(clock, READER)

    site.client.post("/rotate")

    assert site.seen_by_the_leaked_id() == READER


def test_what_is_taken_away_after_the_move_is_gone_for_the_old_id_too(clock: Clock) -> None:
    site = Site(clock, READER)

    site.client.post("/rotate")
    site.change(permissions=[])

    assert site.seen_by_the_leaked_id().permissions == ()


def test_a_switch_of_the_user_gives_the_old_id_no_grace(clock: Clock) -> None:
    site = Site(clock, READER)

    site.change(user_id="bob")

    assert site.seen_by_the_leaked_id() is None


def test_where_the_model_asks_for_a_role_that_is_not_common_it_is_nobody(clock: Clock) -> None:
    class Staff(Session):
        role: Literal["reader", "admin"]

    site = Site(clock, Staff(user_id="ada", role="reader"), Staff)

    site.change(role="admin")

    assert site.seen_by_the_leaked_id() is None


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_hook_gives_is_held_against_what_it_gave_before(waits: bool, clock: Clock) -> None:
    def roles(session: Any) -> list[str]:
        return list(session.model_extra["groups"])

    async def roles_in_time(session: Any) -> list[str]:
        return roles(session)

    session = Session.model_validate({"user_id": "ada", "groups": ["reader", "author"]})
    site = Site(clock, session, access=Access(get_roles=roles_in_time if waits else roles))
    for name in ("reader", "author", "admin"):
        site.app.get(f"/{name}", dependencies=[Depends(site.kit.require_role(name))])(lambda: None)
    late = holding(client_of(site.app), site.leaked, COOKIE)

    site.change(groups=["reader", "admin"], role="staff")

    assert [late.get(f"/{name}").status_code for name in ("reader", "author", "admin")] == [200, 403, 403]


def test_a_change_under_an_old_id_gives_no_right_back(clock: Clock) -> None:
    site = Site(clock, READER)
    late = holding(client_of(site.app), site.leaked, COOKIE)
    site.change(role="admin", permissions=["pay"])

    assert late.post("/change", json={"theme": "dark"}).status_code == 200
    session = session_of(site.client, site.kit)

    assert session is not None
    assert (session.role, session.permissions, session.model_extra) == ("admin", ("pay",), {"theme": "dark"})


@pytest.mark.anyio
async def test_rights_that_come_after_a_move_without_a_change_are_not_the_old_id_s(clock: Clock) -> None:
    site = Site(clock, READER)

    site.client.post("/rotate")
    await site.kit.sessions.update_user("ada", role="admin")

    assert site.seen_by_the_leaked_id().role is None


def test_rights_that_a_model_computes_are_held_against_those_before(clock: Clock) -> None:
    class Staff(Session):
        level: int = 0

        @property
        def all_roles(self) -> frozenset[str]:
            return frozenset({"chief"} if self.level > 1 else ())

    site = Site(clock, Staff(user_id="ada"), Staff)
    site.app.get("/chief", dependencies=[Depends(site.kit.require_role("chief"))])(lambda: None)
    late = holding(client_of(site.app), site.leaked, COOKIE)

    site.change(level=2, role="staff")

    assert site.client.get("/chief").status_code == 200
    assert late.get("/chief").status_code == 403


def test_what_a_hook_answers_in_a_grace_is_restricted_too(clock: Clock) -> None:
    async def promoted(session: Session) -> Session:
        return session.model_copy(update={"role": "admin"})

    site = Site(clock, READER, revalidate=promoted, revalidate_every=0)
    site.app.get("/me")(lambda session=Depends(site.kit.require_session): session)
    site.client.get("/me")

    assert site.seen_by_the_leaked_id().role is None


def test_a_model_whose_validator_raises_in_a_grace_is_nobody_and_no_error(clock: Clock) -> None:
    class Strange(Session):
        @model_validator(mode="after")
        def known_role(self) -> "Strange":
            {"reader": 1, "admin": 2}[self.role or ""]
            return self

    site = Site(clock, Strange(user_id="ada", role="reader"), Strange)

    site.change(role="admin")

    assert site.seen_by_the_leaked_id() is None


def test_a_function_that_changes_rights_only_by_the_time_of_saving_moves(clock: Clock) -> None:
    site = Site(clock, Session.model_validate({"user_id": "ada", "n": 0}))

    @site.app.post("/approve")
    async def approve(request: Request) -> None:
        session = await site.kit.require_session(request)
        count = lambda s: {"n": s.n + 1, "role": "admin" if s.n + 1 >= 2 else None}  # noqa: E731
        update_session(request, count)
        if session.model_extra == {"n": 0}:  # another request is quicker
            other = holding(client_of(site.app), site.client.cookies[COOKIE], COOKIE)
            other.post("/change", json={"n": 1})

    response = site.client.post("/approve")

    assert "set-cookie" in response.headers
    assert site.seen_by_the_leaked_id().role is None


def test_the_oldest_id_has_only_its_own_rights_after_another_move(clock: Clock) -> None:
    site = Site(clock, READER)
    site.change(role="admin")
    site.client.post("/rotate")

    assert site.seen_by_the_leaked_id().role is None


def test_a_function_that_switches_the_user_as_it_is_saved_gives_no_grace(clock: Clock) -> None:
    site = Site(clock, Session.model_validate({"user_id": "ada", "n": 0}))

    @site.app.post("/hand-over")
    async def hand_over(request: Request) -> None:
        session = await site.kit.require_session(request)
        regenerate_session(request)
        update_session(request, lambda s: {"n": s.n + 1, "user_id": "ada" if s.n == 0 else "bob"})
        if session.model_extra == {"n": 0}:  # another request is quicker
            other = holding(client_of(site.app), site.client.cookies[COOKIE], COOKIE)
            other.post("/change", json={"n": 1})

    response = site.client.post("/hand-over")

    assert "set-cookie" in response.headers
    assert site.seen_by_the_leaked_id() is None


@pytest.mark.anyio
async def test_a_switch_by_an_administrator_gives_the_old_id_no_grace(clock: Clock) -> None:
    site = Site(clock, READER)
    site.app.get("/me")(lambda session=Depends(site.kit.require_session): session)

    await site.kit.sessions.update_user("ada", user_id="carl")
    assert site.client.get("/me").json()["user_id"] == "carl"

    assert site.seen_by_the_leaked_id() is None


def test_what_a_validator_reads_from_an_older_name_can_be_taken_away(clock: Clock) -> None:
    class Renamed(Session):
        model_config = ConfigDict(extra="ignore")

        @model_validator(mode="before")
        @classmethod
        def from_admin(cls, data: Any) -> Any:
            return {**data, "role": "admin"} if isinstance(data, dict) and data.get("admin") else data

    class Legacy(BaseModel):
        user_id: str
        admin: bool

    store = MemoryStore()
    new = SessionKit(Renamed, secret_key=SECRET, backend=store, clock=clock)
    app = FastAPI()
    new.install(app)
    legacy = Legacy(user_id="ada", admin=True)
    client = signed_in(client_of(app), SessionKit(Legacy, secret_key=SECRET, backend=store, clock=clock), legacy)

    @app.post("/demote")
    async def demote(request: Request) -> None:
        update_session(request, role=None)

    before = session_of(client, new)
    client.post("/demote")
    after = session_of(client, new)

    assert before is not None
    assert before.role == "admin"
    assert after is not None
    assert after.role is None
