"""Backends: tokens that can't be forged, lifetimes, rotation with grace, and requests at the same time."""

import asyncio
import base64
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from itsdangerous import Signer
from pydantic import Field

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    CookieSettings,
    MemoryStore,
    Session,
    SessionBackend,
    SessionKit,
    SessionRecord,
    SessionTooLarge,
    StoreBackend,
    clear_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit._keys import BackendContext
from fastapi_sessionkit.testing import session_of, signed_in
from tests.conftest import Clock

SECRET = "a secret of more than thirty-two characters"
COOKIE = "__Host-session"
DAY = 86_400


class AppSession(Session):
    note: str = ""
    cart: list[str] = Field(default_factory=list)


ADA = AppSession(user_id="ada", role="user")


class Recording(MemoryStore):
    """Remembers every call, and waits before and behind each as an engine does: for a number of turns of the loop."""

    def __init__(self, turns: Callable[[], int] = lambda: 0) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.turns = turns

    @asynccontextmanager
    async def _call(self, name: str, *arguments: Any) -> AsyncIterator[None]:
        self.calls.append((name, arguments))
        for _ in range(self.turns()):
            await asyncio.sleep(0)
        yield
        for _ in range(self.turns()):
            await asyncio.sleep(0)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    async def get(self, key: str) -> SessionRecord | None:
        async with self._call("get", key):
            return await super().get(key)

    async def create(self, key: str, record: SessionRecord) -> bool:
        async with self._call("create", key, record):
            return await super().create(key, record)

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        async with self._call("replace", key, record):
            return await super().replace(key, record, version=version)

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        async with self._call("touch", key):
            return await super().touch(key, last_seen_at=last_seen_at, expires_at=expires_at)

    async def delete(self, key: str) -> bool:
        async with self._call("delete", key):
            return await super().delete(key)


@pytest.fixture
def store() -> Recording:
    return Recording()


BACKENDS: dict[str, Callable[[MemoryStore], SessionBackend]] = {
    "plain": lambda _: CookieBackend(),
    "encrypted": lambda _: CookieBackend(encrypt=True),
    "store": StoreBackend,
}
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
every_cookie_backend = pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "encrypted"])
Make = Callable[[MemoryStore], SessionBackend]


def make(backend: SessionBackend | MemoryStore, clock: Clock, **settings: Any) -> SessionKit[AppSession]:
    return SessionKit(AppSession, **{"secret_key": SECRET, "backend": backend, "clock": clock, **settings})


