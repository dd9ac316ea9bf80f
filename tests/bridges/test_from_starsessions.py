"""docs/from-starsessions.md, held against the library itself: its stores, its cookies, and what its names do."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from redis.asyncio import Redis

from fastapi_sessionkit import MemoryStore, Session, SessionKit, StoreBackend, clear_session, get_session, set_session
from tests.stores.redis_servers import RedisServer
from tests.support import COOKIE, SECRET, SITE, client_of

starsessions = pytest.importorskip("starsessions")

DAY = 86_400
KEY = "what starsessions' CookieStore signs with"


def read(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = starsessions.JsonSerializer().deserialize(data)
    return found


def before(store: Any, **options: Any) -> TestClient:
    """A browser of an application that has starsessions."""
    app = FastAPI()
    app.add_middleware(starsessions.SessionAutoloadMiddleware)
    app.add_middleware(starsessions.SessionMiddleware, store=store, lifetime=DAY, **options)

    @app.post("/login")
    async def login(request: Request) -> None:
        request.session["user"] = {"id": 7, "role": "admin"}

    @app.post("/renew")
    async def renew(request: Request) -> str:
        return starsessions.regenerate_session_id(request)

    @app.get("/")
    async def seen(request: Request) -> Any:
        return request.session.get("user")

    return TestClient(app, base_url=SITE)


def after(store: Any) -> FastAPI:
    """The same application, which has switched."""

    async def adopt(cookie: str) -> Any:
        data = read(await store.read(cookie, lifetime=DAY))
        user = data.get("user")
        if user is None:
            return None
        session = Session(user_id=str(user["id"]), role=user["role"])
        is_signed = isinstance(store, starsessions.CookieStore)
        return (session, f"{user['id']} {data['__metadata__']['created']}") if is_signed else session

    kit = SessionKit(Session, secret_key=SECRET, backend=StoreBackend(MemoryStore(), adopt=adopt))
    app = FastAPI()
    kit.install(app)

    @app.get("/me")
    async def me(request: Request) -> str | None:
        session = await get_session(request)
        return None if session is None else session.user_id

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Session(user_id="8"))

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    return app


def browser_of(app: FastAPI, value: str) -> TestClient:
    client = client_of(app)
    client.cookies.set("session", value, domain="testserver.local", path="/")
    return client


class RedisAnew:
    """Their ``RedisStore``, with a connection for each call: a ``TestClient`` has a loop for each request."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        from starsessions.stores.redis import RedisStore

        async with Redis.from_url(self.url) as connection:
            return await getattr(RedisStore(connection=connection), method)(*arguments, **named)

    async def read(self, *arguments: Any, **named: Any) -> Any:
        return await self._ask("read", *arguments, **named)

    async def write(self, *arguments: Any, **named: Any) -> Any:
        return await self._ask("write", *arguments, **named)

    async def remove(self, *arguments: Any, **named: Any) -> Any:
        return await self._ask("remove", *arguments, **named)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(params=["memory", "redis", "cookie"])
def store(request: pytest.FixtureRequest) -> Any:
    if request.param == "redis":
        return RedisAnew(request.getfixturevalue("redis").url)
    return starsessions.InMemoryStore() if request.param == "memory" else starsessions.CookieStore(KEY)


def test_a_session_of_each_of_its_stores_is_taken_over(store: Any) -> None:
    old = before(store)
    old.post("/login")
    client = browser_of(after(store), old.cookies["session"])

    assert client.get("/me").json() == "7"
    assert list(client.cookies) == [COOKIE]
    assert client.get("/me").json() == "7"


def test_who_signs_out_after_the_switch_stays_out(store: Any) -> None:
    old = before(store)
    old.post("/login")
    app = after(store)
    browser_of(app, old.cookies["session"]).post("/logout")

    assert browser_of(app, old.cookies["session"]).get("/me").json() is None


def test_of_a_signed_cookie_an_older_spelling_is_dead_as_well() -> None:
    store = starsessions.CookieStore(KEY)
    old = before(store)
    old.post("/login")
    first = old.cookies["session"]
    old.get("/")
    app = after(store)
    browser_of(app, old.cookies["session"]).post("/logout")

    assert first != old.cookies["session"]
    assert browser_of(app, first).get("/me").json() is None


def test_what_the_old_store_does_not_know_is_nobody_and_no_error(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert browser_of(after(store), "0b9cd3a2").get("/me").json() is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_session_of_the_old_library_without_a_user_is_nobody() -> None:
    store = starsessions.InMemoryStore()
    asyncio.run(store.write("theirs", b'{"theme": "dark"}', DAY, DAY))

    assert browser_of(after(store), "theirs").get("/me").json() is None


# What the page says of starsessions


def test_theirs_adopts_an_id_that_the_client_made_up() -> None:
    store = starsessions.InMemoryStore()
    client = before(store)
    client.cookies.set("session", "made-up", domain="testserver.local", path="/")
    client.post("/login")

    assert list(store.data) == ["made-up"]


def test_theirs_leaves_the_old_id_in_the_store_when_it_makes_a_new_one() -> None:
    store = starsessions.InMemoryStore()
    client = before(store)
    client.post("/login")
    client.post("/renew")

    assert len(store.data) == 2


def test_theirs_extends_a_session_only_where_it_is_rolling() -> None:
    ages: list[str] = []
    for rolling in (False, True):
        store = starsessions.InMemoryStore()
        client = before(store, rolling=rolling)
        client.post("/login")
        (name,) = store.data
        store.data[name] = _created_an_hour_ago(store.data[name])
        header = client.get("/").headers["set-cookie"]
        ages.append(next(part for part in header.split("; ") if part.startswith("max-age")))

    assert ages == [f"max-age={DAY - 3601}", f"max-age={DAY}"] or ages == [f"max-age={DAY - 3600}", f"max-age={DAY}"]


def _created_an_hour_ago(data: bytes) -> bytes:
    kept = read(data)
    kept["__metadata__"]["created"] -= 3600
    return bytes(starsessions.JsonSerializer().serialize(kept))
