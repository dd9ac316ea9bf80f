"""A session id that leaked before a change of rights gains nothing by it, and keeps nothing that was taken away."""

from typing import Any, Literal

import pytest
from fastapi import Depends, FastAPI, Request

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
