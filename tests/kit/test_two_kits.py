"""Two kits on one application keep their sessions apart."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    MemoryStore,
    SessionKit,
    clear_session,
    regenerate_session,
    set_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.kit.support import Staff
from tests.support import AppSession, app_kit, client_of, new_kit


class Basket(BaseModel):
    items: list[str] = []


def test_two_kits_keep_two_sessions_apart(shared: FastAPI) -> None:
    client = client_of(shared)

    client.post("/customers")
    alone = client.get("/who").json()
    client.post("/staff")
    together = client.get("/who").json()
    client.delete("/staff")

    assert [alone, together, client.get("/who").json()] == [["ada", None], ["ada", "grace"], ["ada", None]]


def test_two_kits_may_set_both_cookies_on_one_response(shared: FastAPI) -> None:
    client = client_of(shared)

    response = client.post("/both")

    assert len(response.headers.get_list("set-cookie")) == 2
    assert client.get("/who").json() == ["ada", "grace"]


@pytest.mark.parametrize(
    "helper",
    [lambda request: set_session(request, AppSession(user_id="ada")), clear_session, regenerate_session],
    ids=["set_session", "clear_session", "regenerate_session"],
)
def test_with_two_kits_the_helpers_of_the_module_say_to_use_a_kits_own(
    shared: FastAPI, helper: Callable[[Request], None]
) -> None:
    @shared.post("/ambiguous")
    async def ambiguous(request: Request) -> None:
        helper(request)

    with pytest.raises(ConfigurationError, match=r"kit\.set_session"):
        client_of(shared).post("/ambiguous")


def test_a_customers_token_is_nobody_among_the_staff(
    shared: FastAPI, customers: SessionKit[AppSession], staff: SessionKit[Staff]
) -> None:
    client = signed_in(client_of(shared), customers, AppSession(user_id="ada"))
    token = client.cookies[customers.cookie_name]

    client.cookies.set(staff.cookie_name, token, domain="testserver.local", path="/")

    assert client.get("/who").json() == ["ada", None]


def test_two_kits_on_one_application_need_two_cookies(customers: SessionKit[AppSession]) -> None:
    app = FastAPI()
    customers.install(app)

    with pytest.raises(ConfigurationError, match="cookie"):
        app_kit(name="other", cookie=CookieSettings(name="customer")).install(app)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CookieSettings(name="session"), CookieSettings(name="session", https_only=False)),
        (CookieSettings(name="my!s"), CookieSettings(name="my_s")),
    ],
)
def test_kits_whose_cookies_openapi_can_not_tell_apart_share_no_application(
    one: CookieSettings, other: CookieSettings
) -> None:
    app = FastAPI()
    app_kit(cookie=one).install(app)

    with pytest.raises(ConfigurationError, match=r"OpenAPI can't tell the cookie .*CookieSettings\(name="):
        app_kit(name="staff", cookie=other).install(app)


def test_set_session_of_a_kit_takes_its_own_model_only(shared: FastAPI, staff: SessionKit[Staff]) -> None:
    @shared.post("/wrong")
    async def wrong(request: Request) -> None:
        staff.set_session(request, AppSession(user_id="ada"))  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="Staff"):
        client_of(shared).post("/wrong")


@pytest.mark.parametrize(("is_shared", "anonymous", "warnings"), [(True, False, 1), (False, False, 0), (True, True, 0)])
def test_two_kits_that_keep_the_sessions_of_users_in_one_store_are_reported(
    is_shared: bool, anonymous: bool, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    """``kit.sessions.revoke_user("1")`` of the one would end the session of another user 1 in the other."""
    store, app = MemoryStore(), FastAPI()
    app_kit(name="customers", backend=store).install(app)
    other = new_kit(
        model=Basket if anonymous else AppSession,
        name="staff",
        anonymous=anonymous,
        backend=store if is_shared else MemoryStore(),
    )
    other.install(app)
    with client_of(app):
        pass

    told = [record.getMessage() for record in caplog.records if "in one store" in record.getMessage()]
    assert len(told) == warnings
    assert all("customers" in message and "staff" in message for message in told)
