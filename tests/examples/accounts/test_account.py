"""``examples/accounts``: devices, roles that reach whoever is signed in, and the end of an account."""

import anyio
import pytest

from examples.accounts.users import User, database_session
from tests.examples.accounts.conftest import PASSWORD, Visit, row_of, sign_in_an_hour_ago

STALE = "/account/confirm?next=/account/delete"


def test_a_device_is_listed_and_ended_by_its_owner(visit: Visit) -> None:
    here, there = visit("bob"), visit("bob")
    (other,) = [each for each in here.get("/api/devices").json() if not each["current"]]

    assert other["session"]["device"] == "a browser"
    assert other["handle"] in here.get("/account").text
    assert here.post("/account/devices/end", data={"handle": other["handle"]}).status_code == 303
    assert there.get("/account").status_code == 302
    assert here.get("/account").status_code == 200


def test_nobody_ends_the_device_of_another(visit: Visit) -> None:
    bob, ada = visit("bob"), visit("ada")
    (device,) = bob.get("/api/devices").json()

    ada.post("/account/devices/end", data={"handle": device["handle"]})

    assert ada.delete(f"/api/devices/{device['handle']}").status_code == 404
    assert bob.get("/account").status_code == 200
    assert bob.delete(f"/api/devices/{device['handle']}").status_code == 204
    assert bob.get("/account").status_code == 302


def test_all_other_devices_end_together(visit: Visit) -> None:
    here, others = visit("bob"), [visit("bob"), visit("bob")]

    here.post("/account/devices/end-others")

    assert [each.get("/account").status_code for each in (here, *others)] == [200, 302, 302]


@pytest.mark.parametrize("way", ["page", "api"])
def test_a_role_reaches_whoever_is_signed_in_at_once(visit: Visit, way: str) -> None:
    ada, bob = visit("ada"), visit("bob")
    assert bob.get("/people").status_code == 403

    for role, seen in [("admin", 200), ("member", 403)]:
        if way == "page":
            ada.post("/people/bob/role", data={"role": role})
        else:
            assert ada.patch("/api/people/bob", json={"role": role}).json()["role"] == role

        assert bob.get("/people").status_code == seen
        assert bob.get("/api/me").json()["role"] == role


def test_no_admin_changes_their_own_role_or_gives_one_that_there_is_not(visit: Visit) -> None:
    ada = visit("ada")

    assert ada.post("/people/ada/role", data={"role": "member"}).status_code == 409
    assert ada.patch("/api/people/ada", json={"role": "member"}).status_code == 409
    assert ada.post("/people/nobody/role", data={"role": "member"}).status_code == 404
    assert ada.patch("/api/people/bob", json={"role": "root"}).status_code == 422


def test_nothing_shows_a_password_hash(visit: Visit) -> None:
    ada = visit("ada")

    assert "argon2" not in ada.get("/api/people").text + ada.get("/people").text + ada.get("/api/me").text


def test_what_a_script_changes_reaches_sessions_when_the_table_is_asked(visit: Visit) -> None:
    async def change() -> None:
        async with database_session() as database:
            bob = await database.get_one(User, "bob")
            bob.role = "admin"
            await database.delete(await database.get_one(User, "cleo"))
            await database.commit()

    bob, cleo = visit("bob"), visit("cleo")
    anyio.run(change)

    assert bob.get("/people").status_code == 200
    assert cleo.get("/account").status_code == 302


def test_deleting_the_account_asks_for_the_password_again(visit: Visit) -> None:
    bob = visit("bob")
    sign_in_an_hour_ago("bob")

    assert bob.get("/account/delete").headers["location"] == STALE
    assert bob.post("/account/delete").headers["location"] == "/account/confirm"
    assert bob.post(STALE, data={"password": "turnip"}).status_code == 422
    assert row_of("bob") is not None
    assert bob.post(STALE, data={"password": PASSWORD}).headers["location"] == "/account/delete"
    assert "bob@example.org" in bob.get("/account/delete").text
    assert bob.post("/account/delete").headers["location"] == "/"
    assert row_of("bob") is None


def test_a_deleted_account_is_signed_out_everywhere(visit: Visit) -> None:
    here, there = visit("bob"), visit("bob")
    assert there.get("/account").status_code == 200  # so that the table is not asked again for some minutes

    here.post("/account/delete")

    assert here.get("/account").status_code == there.get("/account").status_code == 302
    assert visit().post("/login", data={"email": "bob@example.org", "password": PASSWORD}).status_code == 422


def test_htmx_is_sent_to_confirm_and_gets_what_it_asked_for(visit: Visit) -> None:
    htmx = {"hx-request": "true", "hx-current-url": "https://testserver/account"}
    bob = visit("bob", **htmx)

    assert bob.post("/account/devices/end-others").headers["location"] == "/account"
    assert 'id="devices"' in bob.get("/account").text
    assert visit(**htmx).post("/account/devices/end-others").headers["hx-redirect"] == "/login?next=/account"


def test_no_cache_keeps_a_page(visit: Visit) -> None:
    assert visit("bob").get("/account").headers["cache-control"] == "no-store"