def application(kit: SessionKit[AppSession]) -> FastAPI:
    app = FastAPI()
    kit.install(app)

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA)

    @app.post("/in/as-grace")
    async def sign_in_as_grace(request: Request) -> None:
        set_session(request, AppSession(user_id="grace"))

    @app.post("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="admin")

    @app.post("/set/{name}")
    async def change(request: Request, name: str, session: Annotated[Any, Depends(kit.require_session)]) -> None:
        update_session(request, **{name: "set"})

    @app.get("/")
    async def read(session: Annotated[AppSession | None, Depends(kit.get_session)]) -> dict[str, Any] | None:
        return None if session is None else session.model_dump()

    return app


def browser(kit: SessionKit[AppSession], session: AppSession | None = ADA) -> TestClient:
    client = TestClient(application(kit), base_url="https://testserver")
    return client if session is None else signed_in(client, kit, session)


def holding(kit: SessionKit[AppSession], token: str, cookie: str | None = None) -> TestClient:
    """A client that holds a token, wherever it has it from."""
    client = browser(kit, None)
    client.cookies.set(cookie or kit.cookie_name, token, domain="testserver.local", path="/")
    return client


def opened(kit: SessionKit[AppSession], token: str) -> AppSession | None:
    """The session that a token opens."""
    return session_of(holding(kit, token), kit)


# Forging


def spoiled(token: str) -> Iterator[str]:
    """A token with each of its characters changed, and with pieces missing, added and moved."""
    for place, character in enumerate(token):
        yield token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
    yield from (
        token[1:],
        token[:-10],
        "",
        ".",
        token.split(".", maxsplit=1)[0],
        token + "A" * 8,
        token * 2,
        token[::-1],
    )


@every_backend
def test_a_token_that_was_tampered_with_opens_nothing_or_what_it_opened_before(
    backend: Make, store: Recording, clock: Clock
) -> None:
    """The last characters of base64 hold unused bits, so a few spellings are the same token."""
    kit = make(backend(store), clock)
    token = browser(kit).cookies[COOKIE]
    found = [opened(kit, other) for other in spoiled(token)]

    assert found.count(None) >= len(found) - 3
    assert [session for session in found if session not in (None, ADA)] == []


def test_content_with_somebody_elses_signature_opens_nothing(clock: Clock) -> None:
    kit = make(CookieBackend(), clock)
    content, signature = browser(kit).cookies[COOKIE].split(".")
    raw = base64.urlsafe_b64decode(content + "==")
    forged = base64.urlsafe_b64encode(raw.replace(b"ada", b"eve")).rstrip(b"=").decode()

    assert b"ada" in raw
    assert opened(kit, f"{forged}.{signature}") is None
    assert opened(kit, f"{forged}.") is None
    assert opened(kit, forged) is None


@every_backend
@pytest.mark.parametrize(
    "token",
    ["x", "null", "a.b.c", "=", "%00", '"quoted"', "e30.e30", "A" * 4_000, "." * 4_000, "\xff\xfe", "A" * 10_000],
    ids=lambda token: f"{token[:8]}-{len(token)}",
)
def test_nonsense_in_the_cookie_is_nobody_and_no_error(
    backend: Make, store: Recording, clock: Clock, token: str
) -> None:
    client = browser(make(backend(store), clock), None)

    response = client.get("/", headers={b"cookie": f"{COOKIE}={token}".encode("latin-1")})

    assert (response.status_code, response.json()) == (200, None)
    assert store.calls == []


@every_cookie_backend
def test_the_content_is_readable_unless_it_is_encrypted(encrypt: bool, clock: Clock) -> None:
    token = browser(make(CookieBackend(encrypt=encrypt), clock)).cookies[COOKIE]
    content = base64.urlsafe_b64decode(token.split(".")[0] + "===")

    assert (b"ada" in content) is not encrypt


def test_encryption_never_gives_the_same_token_twice(clock: Clock) -> None:
    kit = make(CookieBackend(encrypt=True), clock)

    assert browser(kit).cookies[COOKIE] != browser(kit).cookies[COOKIE]


def test_a_session_id_invented_by_the_client_never_reaches_the_store_and_is_not_adopted(
    store: Recording, clock: Clock
) -> None:
    kit = make(store, clock)
    invented = "A" * 43
    by_another_key = Signer("x" * 32, salt="fastapi_sessionkit", digest_method=hashlib.sha256).sign(invented).decode()

    for token in (invented, f"{invented}.", by_another_key):
        client = holding(kit, token)
        assert client.get("/").json() is None
        assert store.calls == []
        client.post("/in")
        assert invented not in client.cookies[COOKIE]
        store.calls.clear()


def test_a_session_planted_before_the_sign_in_is_not_the_session_after_it(store: Recording, clock: Clock) -> None:
    """Session fixation: the attacker's own valid cookie in the victim's browser."""
    kit = make(store, clock)
    planted = browser(kit, AppSession(user_id="mallory")).cookies[COOKIE]
    victim = holding(kit, planted)

    victim.post("/in")

    assert victim.cookies[COOKIE] != planted
    assert opened(kit, planted) is None


def test_stores_see_the_hash_of_an_id_and_never_the_id(store: Recording, clock: Clock) -> None:
    client = browser(make(store, clock))
    ids = [client.cookies[COOKIE].split(".")[0]]
    for path in ("/rotate", "/promote", "/set/note"):
        client.post(path)
        ids.append(client.cookies[COOKIE].split(".")[0])
    client.post("/out")
    keys = {arguments[0] for _, arguments in store.calls}

    assert {hashlib.sha256(each.encode()).hexdigest() for each in ids} <= keys
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
    assert not any(each in repr(store.calls) for each in ids)


def test_ids_have_256_random_bits(store: Recording, clock: Clock) -> None:
    kit = make(store, clock)
    ids = {browser(kit).cookies[COOKIE].split(".")[0] for _ in range(20)}

    assert len(ids) == 20
    assert {len(base64.urlsafe_b64decode(each + "=")) for each in ids} == {32}


def test_an_id_source_that_repeats_itself_signs_nobody_into_somebodys_session(store: Recording, clock: Clock) -> None:
    kit = make(store, clock, new_id=lambda: "A" * 43)
    token = browser(kit).cookies[COOKIE]

    with pytest.raises(RuntimeError, match="256 random bits"):
        browser(kit, None).post("/in/as-grace")
    assert opened(kit, token) == ADA


def kits(clock: Clock) -> dict[str, SessionKit[AppSession]]:
    """All with one secret."""
    plain = CookieSettings(name="c", https_only=False)
    return {
        "plain": make(CookieBackend(), clock, cookie=plain),
        "encrypted": make(CookieBackend(encrypt=True), clock, cookie=plain),
        "store": make(MemoryStore(), clock, cookie=plain),
        "another name": make(CookieBackend(), clock, cookie=plain, name="staff"),
        "another cookie": make(CookieBackend(), clock, cookie=CookieSettings(name="d", https_only=False)),
        "a Secure cookie": make(CookieBackend(), clock, cookie=CookieSettings(name="c")),
        "another name, encrypted": make(CookieBackend(encrypt=True), clock, cookie=plain, name="staff"),
        "another name, store": make(MemoryStore(), clock, cookie=plain, name="staff"),
        "a name that runs into the cookie's": make(
            CookieBackend(), clock, cookie=CookieSettings(name="b.c", https_only=False), name="a"
        ),
        "the same text, cut elsewhere": make(CookieBackend(), clock, cookie=plain, name="a.b"),
    }


def test_a_token_of_one_kit_cookie_or_purpose_is_nobody_for_every_other(clock: Clock) -> None:
    every = kits(clock)
    for issuer, kit in every.items():
        token = browser(kit).cookies[kit.cookie_name]

        assert {name for name, other in every.items() if opened(other, token) is not None} == {issuer}


def test_each_purpose_signs_with_a_key_of_its_own() -> None:
    context = BackendContext((SECRET,), "salt", lambda: 0.0, lambda: "", len, 4_096)
    purposes = ("session", "id", "encrypted-session")
    signed = {context.signer(purpose).sign("the same") for purpose in purposes}

    assert len(signed) == len(purposes)


def test_a_token_of_another_store_with_the_same_secret_opens_nothing(clock: Clock) -> None:
    one, two = make(MemoryStore(), clock), make(MemoryStore(), clock)

    assert opened(two, browser(one).cookies[COOKIE]) is None


def test_after_a_key_rotation_stored_sessions_live_on_and_new_ids_are_signed_with_the_new_key(clock: Clock) -> None:
    store, new_key = MemoryStore(), "a newer secret of more than thirty-two characters"
    old = make(store, clock)
    both = make(StoreBackend(store), clock, secret_key=[new_key, SECRET])
    new = make(StoreBackend(store), clock, secret_key=new_key)
    client = holding(both, browser(old).cookies[COOKIE])

    assert session_of(client, both) == ADA
    assert session_of(client, new) is None
    client.post("/rotate")
    assert session_of(client, new) == ADA


# Lifetimes


@every_backend
def test_a_session_that_is_not_used_ends_with_its_idle_lifetime(backend: Make, store: Recording, clock: Clock) -> None:
    kit = make(backend(store), clock, idle_timeout=timedelta(hours=1))
    client = browser(kit)

    clock.advance(3_599)
    assert session_of(client, kit) == ADA
    clock.advance(1)
    assert client.get("/").json() is None


@every_backend
def test_a_session_that_is_used_lives_on(backend: Make, store: Recording, clock: Clock) -> None:
    client = browser(make(backend(store), clock, idle_timeout=3_600))

    for _ in range(10):
        clock.advance(3_000)
        assert client.get("/").json() is not None
    clock.advance(3_600)
    assert client.get("/").json() is None


@every_backend
def test_however_much_it_is_used_a_session_ends_with_its_absolute_lifetime(
    backend: Make, store: Recording, clock: Clock
) -> None:
    client = browser(make(backend(store), clock, idle_timeout=3_600, absolute_timeout=10_000))

    for step in (3_000, 3_000, 3_000, 999):
        clock.advance(step)
        assert client.get("/").json() is not None
        client.post("/set/note")
        client.post("/rotate")
    clock.advance(1)
    assert client.get("/").json() is None


@every_backend
def test_a_shorter_absolute_lifetime_holds_for_sessions_that_are_there_already(
    backend: Make, store: Recording, clock: Clock
) -> None:
    token = browser(make(backend(store), clock)).cookies[COOKIE]
    stricter = make(backend(store), clock, absolute_timeout=3_600)

    assert opened(stricter, token) == ADA
    clock.advance(3_600)
    assert opened(stricter, token) is None


@every_backend
def test_the_cookie_lasts_as_long_as_the_session_can(backend: Make, store: Recording, clock: Clock) -> None:
    client = browser(make(backend(store), clock), None)

    assert f"Max-Age={30 * DAY};" in client.post("/in").headers["set-cookie"]
    clock.advance(DAY)
    assert f"Max-Age={29 * DAY};" in client.post("/rotate").headers["set-cookie"]


def test_an_unchanged_request_reads_once_and_writes_nothing(store: Recording, clock: Clock) -> None:
    client = browser(make(store, clock))
    store.calls.clear()

    for _ in range(3):
        assert "set-cookie" not in client.get("/").headers
        clock.advance(60)

    assert store.names == ["get", "get", "get"]


def test_the_idle_clock_is_touched_once_it_is_older_than_a_tenth_of_the_idle_lifetime(
    store: Recording, clock: Clock
) -> None:
    client = browser(make(store, clock, idle_timeout=1_000))
    store.calls.clear()

    clock.advance(99)
    client.get("/")
    assert store.names == ["get"]
    clock.advance(2)
    response = client.get("/")
    assert store.names == ["get", "get", "touch"]
    assert "set-cookie" not in response.headers
    client.get("/")
    assert store.names == ["get", "get", "touch", "get"]


def test_a_request_that_does_not_ask_touches_nothing(store: Recording, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    clock.advance(DAY)
    store.calls.clear()

    client.get("/docs")

    assert store.calls == []


@every_cookie_backend
def test_a_cookie_is_sent_again_once_it_is_older_than_a_tenth_of_the_idle_lifetime(encrypt: bool, clock: Clock) -> None:
    client = browser(make(CookieBackend(encrypt=encrypt), clock, idle_timeout=1_000))

    clock.advance(99)
    assert "set-cookie" not in client.get("/").headers
    clock.advance(2)
    assert "set-cookie" in client.get("/").headers
    assert "set-cookie" not in client.get("/").headers


@pytest.mark.parametrize(("ahead", "opens"), [(5, True), (60, False)])
def test_a_token_from_a_clock_a_few_seconds_ahead_is_good_and_one_from_the_future_is_not(
    ahead: float, opens: bool
) -> None:
    token = browser(make(CookieBackend(), Clock(1_700_000_000 + ahead))).cookies[COOKIE]

    assert (opened(make(CookieBackend(), Clock(1_700_000_000)), token) is not None) is opens


# Rotation and its grace


@pytest.mark.parametrize("path", ["/rotate", "/promote"])
def test_after_a_rotation_the_old_id_serves_requests_under_way_for_its_grace(
    store: Recording, clock: Clock, path: str
) -> None:
    kit = make(store, clock)
    client = browser(kit)
    old = client.cookies[COOKIE]

    client.post(path)
    clock.advance(9.9)
    assert opened(kit, old) == session_of(client, kit)
    assert opened(kit, old) is not None
    clock.advance(0.1)
    assert opened(kit, old) is None
    assert session_of(client, kit) is not None


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/set/note"), ("POST", "/rotate"), ("POST", "/promote")]
)
def test_a_request_under_way_neither_gets_nor_loses_a_cookie(
    store: Recording, clock: Clock, method: str, path: str
) -> None:
    kit = make(store, clock, idle_timeout=50)  # so that a touch is due within the grace
    client = browser(kit)
    late = holding(kit, client.cookies[COOKIE])
    client.post("/rotate")
    clock.advance(9)

    response = late.request(method, path)

    assert response.status_code == 200
    assert "set-cookie" not in response.headers


def test_what_a_request_under_way_changes_is_changed_where_the_session_is_now(store: Recording, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    late = holding(kit, client.cookies[COOKIE])
    client.post("/rotate")

    late.post("/set/note")

    assert client.get("/").json()["note"] == "set"


def test_the_oldest_id_of_several_rotations_within_the_grace_still_serves(store: Recording, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    first = client.cookies[COOKIE]

    for _ in range(3):
        client.post("/rotate")
        clock.advance(1)

    assert opened(kit, first) == ADA


def test_the_grace_does_not_grow_by_use(store: Recording, clock: Clock) -> None:
    kit = make(store, clock)
    client = browser(kit)
    late = holding(kit, client.cookies[COOKIE])
    client.post("/rotate")

    clock.advance(9)
    late.post("/set/note")
    late.get("/")
    clock.advance(1)

    assert late.get("/").json() is None


def test_without_grace_the_old_id_ends_at_once(store: Recording, clock: Clock) -> None:
    kit = make(store, clock, rotation_grace=0)
    client = browser(kit)
    old = client.cookies[COOKIE]

    client.post("/rotate")

    assert opened(kit, old) is None
    assert session_of(client, kit) == ADA


@pytest.mark.parametrize("grace", [0, 10])
def test_a_slow_request_that_outlives_the_grace_still_saves_and_takes_nobodys_cookie_away(
    store: Recording, clock: Clock, grace: float
) -> None:
    kit = make(store, clock, rotation_grace=grace)
    app, client = application(kit), browser(kit)

    @app.post("/slow")
    async def slow(request: Request, session: Annotated[AppSession, Depends(kit.require_session)]) -> None:
        assert client.post("/rotate").status_code == 200
        clock.advance(grace + 30)
        update_session(request, note="late")

    old = client.cookies[COOKIE]
    slow_client = TestClient(app, base_url="https://testserver")
    slow_client.cookies.set(COOKIE, old, domain="testserver.local", path="/")
    answer = slow_client.post("/slow")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert opened(kit, old) is None
    session = session_of(client, kit)
    assert session is not None
    assert session.model_dump()["note"] == "late"


def test_signing_out_by_an_id_that_is_rotated_away_without_grace_meanwhile_ends_the_new_one(
    store: Recording, clock: Clock
) -> None:
    kit = make(store, clock, rotation_grace=0)
    app, client = application(kit), browser(kit)

    @app.post("/slow-logout")
    async def slow_logout(request: Request) -> None:
        found = await kit.get_session(request)
        assert found == ADA
        assert client.post("/rotate").status_code == 200
        clear_session(request)

    old = client.cookies[COOKIE]
    slow_client = TestClient(app, base_url="https://testserver")
    slow_client.cookies.set(COOKIE, old, domain="testserver.local", path="/")
    slow_client.post("/slow-logout")

    assert session_of(client, kit) is None


@pytest.mark.parametrize("path", ["/out", "/in/as-grace"])
@pytest.mark.parametrize("by", ["the old id", "the new id"])
def test_signing_in_or_out_within_the_grace_ends_both_ids(store: Recording, clock: Clock, path: str, by: str) -> None:
    kit = make(store, clock)
    client = browser(kit)
    old = client.cookies[COOKIE]
    client.post("/rotate")
    new = client.cookies[COOKIE]

    holding(kit, old if by == "the old id" else new).post(path)

    assert (opened(kit, old), opened(kit, new)) == (None, None)


def test_a_rotation_keeps_when_the_session_began_and_its_user_signed_in(store: Recording, clock: Clock) -> None:
    client = browser(make(store, clock))
    clock.advance(60)
    client.post("/rotate")
    created = [arguments[1] for name, arguments in store.calls if name == "create"]

    assert [record.created_at for record in created] == [clock() - 60] * 2
    assert [record.authenticated_at for record in created] == [clock() - 60] * 2


# At the same time


@asynccontextmanager
async def asynchronous(kit: SessionKit[AppSession], app: FastAPI | None = None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app or application(kit))
    async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as client:
        signed_in(client, kit, ADA)
        yield client


@pytest.mark.anyio
async def test_a_hundred_requests_that_change_different_fields_at_once_all_win(clock: Clock) -> None:
    kit = make(Recording(turns=lambda: 1), clock)
    app = application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        await client.post("/in")
        responses = await asyncio.gather(*(client.post(f"/set/field{number}") for number in range(100)))
        session = (await client.get("/")).json()

    assert {response.status_code for response in responses} == {200}
    assert {name for name in session if name.startswith("field")} == {f"field{number}" for number in range(100)}


@pytest.mark.anyio
async def test_of_a_hundred_rotations_at_once_one_wins_and_nobody_is_signed_out(clock: Clock) -> None:
    store = Recording(turns=lambda: 1)
    kit = make(store, clock)
    app = application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        await client.post("/in")
        responses = await asyncio.gather(*(client.post("/rotate") for _ in range(100)))
        cookies = [response.headers["set-cookie"] for response in responses if "set-cookie" in response.headers]
        session = (await client.get("/")).json()

    assert {response.status_code for response in responses} == {200}
    assert len(cookies) == 1
    assert session["user_id"] == "ada"
    assert len(await store.list_user("ada")) == 1


@pytest.mark.anyio
async def test_changes_and_rotations_at_once_all_win(clock: Clock) -> None:
    kit = make(Recording(turns=lambda: 1), clock)
    app = application(kit)
    paths = [*(f"/set/field{number}" for number in range(30)), *["/rotate", "/promote"] * 10]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        await client.post("/in")
        responses = await asyncio.gather(*map(client.post, paths))
        session = (await client.get("/")).json()

    assert {response.status_code for response in responses} == {200}
    assert session["role"] == "admin"
    assert {name for name in session if name.startswith("field")} == {f"field{number}" for number in range(30)}


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "racers", [["/rotate"], ["/promote", "/rotate"], ["/set/note"], ["/set/a", "/rotate", "/set/b"]]
)
async def test_after_signing_out_no_token_opens_the_session_whatever_raced_with_it(
    clock: Clock, racers: list[str], seed: int
) -> None:
    """Every call to the store takes a random time, so the requests meet in ever different ways."""
    store = Recording(turns=turns(seed))
    kit = make(store, clock)
    app = application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        tokens = [(await client.post("/in")).cookies[COOKIE]]
        cookies = dict(client.cookies)

        async def send(path: str) -> httpx.Response:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="https://testserver", cookies=cookies
            ) as racer:
                return await racer.post(path)

        signed_out, *responses = await asyncio.gather(*map(send, ["/out", *racers]))
        tokens += [response.cookies[COOKIE] for response in responses if COOKIE in response.cookies]

    assert signed_out.status_code == 200
    store.turns = lambda: 0
    assert [opened(kit, token) for token in tokens] == [None] * len(tokens)
    assert await store.list_user("ada") == []


def turns(seed: int) -> Callable[[], int]:
    dice = random.Random(seed)  # noqa: S311 - no secret
    return lambda: dice.randrange(4)


@pytest.mark.anyio
async def test_a_touch_that_races_with_signing_out_brings_nothing_back(clock: Clock) -> None:
    raced = 0
    for seed in range(20):
        store = Recording(turns=turns(seed))
        assert await after_a_race_with_a_touch(store, make(store, clock), clock) is None
        raced += "touch" in store.names

    assert raced > 5


async def after_a_race_with_a_touch(store: Recording, kit: SessionKit[AppSession], clock: Clock) -> AppSession | None:
    app = application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        await client.post("/in")
        token = client.cookies[COOKIE]
        clock.advance(DAY)
        await asyncio.gather(client.get("/"), client.post("/out"), client.get("/"))

    store.turns = lambda: 0
    return opened(kit, token)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(10))
