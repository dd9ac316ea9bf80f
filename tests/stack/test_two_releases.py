"""Two releases of an application side by side, as in a rolling deploy: nobody is signed out, and no field is lost."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from fastapi_sessionkit import CookieBackend, Session, SessionKit, SessionStore, regenerate_session, set_session
from tests.stack.conftest import ENGINES, Make
from tests.support import COOKIE, SECRET, SITE, Clock

pytestmark = pytest.mark.anyio

REQUESTS = 1_000
USERS = 4
RELEASES = ("old", "new")
PATIENCE = 120.0


class OldPlan(BaseModel):
    name: str = "free"
    renewed: int = 0


class OldSession(BaseModel):
    """Leaves out what it does not know, as Pydantic does unless told otherwise."""

    user_id: str
    role: str | None = "user"
    old: int = 0
    both: int = 0
    plan: OldPlan = Field(default_factory=OldPlan)


class NewPlan(OldPlan):
    seats: int = 0


class NewSession(Session):
    old: int = 0
    both: int = 0
    new: int = 0
    greeting: str
    plan: NewPlan = Field(default_factory=NewPlan)


def migrate(data: dict[str, Any], version: int) -> dict[str, Any]:
    assert version == 1
    return {**data, "greeting": f"Hello, {data['user_id']}", "plan": {**data["plan"], "seats": 1}}


def release(kit: SessionKit[Any], own: str, begin: Callable[[str], Any]) -> FastAPI:
    """An application of one release, which counts in a field of its own and in one that both know."""
    app = FastAPI()
    kit.install(app)

    @app.post("/login/{user_id}")
    async def login(request: Request, user_id: str) -> None:
        set_session(request, begin(user_id))

    @app.post("/count")
    async def count(request: Request) -> None:
        await kit.require_session(request)
        kit.update_session(request, lambda session: {own: getattr(session, own) + 1, "both": session.both + 1})

    @app.post("/renew")
    async def renew(request: Request) -> None:
        (await kit.require_session(request)).plan.renewed += 1

    @app.post("/role")
    async def change_role(request: Request) -> None:
        session = await kit.require_session(request)
        kit.update_session(request, role="user" if session.role == "member" else "member")

    @app.post("/move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    @app.get("/me")
    async def me(request: Request) -> Any:
        return await kit.require_session(request)

    return app


class Browser:
    """One user's cookie, sent to either release."""

    def __init__(self, releases: dict[str, httpx.AsyncClient]) -> None:
        self._releases = releases
        self._token = ""

    async def send(self, release: str, method: str, path: str) -> Any:
        headers = {"cookie": f"{COOKIE}={self._token}"} if self._token else {}
        response = await self._releases[release].request(method, path, headers=headers)
        for value in response.headers.get_list("set-cookie"):
            self._token = value.partition(";")[0].partition("=")[2]
        assert response.status_code == 200, (release, path, response.text)
        return response.json()


@pytest.fixture(params=["cookie", *ENGINES])
async def store(request: pytest.FixtureRequest, make_store: Make) -> AsyncIterator[SessionStore | None]:
    store = None if request.param == "cookie" else make_store(request.param)
    yield store
    if store is not None:
        await store.aclose()


@pytest.fixture
async def releases(store: SessionStore | None, clock: Clock) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    def kit_of(model: Any, **settings: Any) -> SessionKit[Any]:
        backend = CookieBackend() if store is None else store
        return SessionKit(model, secret_key=SECRET, backend=backend, clock=clock, **settings)

    old = release(kit_of(OldSession), "old", lambda user_id: OldSession(user_id=user_id))
    new = release(
        kit_of(NewSession, model_version=2, migrate=migrate),
        "new",
        lambda user_id: NewSession(user_id=user_id, role="user", greeting=f"Hello, {user_id}", plan=NewPlan(seats=1)),
    )
    async with AsyncExitStack() as stack:
        transports = {"old": httpx.ASGITransport(old), "new": httpx.ASGITransport(new)}
        yield {
            name: await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=SITE))
            for name, transport in transports.items()
        }


async def visit(browser: Browser, user_id: str, chance: random.Random, *, at_once: int) -> None:
    """A user's share of the requests, to either release by chance; then what both of them say."""
    done: Counter[str] = Counter()
    await browser.send(chance.choice(RELEASES), "POST", f"/login/{user_id}")
    while done.total() < REQUESTS // USERS:
        path = chance.choice(["count", "count", "renew", "role", "move"])
        burst = [chance.choice(RELEASES) for _ in range(at_once if path == "count" else 1)]
        await asyncio.gather(*(browser.send(release, "POST", f"/{path}") for release in burst))
        done.update(f"{path} {release}" for release in burst)
    counts = {name: done[f"count {name}"] for name in RELEASES}
    renewed = done["renew old"] + done["renew new"]
    role = "member" if (done["role old"] + done["role new"]) % 2 else "user"
    old, new = [await browser.send(release, "GET", "/me") for release in RELEASES]

    assert old == {
        "user_id": user_id,
        "role": role,
        "old": counts["old"],
        "both": sum(counts.values()),
        "plan": {"name": "free", "renewed": renewed},
    }
    assert (
        new.items()
        >= {
            **old,
            "new": counts["new"],
            "greeting": f"Hello, {user_id}",
            "plan": {"name": "free", "renewed": renewed, "seats": 1},
        }.items()
    )


async def test_of_1000_requests_to_two_releases_none_signs_out_or_loses_a_field(
    store: SessionStore | None, releases: dict[str, httpx.AsyncClient]
) -> None:
    users = [(f"user-{n}", random.Random(n)) for n in range(USERS)]  # noqa: S311 - the same in every run
    at_once = 1 if store is None else 4  # a signed cookie merges nothing
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(visit(Browser(releases), user_id, chance, at_once=at_once) for user_id, chance in users))
