"""Where one of two kits refuses a request or can't save, what answers may ask for the other kit's session as well."""

from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from fastapi_sessionkit import RouterGuard, Rule, SessionKit, StoreBackend
from fastapi_sessionkit.testing import signed_in
from tests.kit.support import Staff
from tests.support import SECRET, AppSession, RecordingStore, app_kit, client_of

ELSEWHERE = {"Origin": "https://evil.example"}
GRACE = Staff(user_id="grace")


class Place:
    """Customers and staff, and an error page that says who of both is signed in."""

    def __init__(self, *, guard_of: str = "customers", first: str = "customers") -> None:
        self.store = RecordingStore()
        self.customers = app_kit(name="customers", backend=StoreBackend(self.store))
        self.staff = SessionKit(Staff, secret_key=SECRET, name="staff")
        self.app, self.asked = FastAPI(), 0
        guard = RouterGuard(protect=[Rule("/closed", role="nobody")])
        names = ("customers", "staff") if first == "customers" else ("staff", "customers")
        for name in names:
            getattr(self, name).install(self.app, guard=guard if name == guard_of else None)

        @self.app.post("/closed")
        @self.app.get("/closed")
        async def closed() -> None:
            self.asked += 1

        @self.app.post("/sign-in")
        async def sign_in(request: Request) -> None:
            self.customers.set_session(request, AppSession(user_id="ada"))

        @self.app.exception_handler(HTTPException)
        async def answer(request: Request, error: HTTPException) -> JSONResponse:
            try:
                customer: Any = await self.customers.get_session(request)
            except HTTPException:
                customer = None
            clerk = await self.staff.get_session(request)
            return JSONResponse([customer and customer.user_id, clerk and clerk.user_id], error.status_code)

    def client(self) -> TestClient:
        return signed_in(client_of(self.app), self.staff, GRACE)


both_ways = pytest.mark.parametrize("first", ["customers", "staff"])


@both_ways
@pytest.mark.parametrize("guard_of", ["customers", "staff"])
def test_a_refusal_of_either_gate_is_answered_with_both_sessions_at_hand(guard_of: str, first: str) -> None:
    place = Place(guard_of=guard_of, first=first)
    answer = place.client().get("/closed")

    assert (answer.status_code, answer.json()) == (401 if guard_of == "customers" else 403, [None, "grace"])
    assert answer.headers["cache-control"] == "private, no-cache"
    assert place.asked == 0


@both_ways
def test_so_is_a_refusal_of_the_cross_origin_check(first: str) -> None:
    place = Place(first=first)
    answer = place.client().post("/sign-in", headers=ELSEWHERE)

    assert (answer.status_code, answer.json()) == (403, [None, "grace"])
    assert "create" not in place.store.calls


@both_ways
def test_so_is_what_could_not_be_saved(first: str) -> None:
    place = Place(first=first)
    place.store.broken = {"create"}
    answer = place.client().post("/sign-in")

    assert (answer.status_code, answer.json()) == (503, [None, "grace"])


def test_nothing_of_the_refusal_reaches_the_next_request() -> None:
    place = Place()
    client = place.client()

    assert [client.get("/closed").status_code, client.get("/missing").status_code] == [401, 404]