async def test_of_two_sign_ins_at_once_each_has_a_session_of_its_own(clock: Clock, seed: int) -> None:
    store = Recording(turns=turns(seed))
    kit = make(store, clock)
    app = application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        old = (await client.post("/in")).cookies[COOKIE]
        responses = await asyncio.gather(client.post("/in"), client.post("/in/as-grace"))
    store.turns = lambda: 0
    found = [opened(kit, response.cookies[COOKIE]) for response in responses]

    assert [session and session.user_id for session in found] == ["ada", "grace"]
    assert opened(kit, old) is None


@pytest.mark.anyio
async def test_a_cancelled_request_has_saved_all_or_nothing(clock: Clock) -> None:
    """The client went away while the commit was waiting: what it has begun, it finishes."""
    store = Recording()
    kit = make(store, clock)
    app = application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        for patience in range(1, 40):
            old = (await client.post("/in")).cookies[COOKIE]
            store.turns = lambda: 2
            async with anyio.create_task_group() as group:  # as Starlette does when the client goes away
                group.start_soon(client.post, "/rotate")
                for _ in range(patience):
                    await asyncio.sleep(0)
                group.cancel_scope.cancel()
            store.turns = lambda: 0

            assert len(await store.list_user("ada")) == 1
            assert opened(kit, old) is not None


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/rotate", "/in"])
async def test_a_request_that_is_cancelled_in_asyncio_s_own_way_has_saved_all_or_nothing(
    clock: Clock, path: str
) -> None:
    """``asyncio.timeout``, ``wait_for`` and a server that shuts down know nothing of anyio's shield."""
    store = Recording()
    kit = make(store, clock)
    app = application(kit)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        for patience in range(1, 40):
            await client.post("/in")
            store.turns = lambda: 2
            request = asyncio.ensure_future(client.post(path))
            for _ in range(patience):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            store.turns = lambda: 0

            assert len(await store.list_user("ada")) == 1
            client.cookies.clear()
            await store.delete_user("ada")


