"""Two kits, for customers and for staff, on one application."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import (
    CookieSettings,
    SessionKit,
)
from tests.kit.support import Staff
from tests.support import SECRET, AppSession, app_kit


@pytest.fixture
def customers() -> SessionKit[AppSession]:
    return app_kit(name="customers", cookie=CookieSettings(name="customer"))


@pytest.fixture
def staff() -> SessionKit[Staff]:
    return SessionKit(Staff, secret_key=SECRET, name="staff", cookie=CookieSettings(name="staff"))


@pytest.fixture
def shared(customers: SessionKit[AppSession], staff: SessionKit[Staff]) -> FastAPI:
    app = FastAPI()
    customers.install(app)
    staff.install(app)

    @app.post("/customers")
    async def sign_customer_in(request: Request) -> None:
        customers.set_session(request, AppSession(user_id="ada"))

    @app.post("/staff")
    async def sign_staff_in(request: Request) -> None:
        staff.set_session(request, Staff(user_id="grace", badge=7))

    @app.post("/both")
    async def sign_both_in(request: Request) -> None:
        await sign_customer_in(request)
        await sign_staff_in(request)

    @app.delete("/staff")
    async def sign_staff_out(request: Request) -> None:
        staff.clear_session(request)

    @app.get("/who")
    async def who(
        customer: Annotated[AppSession | None, Depends(customers.get_session)],
        colleague: Annotated[Staff | None, Depends(staff.get_session)],
    ) -> list[str | None]:
        return [None if session is None else session.user_id for session in (customer, colleague)]

    return app