@every_cookie_backend
def test_a_token_has_one_spelling_only(encrypt: bool, clock: Clock) -> None:
    kit = make(CookieBackend(encrypt=encrypt), clock)
    token = browser(kit).cookies[COOKIE]

    assert opened(kit, token) is not None
    for spelling in (f"{token}=", f"{token}==", f"!{token}", f"{token[:9]}~{token[9:]}", f"{token[:9]}.{token[9:]}"):
        assert opened(kit, spelling) is None


# The limit


def limits(kit: SessionKit[AppSession]) -> tuple[int, TestClient]:
    """How many bytes of note still fit, and a client that holds them."""
    client, low, high = browser(kit, None), 0, 5_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            signed_in(client, kit, AppSession(user_id="ada", note="x" * middle))
        except SessionTooLarge:
            high = middle
        else:
            low = middle
    return low, signed_in(client, kit, AppSession(user_id="ada", note="x" * low))


@every_cookie_backend
def test_a_cookie_of_up_to_4096_bytes_is_sent_and_a_longer_one_never(encrypt: bool, clock: Clock) -> None:
    kit = make(CookieBackend(encrypt=encrypt), clock)
    _, client = limits(kit)
    size = len(COOKIE) + len(client.cookies[COOKIE])

    assert 4_060 < size <= 4_096


@every_cookie_backend
def test_a_session_that_just_fits_still_fits_on_its_last_day(encrypt: bool, clock: Clock) -> None:
    """The times in a token grow with use, and a session that outgrows its cookie would fail every request."""
    _, client = limits(make(CookieBackend(encrypt=encrypt), clock))

    for _ in range(29):
        clock.advance(DAY)
        response = client.get("/")
        assert response.status_code == 200
        assert response.json()["user_id"] == "ada"
        assert len(COOKIE) + len(client.cookies[COOKIE]) <= 4_096


@every_cookie_backend
@pytest.mark.parametrize("act", ["set", "update", "update unseen", "in place"])
def test_a_session_that_outgrows_the_cookie_is_an_error_that_names_the_largest_fields(
    encrypt: bool, act: str, clock: Clock
) -> None:
    kit = make(CookieBackend(encrypt=encrypt), clock)
    client = browser(kit)
    large = {"note": "n" * 3_000, "cart": ["c" * 100] * 20}

    @client.app.post("/grow")  # type: ignore[attr-defined, untyped-decorator]
    async def grow(request: Request) -> None:
        if act == "set":
            set_session(request, AppSession(user_id="ada", **large))  # type: ignore[arg-type]
        elif act == "in place":
            (await kit.require_session(request)).cart.extend(["c" * 100] * 60)
        else:
            if act == "update":
                await kit.require_session(request)
            update_session(request, **large)

    with pytest.raises(SessionTooLarge) as caught:
        client.post("/grow")

    assert next(iter(caught.value.fields)) == ("cart" if act == "in place" else "note")
    assert caught.value.size > caught.value.limit == 4_096
    assert all(name in str(caught.value) for name in caught.value.fields)
    assert "nnn" not in str(caught.value)
    assert session_of(client, kit) == ADA


def test_a_change_that_would_outgrow_the_cookie_changes_nothing(clock: Clock) -> None:
    kit = make(CookieBackend(), clock)
    client = browser(kit)

    @client.app.post("/grow")  # type: ignore[attr-defined, untyped-decorator]
    async def grow(request: Request) -> str:
        await kit.require_session(request)
        try:
            update_session(request, note="n" * 5_000)
        except SessionTooLarge:
            return (await kit.require_session(request)).note
        raise HTTPException(500)

    assert client.post("/grow").json() == ""
    assert session_of(client, kit) == ADA


def test_a_longer_cookie_name_leaves_less_room(clock: Clock) -> None:
    room = [
        limits(make(CookieBackend(), clock, cookie=CookieSettings(name=name, https_only=False)))[0]
        for name in ("c", "c" * 101)
    ]

    assert 70 <= room[0] - room[1] <= 80  # 100 bytes of base64


def test_a_stored_session_has_no_such_limit(store: Recording, clock: Clock) -> None:
    large = AppSession(user_id="ada", note="n" * 100_000)
    kit = make(store, clock)
    client = browser(kit, large)

    assert session_of(client, kit) == large
    assert len(client.cookies[COOKIE]) < 200


# What can't work


@pytest.mark.parametrize("encrypt", ["no", None, 0])
def test_encryption_is_switched_on_by_true_and_off_by_false_alone(encrypt: Any) -> None:
    with pytest.raises(ConfigurationError, match="encrypt"):
        CookieBackend(encrypt=encrypt)


DURATIONS = ["idle_timeout", "absolute_timeout", "rotation_grace", "revalidate_every", "purge_every"]


@pytest.mark.parametrize("setting", DURATIONS)
@pytest.mark.parametrize(
    "wrong",
    [timedelta.max, timedelta(days=36_526), 1e300, pytest.param(10**400, id="10**400"), float("inf"), float("nan"), -1],
)
def test_a_duration_is_at_most_100_years(setting: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{setting} must be .* at most 100 years"):
        SessionKit(secret_key=SECRET, **{setting: wrong})


def test_a_session_of_100_years_can_be_told_about() -> None:
    longest = timedelta(days=36_525)
    # At a whole second: with a fraction the sum of the two is rounded, to a microsecond more or less.
    kit = SessionKit(secret_key=SECRET, idle_timeout=longest, absolute_timeout=longest, clock=lambda: 1_800_000_000.0)
    app = FastAPI()
    kit.install(app)
    app.get("/")(lambda info=Depends(kit.get_session_info): info)

    info = signed_in(TestClient(app, base_url="https://testserver"), kit, Session(user_id="ada")).get("/").json()

    assert datetime.fromisoformat(info["expires_at"]) - datetime.fromisoformat(info["created_at"]) == longest


@pytest.mark.parametrize("setting", ["clock", "new_id"])
@pytest.mark.parametrize("wrong", [5, None, "now"])
def test_a_source_of_times_or_ids_is_something_to_call(setting: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{setting}=.* takes a function"):
        SessionKit(secret_key=SECRET, **{setting: wrong})
